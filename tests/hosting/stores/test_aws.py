"""Clients of AWS that are made faster than botocore makes them, of the same descriptions."""

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

from tollbook.hosting.stores.aws import Models, client


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2"])
def test_a_service_is_described_as_botocore_describes_it(service: str, kind: str) -> None:
    ours, theirs = (loader.load_service_model(service, kind) for loader in (Models(), Loader()))
    assert ours == theirs
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration", "_retry"])
def test_so_is_all_that_services_have_in_common(name: str) -> None:
    assert Models().load_data(name) == Loader().load_data(name)


def test_what_is_not_there_is_missed_as_botocore_misses_it() -> None:
    for loader in (Models(), Loader()):
        with pytest.raises(DataNotFoundError):
            loader.load_data("dynamodb/2012-08-10/nothing")
        with pytest.raises(UnknownServiceError):
            loader.load_service_model("no-such-service", "service-2")


@pytest.mark.parametrize(
    ("service", "region", "endpoint"),
    [
        ("dynamodb", "eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com"),
        ("dynamodb", "cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ("s3", "us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_a_client_finds_region_and_endpoint_as_every_program_of_aws_does(
    service: str, region: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("AWS_ENDPOINT_URL", f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    made = client(service, 3)
    assert (made.meta.region_name, made.meta.endpoint_url) == (region, endpoint)
    made.close()
