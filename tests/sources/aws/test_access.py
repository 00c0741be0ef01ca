"""Clients for accounts and regions: with which credentials, in whose name, and not for everyone who asks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.moto import REGION, go_to_moto, moto_server
from tests.fakes.recorder import Recorder, recorder
from tollbook import __version__
from tollbook.core.errors import SourceError, UsageError
from tollbook.sources.aws.reach.access import Access, OutOfReach
from tollbook.sources.aws.reach.accounts import Accounts, read_accounts
from tollbook.sources.aws.reach.clients import MOST_CLIENTS, session_name
from tollbook.sources.aws.trouble import Denied, NotLoggedIn, Trouble, translated
from tollbook.sources.reading import Place

OWN: Final = "123456789012"  # moto's
PROD: Final = "111122223333"
SANDBOX: Final = "444455556666"
STRANGER: Final = "999988887777"
ROLE: Final = f"arn:aws:iam::{PROD}:role/tollbook-reader"
OWN_ROLE: Final = f"arn:aws:iam::{OWN}:role/logs"
OWN_KEY: Final = "testing"
GROUP: Final = "/aws/bedrock/modelinvocations"
LISTED: Final = json.dumps({PROD: {"role": ROLE, "external_id": "Example/7", "name": "prod"}, SANDBOX: "oam"})

Make = Callable[..., Access]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "access.log") as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    """AWS, and all that it is asked."""
    with recorder(moto) as recording:
        go_to_moto("STS", recording.url, monkeypatch, tmp_path)
        monkeypatch.setenv("AWS_ENDPOINT_URL", recording.url)
        yield recording


@pytest.fixture
def access(aws: Recorder) -> Iterator[Make]:
    """Makes an access to accounts as they are written; all are closed in the end."""
    made: list[Access] = []

    def make(listed: str = LISTED, own_role: str = "", region: str | None = REGION, **more: Any) -> Access:
        made.append(Access(read_accounts(listed, "accounts.json", own_role), region, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


class ShiftedClock:
    """The time, and as much later as a test says."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def place(account: str = "", region: str = REGION, name: str = GROUP) -> Place:
    return Place(account, region, name)


def look(client: Any) -> None:
    """One request."""
    client.describe_log_groups(limit=1)


class TestTheOwnAccount:
    def test_is_read_with_the_credentials_at_hand_and_without_asking_whose_they_are(
        self, access: Make, aws: Recorder
    ) -> None:
        look(access("").client("logs", place()))
        (request,) = aws.requests
        assert (request.operation, request.key, request.region) == ("DescribeLogGroups", OWN_KEY, REGION)

    def test_may_be_named(self, access: Make, aws: Recorder) -> None:
        opened = access("")
        for _ in range(2):
            look(opened.client("logs", place(OWN)))
        operations = [request.operation for request in aws.requests]
        assert operations == ["GetCallerIdentity", "DescribeLogGroups", "DescribeLogGroups"]
        assert not aws.of("AssumeRole")

    def test_is_asked_for_once_however_many_want_to_know(self, access: Make, aws: Recorder) -> None:
        opened = access()
        with ThreadPoolExecutor(16) as threads:
            told = set(threads.map(lambda number: opened.of(f"user-{number}").own_account(), range(64)))
        assert told == {OWN}
        assert [request.operation for request in aws.requests] == ["GetCallerIdentity"]

    def test_is_asked_for_again_after_no_answer(self, access: Make, aws: Recorder) -> None:
        opened = access()
        aws.refuse("GetCallerIdentity", 403, "InvalidClientTokenId", "The security token included is invalid")
        with pytest.raises(NotLoggedIn, match=r"AWS does not know the credentials used for whose account"):
            opened.own_account()
        aws.forgive("GetCallerIdentity")
        assert opened.own_account() == OWN

    def test_has_a_role_where_one_is_set(self, access: Make, aws: Recorder) -> None:
        for account in ("", OWN):
            look(access("", own_role=OWN_ROLE).client("logs", place(account)))
        for request in aws.of("AssumeRole"):
            assert request.form["RoleArn"] == OWN_ROLE
            assert f":{OWN}:log-group:{GROUP}:*" in request.form["Policy"]
        assert len(aws.of("AssumeRole")) == 2

    def test_may_stand_on_the_list(self, access: Make, aws: Recorder) -> None:
        opened = access(json.dumps({OWN: {"role": OWN_ROLE}}))
        for account in ("", OWN):
            look(opened.client("logs", place(account)))
        assert [request.form["RoleArn"] for request in aws.of("AssumeRole")] == [OWN_ROLE]
        assert OWN_KEY not in {request.key for request in aws.of("DescribeLogGroups")}

    def test_has_no_role_of_another_account(self, access: Make, aws: Recorder) -> None:
        opened = access("", own_role=ROLE)
        for account in ("", OWN):
            with pytest.raises(OutOfReach, match=rf"{ROLE}, is not of the account of the AWS credentials, {OWN}: list"):
                opened.client("logs", place(account))
        assert not aws.of("AssumeRole")

    def test_is_used_for_what_is_tollbooks_own_whatever_role_there_is(self, access: Make, aws: Recorder) -> None:
        look(access("", own_role=OWN_ROLE).own_client("logs", REGION))
        (request,) = aws.requests
        assert request.key == OWN_KEY


class TestAListedAccount:
    def test_is_read_with_the_listed_role_and_what_it_asks_for(self, access: Make, aws: Recorder) -> None:
        look(access(subject="ana@example.com").client("logs", place(PROD)))
        assumed, looked = aws.requests
        form = dict(assumed.form)
        policy = json.loads(form.pop("Policy"))
        assert form == {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "ExternalId": "Example/7",
            "RoleSessionName": "tollbook-ana@example.com",
            "DurationSeconds": "3600",
        }
        assert assumed.key == OWN_KEY
        assert f"arn:aws:logs:{REGION}:{PROD}:log-group:{GROUP}:*" in policy["Statement"][0]["Resource"]
        assert (looked.operation, looked.key[:4]) == ("DescribeLogGroups", "ASIA")
        assert looked.headers["x-amz-security-token"]

    def test_is_asked_for_no_external_id_where_none_is_listed(self, access: Make, aws: Recorder) -> None:
        look(access(json.dumps({PROD: {"role": ROLE}})).client("logs", place(PROD)))
        assert "ExternalId" not in aws.requests[0].form

    def test_is_assumed_once_however_many_requests_come_at_once(self, access: Make, aws: Recorder) -> None:
        opened = access()
        start = threading.Barrier(16)

        def work(_: int) -> Any:
            start.wait()
            client = opened.client("logs", place(PROD))
            look(client)
            return client

        with ThreadPoolExecutor(16) as threads:
            clients = list(threads.map(work, range(16)))
        assert len(set(map(id, clients))) == 1
        assert len(aws.of("AssumeRole")) == 1
        assert len(aws.of("DescribeLogGroups")) == 16

    def test_is_assumed_for_each_who_asks_and_each_place(self, access: Make, aws: Recorder) -> None:
        opened = access()
        for subject in ("ana", "ben", "ana"):
            for name in (GROUP, "/other"):
                look(opened.of(subject).client("logs", place(PROD, name=name)))
        sessions = [
            (request.form["RoleSessionName"], "/other" in request.form["Policy"]) for request in aws.of("AssumeRole")
        ]
        names = ("tollbook-ana", "tollbook-ben")
        assert sorted(sessions) == [(name, other) for name in names for other in (False, True)]

    def test_is_assumed_by_the_security_service_of_the_home_region(self, access: Make, aws: Recorder) -> None:
        look(access(region="us-east-2").client("logs", place(PROD, "ap-south-1")))
        assert [request.region for request in aws.requests] == ["us-east-2", "ap-south-1"]

    def test_is_assumed_in_its_own_region_where_there_is_no_other_home(
        self, access: Make, aws: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        look(access(region=None).client("logs", place(PROD, "ap-south-1")))
        assert [request.region for request in aws.requests] == ["ap-south-1", "ap-south-1"]

    def test_in_china_is_assumed_in_china(self, access: Make, aws: Recorder) -> None:
        listed = json.dumps({PROD: {"role": ROLE.replace(":aws:", ":aws-cn:")}})
        look(access(listed).client("logs", place(PROD, "cn-north-1")))
        assert [request.region for request in aws.requests] == ["cn-north-1", "cn-north-1"]
        assert f"arn:aws-cn:logs:cn-north-1:{PROD}:" in aws.requests[0].form["Policy"]

    def test_is_not_reached_from_another_partition(self, access: Make, aws: Recorder) -> None:
        with pytest.raises(OutOfReach, match=rf"{ROLE} reaches no region such as cn-north-1, which is of .* aws-cn\."):
            access().client("logs", place(PROD, "cn-north-1"))
        assert not aws.requests

    def test_has_credentials_that_are_renewed_before_they_end(self, access: Make, aws: Recorder) -> None:
        clock = ShiftedClock()
        client = access(clock=clock).client("logs", place(PROD))
        for clock.ahead in (0, 1800, 3500):
            look(client)
        first, second = aws.of("AssumeRole")
        assert first.form == second.form
        keys = [request.key for request in aws.of("DescribeLogGroups")]
        assert keys[0] == keys[1] != keys[2]

    def test_cannot_be_read_with_a_clock_that_is_hours_ahead(self, access: Make) -> None:
        clock = ShiftedClock()
        clock.ahead = 7200
        client = access(clock=clock).client("logs", place(PROD))
        with pytest.raises(NotLoggedIn, match="The clock of this machine differs too much"), translated("x", ""):
            look(client)

    def test_whose_role_may_not_be_assumed_is_explained(self, access: Make, aws: Recorder) -> None:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_roles.html
        caller = f"arn:aws:sts::{OWN}:assumed-role/lambda/tollbook"
        aws.refuse(
            "AssumeRole",
            403,
            "AccessDenied",
            f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {ROLE}",
        )
        client = access().client("logs", place(PROD))
        with pytest.raises(Denied) as raised, translated(place(PROD), "logs:DescribeLogGroups"):
            look(client)
        assert raised.value.action == "sts:AssumeRole"
        assert str(raised.value) == (
            f"Cannot read log group '{GROUP}' in {REGION} of account {PROD}: {caller} may not assume {ROLE}; the "
            "role's trust policy must name that caller, with the ExternalId that is listed, and the caller needs "
            "sts:AssumeRole ('tollbook iam' prints both)."
        )
        assert not aws.of("DescribeLogGroups")


class TestWhatIsSharedThroughOam:
    def test_is_read_with_the_credentials_at_hand_by_its_arn(self, access: Make, aws: Recorder) -> None:
        opened = access()
        for service in ("logs", "cloudwatch"):
            assert opened.client(service, place(SANDBOX)) is opened.own_client(service, REGION)
        arn = f"arn:aws:logs:{REGION}:{SANDBOX}:log-group:{GROUP}"
        assert opened.identifier(place(SANDBOX)) == arn
        assert opened.identifier(place(SANDBOX, "us-gov-west-1")) == arn.replace(":aws:", ":aws-us-gov:").replace(
            REGION, "us-gov-west-1"
        )
        assert not aws.requests

    def test_is_log_groups_and_nothing_else(self, access: Make) -> None:
        opened = access(json.dumps({SANDBOX: {"via": "oam", "name": "sandbox"}}))
        for service, name in (("bedrock", GROUP), ("s3", "s3://logs"), ("athena", "a.b")):
            with pytest.raises(
                OutOfReach, match=rf"Account sandbox \({SANDBOX}\) shares log groups through OAM and nothing"
            ):
                opened.client(service, place(SANDBOX, name=name))

    def test_all_else_is_read_by_its_name(self, access: Make) -> None:
        for account in ("", OWN, PROD):
            assert access().identifier(place(account)) is None
        assert access("").identifier(place()) is None


class TestAnyOtherAccount:
    def test_is_refused_and_those_that_are_known_are_named(self, access: Make, aws: Recorder) -> None:
        opened = access()
        assert opened.own_account() == OWN
        before = len(aws.requests)
        with pytest.raises(OutOfReach) as raised:
            opened.client("logs", place(STRANGER))
        assert raised.value.message == f"Account {STRANGER} is not on this server's list."
        assert raised.value.more == (f"It knows prod ({PROD}), {OWN}, {SANDBOX}.",)
        with pytest.raises(OutOfReach, match="is not on this server's list"):
            opened.identifier(place(STRANGER))
        assert aws.requests[before:] == []

    def test_is_refused_with_nothing_sent_but_the_question_whose_the_credentials_are(
        self, access: Make, aws: Recorder
    ) -> None:
        with pytest.raises(OutOfReach, match=f"Account {STRANGER} is not on"):
            access("").client("logs", place(STRANGER))
        assert [request.operation for request in aws.requests] == ["GetCallerIdentity"]
        assert not [request for request in aws.requests if STRANGER.encode() in request.everything]

    @pytest.mark.parametrize("account", ["1", "1" * 13, f"{PROD}\n", "*", "١" * 12, f"{PROD}:role/x", "\x1b" * 99])
    def test_has_twelve_digits(self, access: Make, aws: Recorder, account: str) -> None:
        with pytest.raises(OutOfReach, match="is not an account of twelve digits") as raised:
            access().client("logs", place(account))
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 400
        assert not aws.requests


class TestPlaces:
    @pytest.mark.parametrize(
        ("service", "name"),
        [
            *(("logs", f"x{odd}") for odd in ("`", "|", "\n", '"', "'", "*", " ", "é")),
            ("logs", ""),
            ("s3", "s3://b*cket"),
            ("s3", "/aws/bedrock"),
            ("athena", 'a."b"; drop'),
            ("athena", "s3://bucket"),
        ],
    )
    @pytest.mark.parametrize("account", ["", PROD, SANDBOX])
    def test_of_no_possible_name_get_no_client(
        self, access: Make, aws: Recorder, account: str, service: str, name: str
    ) -> None:
        with pytest.raises(UsageError) as raised:
            access().client(service, place(account, name=name))
        assert str(raised.value).isprintable()
        if service == "logs":
            with pytest.raises(UsageError):
                access().identifier(place(account, name=name))
        assert not aws.requests


class TestWhoAsks:
    @pytest.mark.parametrize("subject", ["ana", "ana@example.com", "a+b=c,d.e-f_g", "x" * 55])
    def test_stands_in_the_name_of_the_session(self, subject: str) -> None:
        assert session_name(subject) == f"tollbook-{subject}"

    @pytest.mark.parametrize("subject", ["a b", "x" * 56, "é", "a/b", 'x"\n', "\ud800", "sha256=" + "0" * 32])
    def test_stands_there_as_a_hash_where_the_name_cannot(self, subject: str) -> None:
        name = session_name(subject)
        assert name.startswith("tollbook-sha256=")
        assert len(name) <= 64
        assert name.isascii()
        assert subject not in name
        assert name != session_name(f"{subject}x")

    def test_is_tollbook_itself_if_it_is_nobody(self) -> None:
        assert session_name("") == "tollbook"

    def test_changes_nothing_where_no_role_is_assumed(self, access: Make) -> None:
        opened = access()
        assert opened.of("ana").client("logs", place()) is opened.of("ben").client("logs", place())
        assert opened.of("ana").subject == "ana"


class TestRegions:
    @pytest.mark.parametrize("region", ["eu-west-1", "ap-southeast-5", "us-gov-east-1", "cn-north-1", "eusc-de-east-1"])
    def test_of_every_partition_are_known(self, access: Make, region: str) -> None:
        access().check_region(region)

    def test_that_are_misspelt_are_refused_with_some_that_are_near(self, access: Make) -> None:
        with pytest.raises(OutOfReach) as raised:
            access().check_region("eu-wset-1")
        assert str(raised.value).startswith("AWS has no region 'eu-wset-1'; near to it are eu-west-1, ")
        assert isinstance(raised.value, UsageError)
        assert isinstance(raised.value, SourceError)

    @pytest.mark.parametrize(
        "region", ["", "x@HOST/#", "EU-WEST-1", " eu-west-1", "eu-west-1\n", "../..", "\x1b[2J" * 99]
    )
    def test_that_are_none_get_to_no_client(self, access: Make, aws: Recorder, region: str) -> None:
        opened = access("")
        attempts: list[Callable[[], Any]] = [
            lambda: opened.check_region(region),
            lambda: opened.client("logs", place("", region)),
            lambda: opened.own_client("logs", region),
            lambda: opened.identifier(place(PROD, region)),
        ]
        for attempt in attempts:
            with pytest.raises(OutOfReach, match="AWS has no region '") as raised:
                attempt()
            assert str(raised.value).isprintable()
            assert len(str(raised.value)) < 500
        assert not aws.requests

    def test_home_is_that_which_is_given_or_set(self, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        assert access(region="sa-east-1").home_region == "sa-east-1"
        assert access(region=None).home_region == "eu-north-1"

    def test_home_may_stand_in_the_profile(self, access: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "config").write_text("[profile work]\nregion = ca-central-1\n")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "work")
        assert access(region=None).home_region == "ca-central-1"

    def test_home_is_nowhere_if_nothing_says_where(self, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(UsageError, match=r"No region is named: name one, or set AWS_REGION\."):
            access(region=None).own_account()

    def test_home_is_a_region(self, access: Make) -> None:
        with pytest.raises(UsageError, match="AWS has no region 'moon-1'"):
            assert access(region="moon-1").home_region


class TestSettingsOfTheMachine:
    def test_that_name_no_profile_are_explained(self, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "wrok")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        attempts: list[Callable[[], Any]] = [
            lambda: access("", region=None).home_region,
            lambda: access("").client("logs", place()),
            lambda: access("").own_client("logs", REGION),
        ]
        for attempt in attempts:
            with pytest.raises(NotLoggedIn, match=r"no profile 'wrok': set AWS_PROFILE to one that"):
                attempt()

    def test_that_cannot_be_read_are_explained(
        self, access: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "config").write_text("region = x\n[broken")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        with pytest.raises(Trouble, match=r"Cannot read AWS's settings on this machine: Unable to parse config file"):
            access("").check_region(REGION)

    def test_without_credentials_are_explained(self, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(NotLoggedIn, match=r"No AWS credentials were found to read whose account"):
            access().own_account()

    def test_with_half_of_a_key_are_explained(self, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        attempts: list[Callable[[], Any]] = [
            lambda: access("").client("logs", place()),
            lambda: access("").own_client("logs", REGION),
        ]
        for attempt in attempts:
            with pytest.raises(NotLoggedIn, match="No AWS credentials were found"):
                attempt()

    def test_may_come_with_a_session(self, access: Make, aws: Recorder) -> None:
        from botocore.session import Session

        session = Session()
        session.set_credentials("AKIAOTHER", "secret")
        look(access("", session=session).client("logs", place()))
        assert aws.requests[0].key == "AKIAOTHER"


class TestClients:
    @pytest.mark.parametrize("account", [OWN, PROD])
    def test_make_every_request_once_and_say_who_they_are(self, access: Make, aws: Recorder, account: str) -> None:
        client = access().client("logs", place(account))
        aws.refuse("DescribeLogGroups", 503, "ServiceUnavailable", "")
        with pytest.raises(Exception, match="DescribeLogGroups"):
            look(client)
        (request,) = aws.of("DescribeLogGroups")
        assert f"tollbook/{__version__}" in request.headers["user-agent"]
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (5, 60, 32)

    def test_are_kept_for_the_next_who_asks_the_same(self, access: Make) -> None:
        opened = access()
        for service, name in (("logs", GROUP), ("s3", "s3://logs/prefix"), ("bedrock", GROUP), ("cloudwatch", GROUP)):
            for account in (OWN, PROD):
                client = opened.client(service, place(account, name=name))
                assert client is opened.of("").client(service, place(account, name=name))

    def test_are_no_more_than_so_many_and_the_oldest_go(self, access: Make, aws: Recorder) -> None:
        opened = access()
        first, oldest = opened.of("first"), opened.of("oldest")
        old = oldest.client("logs", place(PROD))
        used = first.client("logs", place(PROD))
        look(old)
        for number in range(MOST_CLIENTS - 1):
            opened.of(f"user-{number}").client("logs", place(PROD))
            assert first.client("logs", place(PROD)) is used
        assert oldest.client("logs", place(PROD)) is not old
        look(old)  # whoever still holds it may use it
        old.close()

    def test_do_not_take_a_key_for_models_in_place_of_a_role(
        self, access: Make, aws: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "canary-of-the-own-account")
        for account in ("", PROD):
            access().client("bedrock", place(account)).list_custom_models()
        asked = [request for request in aws.requests if request.headers["authorization"].startswith("AWS4-HMAC-SHA256")]
        assert asked == aws.requests
        assert not [request for request in asked if b"canary" in request.everything]

    def test_are_of_no_service_that_has_no_place(self, access: Make, aws: Recorder) -> None:
        with pytest.raises(ValueError, match="iam"):
            access().client("iam", place(PROD))
        assert not aws.requests

    def test_close_their_connections_and_can_be_had_again(self, access: Make, aws: Recorder) -> None:
        opened = access()
        held = opened.client("logs", place(PROD))
        look(held)
        assert aws.has_connections(2)
        opened.close()
        assert aws.has_connections(0)
        again = opened.client("logs", place(PROD))
        assert again is not held
        look(again)
        assert len(aws.of("AssumeRole")) == 2


def test_without_a_list_nothing_but_the_own_account_is_known(access: Make) -> None:
    opened = Access()
    assert opened.accounts == Accounts()
    with pytest.raises(OutOfReach, match=rf"Account {PROD} is not on this server's list\. It knows {OWN}\."):
        opened.client("logs", place(PROD))
    opened.close()
