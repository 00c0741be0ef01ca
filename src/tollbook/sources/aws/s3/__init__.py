"""The files that Bedrock delivers to S3."""
