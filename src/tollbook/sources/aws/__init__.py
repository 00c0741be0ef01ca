"""Logs that lie on AWS: in CloudWatch Logs, in S3, behind Athena."""
