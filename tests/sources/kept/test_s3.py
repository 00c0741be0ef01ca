"""What keeping days in S3 does beyond what all do: where they lie, and what S3 may answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from tests.sources.kept.conftest import DAY, PLACE, a_day
from tollbook.core.errors import StoreDown, UsageError
from tollbook.sources.kept.days import Key, encoded, key_of
from tollbook.sources.kept.s3 import S3Days

KEY = key_of(PLACE, DAY, False, ())
BEFORE = key_of(PLACE, DAY - timedelta(days=1), False, ())
Logged = Callable[[], str]


@pytest.fixture
def days(s3: Any) -> S3Days:
    return S3Days(s3, "s3://kept/tollbook", pauses=())


class TestAnObject:
    @pytest.mark.parametrize(
        ("url", "prefix"),
        [
            ("s3://kept", ""),
            ("s3://kept/", ""),
            ("s3://kept/a/b", "a/b/"),
            ("s3://kept/a/b/", "a/b/"),
        ],
    )
    def test_lies_under_the_prefix_by_account_region_and_day(self, s3: Any, url: str, prefix: str) -> None:
        S3Days(s3, url).keep({KEY: a_day(KEY)})
        (found,) = s3.list_objects_v2(Bucket="kept")["Contents"]
        assert found["Key"] == f"{prefix}{KEY.name}"
        assert found["Key"].startswith(f"{prefix}v1/111122223333/us-east-1/2026-11-20/aws-bedrock-modelinvocations.")

    def test_is_encrypted_as_the_bucket_has_it(self, s3: Any, days: S3Days) -> None:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
        s3.put_bucket_encryption(Bucket="kept", ServerSideEncryptionConfiguration={"Rules": [rule]})
        days.keep({KEY: a_day(KEY)})
        assert s3.head_object(Bucket="kept", Key=f"tollbook/{KEY.name}")["ServerSideEncryption"] == "aws:kms"

    @pytest.mark.parametrize("body", [b"", b"tollday1 but no more", b"x" * 5000])
    def test_that_is_damaged_is_read_anew_and_the_others_are_not(self, s3: Any, days: S3Days, body: bytes) -> None:
        days.keep({KEY: a_day(KEY), BEFORE: a_day(BEFORE)})
        s3.put_object(Bucket="kept", Key=f"tollbook/{KEY.name}", Body=body)
        assert days.find([KEY, BEFORE]) == {BEFORE: a_day(BEFORE)}

    def test_that_was_copied_to_the_name_of_another_day_is_not_that(self, s3: Any, days: S3Days) -> None:
        s3.put_object(Bucket="kept", Key=f"tollbook/{KEY.name}", Body=encoded(BEFORE, a_day(BEFORE)))
        assert days.find([KEY]) == {}

    def test_of_a_day_that_cannot_be_kept_is_not_written(self, s3: Any, days: S3Days) -> None:
        days.keep({KEY: a_day(BEFORE)})
        assert "Contents" not in s3.list_objects_v2(Bucket="kept")


@pytest.mark.parametrize(
    "url", ["kept", "s3://", "s3://ab", "s3://Kept/x", "s3://kept/a b", "s3://kept/a\n", "s3:/kept"]
)
def test_what_is_no_place_in_s3_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"is no place in S3\. Write s3://BUCKET/PREFIX\."):
        S3Days(None, url)


def test_a_bucket_that_does_not_exist_is_told_of(s3: Any) -> None:
    days = S3Days(s3, "s3://not-there/days", pauses=())
    asks: list[Callable[[], object]] = [lambda: days.find([KEY]), lambda: days.keep({KEY: a_day(KEY)})]
    for ask in asks:
        with pytest.raises(StoreDown, match=r"s3://not-there/days lies in a bucket that does not exist\. Make it"):
            ask()


def test_an_endpoint_where_nobody_listens_is_told_of(s3: Any) -> None:
    settings = Config(retries={"total_max_attempts": 1})
    nobody = boto3.session.Session().client(
        "s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", config=settings
    )
    with pytest.raises(StoreDown, match="s3://kept/days"):
        S3Days(nobody, "s3://kept/days", pauses=()).find([KEY])


class TestWhatS3MayAnswer:
    """Played by botocore's Stubber, since moto neither throttles nor refuses.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
    """

    @pytest.fixture
    def stub(self) -> Iterator[Stubber]:
        client = botocore.session.Session().create_client(
            "s3",
            "us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
        )
        with Stubber(client) as stub:
            yield stub
        client.close()

    def days(self, stub: Stubber) -> S3Days:
        return S3Days(stub.client, "s3://kept/days", pauses=(0, 0))

    def get(self, key: Key) -> dict[str, str]:
        return {"Bucket": "kept", "Key": f"days/{key.name}"}

    def test_a_day_that_it_does_not_let_be_read_is_taken_as_missing_and_told_of_once(
        self, stub: Stubber, logged: Logged
    ) -> None:
        """Who may not list a bucket hears of an object that is not there that he may not read it."""
        for _ in range(3):
            stub.add_client_error("get_object", "AccessDenied", "no s3:ListBucket", 403)
        days = self.days(stub)
        assert days.find([KEY, BEFORE]) == {}
        assert days.find([KEY]) == {}
        assert logged().count("S3 lets no kept day be read in s3://kept/days.") == 1
        stub.assert_no_pending_responses()

    @pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
    def test_credentials_that_are_no_good_are_told_of(self, stub: Stubber, code: str) -> None:
        stub.add_client_error("get_object", code, "no good", 403)
        with pytest.raises(StoreDown, match="s3://kept/days"):
            self.days(stub).find([KEY])

    def test_a_day_that_may_not_be_written_is_told_of_with_the_permission(self, stub: Stubber) -> None:
        stub.add_client_error("put_object", "AccessDenied", "no s3:PutObject", 403)
        with pytest.raises(
            StoreDown, match=r"s3://kept/days may not be written\. Allow s3:PutObject on what lies there"
        ):
            self.days(stub).keep({KEY: a_day(KEY)})

    @pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
    def test_a_request_is_made_again_when_it_asks_for_time(self, stub: Stubber, code: str, status: int) -> None:
        for _ in range(2):
            stub.add_client_error("put_object", code, "later", status)
        stub.add_response("put_object", {})
        self.days(stub).keep({KEY: a_day(KEY)})
        stub.assert_no_pending_responses()

    def test_a_request_is_made_three_times_at_most(self, stub: Stubber) -> None:
        for _ in range(4):
            stub.add_client_error("get_object", "SlowDown", "later", 503)
        with pytest.raises(StoreDown):
            self.days(stub).find([KEY])
        with pytest.raises(AssertionError, match="1 responses remaining"):
            stub.assert_no_pending_responses()

    def test_a_day_that_was_had_is_not_lost_with_one_that_cannot_be(
        self, s3: Any, days: S3Days, stub: Stubber, logged: Logged
    ) -> None:
        days.keep({KEY: a_day(KEY)})
        stub.add_response("get_object", s3.get_object(Bucket="kept", Key=f"tollbook/{KEY.name}"), self.get(KEY))
        for _ in range(3):
            stub.add_client_error("get_object", "SlowDown", "later", 503)
        one_by_one = S3Days(stub.client, "s3://kept/days", pauses=(0, 0), at_once=1)
        assert one_by_one.find([KEY, BEFORE]) == {KEY: a_day(KEY)}
        assert "Some kept days could not be had, and are read anew: " in logged()
