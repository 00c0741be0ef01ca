"""What a repository of Amazon ECR is asked, and what is said where it does not answer as it should."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tests.deploy.registries import INDEX, Repository
from tests.deploy.registries import ecr as ecr
from tests.deploy.registries import repository as repository
from tests.fakes.moto import REGION
from tests.fakes.processes import free_port
from tollbook.deploy.image.registry import Registry
from tollbook.deploy.trouble import Denied, DeployError, NotLoggedIn, Unreachable

URI = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/tollbook"


def a_client(**settings: Any) -> Any:
    return boto3.session.Session("testing", "testing", region_name=REGION).client("ecr", **settings)


@contextmanager
def stubbed() -> Iterator[tuple[Registry, Stubber]]:
    """A repository whose answers the test gives; each request is checked against AWS's own model."""
    client = a_client()
    with Stubber(client) as stub:
        yield Registry(client, URI), stub
        stub.assert_no_pending_responses()
    client.close()


def test_an_image_is_known_by_its_tag_and_named_by_its_digest(repository: Repository) -> None:
    assert repository.registry.digest("0f3a-arm64") is None
    digest = repository.put("0f3a-arm64")
    assert digest.startswith("sha256:")
    assert repository.registry.digest("0f3a-arm64") == digest
    assert repository.registry.digest("0f3a-x86_64") is None


def test_an_engine_gets_in_with_a_password_that_is_nowhere_shown(repository: Repository) -> None:
    entry = repository.registry.entry()
    assert entry.user == "AWS"
    assert len(entry.password) > 8
    assert ":" not in entry.password


def test_the_address_to_log_in_at_is_the_name_without_the_repository() -> None:
    assert Registry(None, URI).address == "111122223333.dkr.ecr.eu-west-1.amazonaws.com"


def test_an_index_of_images_is_refused_as_lambda_refuses_it() -> None:
    with stubbed() as (registry, stub):
        wanted = {"repositoryName": "tollbook", "imageIds": [{"imageTag": "0f3a-arm64"}]}
        found = {"imageDigest": f"sha256:{'0' * 64}", "imageManifestMediaType": INDEX}
        stub.add_response("describe_images", {"imageDetails": [found]}, wanted)
        with pytest.raises(DeployError, match=r"0f3a-arm64' is an index of images, and Lambda takes none: delete it"):
            registry.digest("0f3a-arm64")


def test_a_repository_that_is_not_there_is_to_be_made(repository: Repository) -> None:
    registry = Registry(repository.client, f"{repository.registry.address}/another")
    with pytest.raises(DeployError, match=r"There is no repository 'another': run the same command again"):
        registry.digest("0f3a-arm64")


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("AccessDeniedException", Denied, "may not ecr:DescribeImages"),
        ("UnrecognizedClientException", NotLoggedIn, "AWS does not accept the credentials"),
        ("ThrottlingException", Unreachable, "AWS throttles or fails at ecr:DescribeImages"),
        ("InvalidParameterException", DeployError, "AWS answers ecr:DescribeImages with InvalidParameterException"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(code: str, kind: type[DeployError], says: str) -> None:
    with stubbed() as (registry, stub):
        stub.add_client_error("describe_images", code)
        with pytest.raises(kind) as fault:
            registry.digest("0f3a-arm64")
    assert says in fault.value.message


def test_a_registry_that_does_not_answer_is_said_to_be_unreachable() -> None:
    from botocore.config import Config

    client = a_client(endpoint_url=f"http://127.0.0.1:{free_port()}", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(Unreachable, match=r"No connection to 127\.0\.0\.1"):
        Registry(client, URI).entry()
    client.close()
