"""A repository of Amazon ECR, as moto plays it."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from uuid import uuid4

import boto3
import pytest

from tests.fakes.moto import REGION, moto_server
from tollbook.deploy.image.registry import Registry

MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"


class Repository(NamedTuple):
    """A new one.

    Attributes:
        environment: by which a program finds it.
    """

    name: str
    client: Any
    registry: Registry
    environment: dict[str, str]

    def put(self, tag: str, media_type: str = MANIFEST) -> str:
        """Puts an image there; its digest."""
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": f"sha256:{tag}"}
        manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [], "manifests": []}
        put = self.client.put_image(
            repositoryName=self.name,
            imageTag=tag,
            imageManifest=json.dumps(manifest),
            imageManifestMediaType=media_type,
        )
        return str(put["image"]["imageId"]["imageDigest"])


@pytest.fixture(scope="module")
def ecr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it is."""
    with moto_server(tmp_path_factory.mktemp("ecr") / "moto.log") as url:
        yield url


@pytest.fixture
def repository(ecr: str) -> Iterator[Repository]:
    environment = {
        "AWS_ENDPOINT_URL_ECR": ecr,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    client = session.client("ecr", endpoint_url=ecr)
    name = f"tollbook-{uuid4().hex}"
    uri = client.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    yield Repository(name, client, Registry(client, uri), environment)
    client.close()
