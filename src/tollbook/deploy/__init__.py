"""Takes an AWS account from nothing to a running server, and back. It knows nothing of Bedrock."""
