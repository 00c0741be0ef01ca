"""The places where logs are."""
