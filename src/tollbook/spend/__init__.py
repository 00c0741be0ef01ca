"""The book: log records in, priced answers out. Nothing here reads a file, a clock or the network."""
