"""The same files as a table of Athena."""
