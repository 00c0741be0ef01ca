"""tollbook: what Amazon Bedrock cost, and who spent it."""

__version__ = "0.1.0"
