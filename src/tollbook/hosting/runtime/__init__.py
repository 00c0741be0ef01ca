"""Runs an ASGI app, or a plain function, on AWS Lambda: `python -m tollbook.hosting.runtime.lambda_loop`."""
