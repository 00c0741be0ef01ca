"""The clients of AWS that a deployment uses, with the credentials and the region that boto3 finds.

Source: https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from tollbook.deploy.trouble import translated

Clients = Callable[[str], Any]
"""Gives boto3's client of a service, by boto3's name for it."""

_ATTEMPTS: Final = 5


def clients(region: str = "", profile: str = "") -> Clients:
    """Makes each client when it is first asked for, and waits for AWS where it asks for time.

    Args:
        region, profile: empty for what boto3 finds.

    Raises:
        DeployError: there is no such profile; from what is given: no region is known.
    """
    import boto3
    from botocore.config import Config

    patient = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}, connect_timeout=10, read_timeout=60)
    with translated("sts"):
        session = boto3.Session(region_name=region or None, profile_name=profile or None)

    @cache
    def client(service: str) -> Any:
        with translated(service):
            return session.client(service, config=patient)

    return client
