"""Clients of AWS for stores. It takes long to import: whoever may never need one imports it when he does."""

import gzip
import os
from typing import Any

import botocore.session
import msgspec
from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader


class _Files(JSONFileLoader):  # type: ignore[misc] # botocore has no types
    """Reads the same files, of which one has a megabyte, in a fifth of the time."""

    def load_file(self, file_path: str) -> Any:
        for suffix, opened in ((".json", open), (".json.gz", gzip.open)):
            try:
                with opened(f"{file_path}{suffix}", "rb") as file:
                    return msgspec.json.decode(file.read())
            except FileNotFoundError:
                continue
        return None


class Models(Loader):  # type: ignore[misc]
    """botocore's descriptions of services, of which there is a folder each: that it is there says enough.

    botocore itself looks into all 400 for the one that is asked for, which takes longer still where files are fetched
    when they are looked at, as those of an image on Lambda.
    """

    FILE_LOADER_CLASS = _Files

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        return os.listdir(self.BUILTIN_DATA_PATH)


def client(service: str, connections: int) -> Any:
    """A client of botocore's, for any thread. Region, credentials and another endpoint are found as by every program
    that uses boto3, which is not needed for it.

    Args:
        service: as boto3 names it.
        connections: that it may hold at once.

    Raises:
        BotoCoreError: the settings of AWS on this machine cannot be used.
    """
    session = botocore.session.Session()  # one that is kept for all would not be for threads
    session.register_component("data_loader", Models())
    config = Config(
        connect_timeout=2,
        read_timeout=3,
        # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=connections,
    )
    return session.create_client(service, config=config)
