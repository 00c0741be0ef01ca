"""What opaque ids stand for, asked of a server of our own that answers as Bedrock does, and of moto's where it can."""

import json
import stat
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.fakes.aws_calls import AwsCalls
from tests.fakes.moto import go_to_moto, moto_server
from tests.fakes.processes import free_port
from tollbook.core.errors import SourceError
from tollbook.sources.aws.name_cache import Found, MemoryNames, NameCache, NamesFile
from tollbook.sources.aws.names import KEPT_S, MOST, PASSING_S, THREAD, UNFOUND_S, Resolution, resolve
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.reading import Halted, Place, Watch
from tollbook.spend.model import Named, model_of

ACCOUNT: Final = "123456789012"
HAIKU: Final = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA: Final = "amazon.nova-lite-v1:0:300k"
NOW: Final = 1_795_000_000.0


def arn(kind: str, name: str = "abc123def456", region: str = "eu-west-1") -> str:
    return f"arn:aws:bedrock:{region}:{ACCOUNT}:{kind}/{name}"


def foundation(model: str, region: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


PROFILE: Final = arn("application-inference-profile")
CUSTOM: Final = arn("custom-model", "amazon.nova-lite-v1:0:300k.abcdefghijkl/mnopqrstuvwx")
ROUTER: Final = arn("default-prompt-router", "anthropic.claude:1")


class Bedrock(ThreadingHTTPServer):
    """What of Bedrock's control plane moto lacks. Ids have the answers that a test gives them.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock.html

    Attributes:
        answers: by ARN, what is answered.
        tags: by ARN.
        faults: codes of the errors to answer next, by the part of the path before the id.
        always: those to answer from then on.
        asked: the ARNs that were asked for, in order.
        hangs: does not answer before the end of the test.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Operations)
        self.answers: dict[str, Mapping[str, object]] = {}
        self.tags: dict[str, Mapping[str, str]] = {}
        self.faults: dict[str, list[str]] = {}
        self.always: dict[str, str] = {}
        self.asked: list[str] = []
        self.hangs, self.is_over = False, threading.Event()
        self.was_asked = threading.Event()
        self.on_asked: Callable[[], None] = lambda: None

    def answer(self, operation: str, arn: str) -> tuple[int, object]:
        self.asked.append(arn)
        self.was_asked.set()
        self.on_asked()
        if self.hangs:
            self.is_over.wait()
        faults = self.faults.get(operation)
        fault = faults.pop(0) if faults else self.always.get(operation, "")
        if fault:
            return (429 if "Throttl" in fault else 503 if "Unavailable" in fault else 403), fault
        if operation == "listTagsForResource":
            return 200, {"tags": [{"key": key, "value": value} for key, value in self.tags.get(arn, {}).items()]}
        if arn not in self.answers:
            return 404, "ResourceNotFoundException"
        return 200, self.answers[arn]


class Operations(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bedrock

    def do_GET(self) -> None:
        path, _, arn = self.path.rpartition("/")
        self.reply(*self.server.answer(path.rpartition("/")[2], urllib.parse.unquote(arn)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(*self.server.answer(self.path.removeprefix("/"), body["resourceARN"]))

    def reply(self, status: int, said: object) -> None:
        body = json.dumps({"message": "no"} if isinstance(said, str) else said).encode()
        self.send_response(status)
        if isinstance(said, str):
            self.send_header("x-amzn-ErrorType", said)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    with Bedrock() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.is_over.set()
        server.shutdown()
        thread.join()


def client_at(address: str, region: str = "eu-west-1") -> Any:
    return boto3.client(
        "bedrock",
        region_name=region,
        endpoint_url=address,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5),
    )


class Asking:
    """Resolves ids at a server, at a moment of the test's own.

    Attributes:
        places: for which a client was wanted.
    """

    def __init__(self, address: str, calls: AwsCalls) -> None:
        self._address, self._calls = address, calls
        self.places: list[Place] = []
        self.clients: list[Any] = []
        self.cache: NameCache = MemoryNames()
        self.watch = Hurried()

    def __call__(self, *ids: str, now: float | Callable[[], float] = NOW) -> Resolution:
        clock = now if callable(now) else lambda: now
        return resolve(ids, self.client, self.cache, clock, watch=self.watch)

    def client(self, place: Place) -> Any:
        self.places.append(place)
        self.clients.append(self._calls.watch(client_at(self._address, place.region)))
        return self.clients[-1]


class Hurried(Watch):
    """Notes how long it was to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        super().wait(0)


@pytest.fixture
def calls() -> AwsCalls:
    return AwsCalls(ACCOUNT)


@pytest.fixture
def asking(bedrock: Bedrock, calls: AwsCalls) -> Iterator[Asking]:
    asking = Asking(f"http://127.0.0.1:{bedrock.server_port}", calls)
    yield asking
    bedrock.is_over.set()
    for client in asking.clients:
        client.close()


def profile(model: str, *regions: str, name: str = "search") -> Mapping[str, object]:
    return {
        "inferenceProfileName": name,
        "inferenceProfileArn": PROFILE,
        "createdAt": "2026-01-01T00:00:00Z",
        "models": [{"modelArn": foundation(model, region)} for region in regions],
        "status": "ACTIVE",
        "type": "APPLICATION",
    }


ANSWERS: Final[Mapping[str, Mapping[str, object]]] = {
    PROFILE: profile(HAIKU, "eu-west-1", "eu-central-1"),
    arn("provisioned-model"): {
        "provisionedModelName": "night batch",
        "modelArn": CUSTOM,
        "foundationModelArn": foundation(NOVA, "eu-west-1"),
    },
    arn("custom-model-deployment"): {"modelDeploymentName": "triage", "modelArn": CUSTOM},
    CUSTOM: {"modelName": "claims", "modelArn": CUSTOM, "baseModelArn": foundation(NOVA, "eu-west-1")},
    arn("imported-model"): {"modelName": "our-llama", "modelArchitecture": "llama"},
    arn("prompt-router"): {"promptRouterName": "cheap first", "models": []},
    ROUTER: {"promptRouterName": "Anthropic Prompt Router", "models": []},
}


@pytest.mark.parametrize(
    ("id_", "kind", "model", "name"),
    [
        (PROFILE, "application-profile", HAIKU, "search"),
        (arn("provisioned-model"), "provisioned", NOVA, "night batch"),
        (arn("custom-model-deployment"), "custom", NOVA, "triage"),
        (CUSTOM, "custom", NOVA, "claims"),
        (arn("imported-model"), "imported", "imported-model/abc123def456", "our-llama"),
        (arn("prompt-router"), "router", "prompt-router/abc123def456", "cheap first"),
        (ROUTER, "router", "default-prompt-router/anthropic.claude:1", "Anthropic Prompt Router"),
    ],
)
def test_an_opaque_id_gets_its_model_and_its_name(
    bedrock: Bedrock, asking: Asking, id_: str, kind: str, model: str, name: str
) -> None:
    bedrock.answers.update(ANSWERS)
    resolution = asking(id_)
    found = model_of(id_, resolution.names)
    assert (found.kind, found.id, found.profile) == (kind, model, name)
    assert resolution.notes == ()
    assert asking.places == [Place(ACCOUNT, "eu-west-1", "")]


@pytest.mark.parametrize(
    ("region", "called", "scope"),
    [
        ("eu-west-1", ["eu-west-1"], "in-region"),
        ("us-east-1", ["us-east-1", "us-west-2"], "us"),
        ("ca-central-1", ["ca-central-1", "us-east-1", "us-west-2"], "us"),
        ("ca-central-1", ["ca-central-1", "ca-west-1"], "ca"),
        ("us-gov-west-1", ["us-gov-west-1", "us-gov-east-1"], "us-gov"),
        ("eu-west-1", ["eu-west-1", "eu-central-1"], "eu"),
        ("il-central-1", ["il-central-1", "eu-west-1", "eu-central-1"], "eu"),
        ("ap-northeast-1", ["ap-northeast-1", "ap-northeast-3"], "jp"),
        ("ap-southeast-2", ["ap-southeast-2", "ap-southeast-4"], "au"),
        ("ap-south-1", ["ap-south-1", "ap-south-2"], "in"),
        ("ap-northeast-1", ["ap-northeast-1", "ap-northeast-2", "ap-south-1"], "apac"),
        ("eu-west-1", ["eu-west-1", ""], "global"),
    ],
)
def test_the_regions_that_a_profile_calls_tell_its_scope_and_so_its_price(
    bedrock: Bedrock, asking: Asking, region: str, called: list[str], scope: str
) -> None:
    id_ = arn("application-inference-profile", region=region)
    bedrock.answers[id_] = profile(HAIKU, *called)
    found = model_of(id_, asking(id_).names)
    assert (found.id, found.scope) == (HAIKU, scope)


@pytest.mark.parametrize(
    "models",
    [
        profile(HAIKU, "eu-west-1", "us-east-1", "ap-south-1"),
        profile(HAIKU, "eu-west-1", "ap-northeast-3"),
        profile(HAIKU),
        {**profile(HAIKU), "models": [{"modelArn": foundation(model, "eu-west-1")} for model in (HAIKU, NOVA)]},
        {**profile(HAIKU), "models": [{"modelArn": foundation(HAIKU, "eu-west-1")}, {"modelArn": CUSTOM}]},
    ],
)
def test_a_profile_whose_scope_cannot_be_told_keeps_its_id(
    bedrock: Bedrock, asking: Asking, models: Mapping[str, object]
) -> None:
    bedrock.answers[PROFILE] = models
    resolution = asking(PROFILE)
    assert resolution.names == {}
    (note,) = resolution.notes
    assert note.startswith("1 application inference profile keeps its id: the regions called tell no scope")


@pytest.mark.parametrize(
    "id_",
    [
        HAIKU,
        f"eu.{HAIKU}",
        "abc123def456",
        foundation(HAIKU, "eu-west-1"),
        arn("inference-profile", f"eu.{HAIKU}"),
        arn("guardrail"),
        PROFILE.replace("eu-west-1", "x@evil.example/#"),
        PROFILE.replace("eu-west-1", ""),
        PROFILE.replace(ACCOUNT, "1234567890123"),
        PROFILE.replace(ACCOUNT, "１２３４５６７８９０１２"),
        PROFILE + "\n",
        PROFILE + "?a=b",
        "x" + PROFILE,
    ],
)
def test_what_is_no_arn_of_an_opaque_resource_is_left_alone(asking: Asking, id_: str) -> None:
    assert asking(id_) == Resolution({})
    assert asking.places == []


def test_all_that_is_asked_is_what_the_policy_allows(bedrock: Bedrock, asking: Asking, calls: AwsCalls) -> None:
    bedrock.answers.update(ANSWERS)
    assert len(asking(*ANSWERS).names) == len(ANSWERS)
    policy = policy_for(region="eu-west-1", account=ACCOUNT, names=True)
    assert calls.beyond(policy) == []
    assert calls.idle(policy) == frozenset()


def test_tags_come_with_the_names(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    bedrock.tags[PROFILE] = {"team": "search", "cost-centre": "42"}
    assert asking(PROFILE).tags == {PROFILE: {"team": "search", "cost-centre": "42"}}


def test_tags_that_may_not_be_read_leave_the_name(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    bedrock.always["listTagsForResource"] = "AccessDeniedException"
    resolution = asking(PROFILE)
    assert resolution.names == {PROFILE: Named(HAIKU, "search")}
    assert resolution.tags == {}
    assert resolution.notes == (
        "1 application inference profile is shown without its tags: bedrock:ListTagsForResource is not allowed in "
        f"eu-west-1 of account {ACCOUNT}. 'tollbook iam --names' prints the policy.",
    )


def test_what_was_found_is_asked_for_again_after_a_day(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    first = asking(PROFILE)
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1", name="renamed")
    assert asking(PROFILE, now=NOW + KEPT_S - 1) == first
    assert asking(PROFILE, now=NOW + KEPT_S).names == {PROFILE: Named(HAIKU, "renamed")}
    assert bedrock.asked.count(PROFILE) == 4  # twice the profile, twice its tags


def test_ids_that_may_not_be_read_share_one_note_and_are_asked_for_again_after_an_hour(
    bedrock: Bedrock, asking: Asking
) -> None:
    bedrock.always["inference-profiles"] = "AccessDeniedException"
    ids = [arn("application-inference-profile", f"profile{number}") for number in range(3)]
    first = asking(*ids)
    assert first.names == {}
    assert first.notes == (
        "3 application inference profiles keep their ids: bedrock:GetInferenceProfile is not allowed in eu-west-1 of "
        f"account {ACCOUNT}. 'tollbook iam --names' prints the policy.",
    )
    bedrock.always.clear()
    bedrock.answers.update({id_: profile(HAIKU, "eu-west-1") for id_ in ids})
    asked = len(bedrock.asked)
    assert asking(*ids, now=NOW + UNFOUND_S - 1) == first
    assert len(bedrock.asked) == asked
    assert len(asking(*ids, now=NOW + UNFOUND_S).names) == 3


def test_a_permission_that_is_missing_is_not_tried_for_every_id(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.always["inference-profiles"] = "AccessDeniedException"
    bedrock.answers[arn("imported-model")] = ANSWERS[arn("imported-model")]
    ids = [arn("application-inference-profile", f"profile{number}") for number in range(100)]
    resolution = asking(*ids, arn("imported-model"))
    assert len(resolution.notes) == 1
    assert resolution.notes[0].startswith("100 application inference profiles keep their ids: ")
    assert list(resolution.names) == [arn("imported-model")]
    assert sum("application-inference-profile" in id_ for id_ in bedrock.asked) <= 8


def test_a_profile_that_is_gone_is_said_to_be_and_the_next_is_found(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    gone = [arn("application-inference-profile", f"gone{number}") for number in range(12)]
    resolution = asking(*gone, PROFILE)
    assert list(resolution.names) == [PROFILE]
    assert resolution.notes == (
        "12 application inference profiles keep their ids: Bedrock in eu-west-1 of account "
        f"{ACCOUNT} has none of that id any more.",
    )
    asked = len(bedrock.asked)
    assert asking(*gone, PROFILE, now=NOW + UNFOUND_S - 1).notes == resolution.notes
    assert len(bedrock.asked) == asked


def test_an_account_that_may_not_be_asked_is_asked_nothing(bedrock: Bedrock, calls: AwsCalls) -> None:
    def client_of(place: Place) -> Any:
        raise SourceError(f"Account {place.account} is not on the list.")

    others = [arn("provisioned-model"), arn("provisioned-model", "bcd234efg567")]
    resolution = resolve(others, client_of, MemoryNames(), lambda: NOW)
    assert resolution.notes == (f"2 provisioned models keep their ids: Account {ACCOUNT} is not on the list.",)
    assert bedrock.asked == []


def test_a_fault_of_our_own_is_not_swallowed() -> None:
    def client_of(place: Place) -> Any:
        raise LookupError(place.region)

    with pytest.raises(LookupError, match="eu-west-1"):
        resolve([PROFILE], client_of, MemoryNames(), lambda: NOW)


@pytest.mark.parametrize("fault", ["ThrottlingException", "ServiceUnavailableException"])
def test_what_fails_for_a_moment_is_tried_again_a_little_later(bedrock: Bedrock, asking: Asking, fault: str) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    bedrock.faults["inference-profiles"] = [fault, fault]
    assert asking(PROFILE).names == {PROFILE: Named(HAIKU, "search")}
    assert asking.watch.waited == [0.5, 1.0]


def test_what_keeps_failing_is_left_alone_for_some_minutes(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.always["inference-profiles"] = "ThrottlingException"
    resolution = asking(PROFILE)
    assert resolution.notes == (
        "1 application inference profile keeps its id: bedrock:GetInferenceProfile failed in eu-west-1 of account "
        f"{ACCOUNT} (ThrottlingException).",
    )
    assert len(bedrock.asked) == 3
    bedrock.always.clear()
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    assert asking(PROFILE, now=NOW + PASSING_S - 1) == resolution
    assert asking(PROFILE, now=NOW + PASSING_S).names


def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(calls: AwsCalls) -> None:
    asking = Asking(f"http://127.0.0.1:{free_port()}", calls)
    (note,) = asking(PROFILE).notes
    assert note.endswith(f"failed in eu-west-1 of account {ACCOUNT} (EndpointConnectionError).")
    asking.clients[0].close()


def test_an_answer_that_does_not_come_holds_nobody_up(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.hangs = True
    ids = [arn("application-inference-profile", f"profile{number}") for number in range(9)]
    resolution = asking(*ids, now=lambda: NOW + 60 if bedrock.was_asked.is_set() else NOW)
    assert resolution.notes == (
        "9 application inference profiles keep their ids: there was no time to look all of them up.",
    )
    assert len(bedrock.asked) <= 4


def test_nothing_is_asked_once_nobody_waits_for_the_answer(bedrock: Bedrock, asking: Asking) -> None:
    asking.watch.halt()
    with pytest.raises(Halted):
        asking(PROFILE)
    assert bedrock.asked == []


def test_nothing_more_is_asked_once_nobody_waits_any_longer(bedrock: Bedrock, asking: Asking) -> None:
    ids = [arn("default-prompt-router", f"router{number}") for number in range(50)]
    bedrock.answers.update(dict.fromkeys(ids, ANSWERS[ROUTER]))
    bedrock.on_asked = asking.watch.halt
    with pytest.raises(Halted):
        asking(*ids)
    for thread in waiting_for_bedrock():
        thread.join(10)
    assert 1 <= len(bedrock.asked) <= 4


def test_whoever_leaves_does_not_wait_for_an_answer(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.hangs, bedrock.on_asked = True, asking.watch.halt
    with pytest.raises(Halted):
        asking(PROFILE)
    assert len(waiting_for_bedrock()) == 1


def waiting_for_bedrock() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_an_answer_of_an_unknown_form_leaves_the_id(bedrock: Bedrock, asking: Asking) -> None:
    bedrock.answers[PROFILE] = {"status": "ACTIVE"}
    (note,) = asking(PROFILE).notes
    assert note.endswith("the answer of bedrock:GetInferenceProfile has a form that is not known.")


def test_one_question_looks_up_so_many_ids_at_most(bedrock: Bedrock, asking: Asking) -> None:
    ids = [arn("default-prompt-router", f"router{number}") for number in range(MOST + 2)]
    bedrock.answers.update(dict.fromkeys(ids, ANSWERS[ROUTER]))
    resolution = asking(*ids)
    assert len(resolution.names) == len(bedrock.asked) == MOST
    assert resolution.notes == (
        f"2 default prompt routers keep their ids: one question looks up {MOST} at most, and the next goes on.",
    )
    assert len(asking(*ids).names) == MOST + 2


def test_a_custom_model_of_moto_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_server(tmp_path / "moto.log") as url:
        go_to_moto("BEDROCK", url, monkeypatch, tmp_path)
        client = boto3.client("bedrock")
        client.create_model_customization_job(
            jobName="job",
            customModelName="claims",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/job",
            baseModelIdentifier=foundation("amazon.titan-text-lite-v1", "eu-west-1"),
            trainingDataConfig={"s3Uri": "s3://bucket/in"},
            outputDataConfig={"s3Uri": "s3://bucket/out"},
            hyperParameters={"epochCount": "1"},
        )
        (custom,) = (each["modelArn"] for each in client.list_custom_models()["modelSummaries"])
        resolution = resolve([custom], lambda _: client, MemoryNames(), lambda: NOW)
        client.close()
    assert [each.name for each in resolution.names.values()] == ["claims"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "names.json"


FOUND: Final = Found(Named(HAIKU, "search"), {"team": "search"}, until=NOW + 10)


def test_names_outlive_the_process_in_a_file_that_only_its_owner_reads(
    bedrock: Bedrock, asking: Asking, path: Path
) -> None:
    bedrock.answers[PROFILE] = profile(HAIKU, "eu-west-1")
    asking.cache = NamesFile(path)
    first = asking(PROFILE)
    asking.cache = NamesFile(path)
    assert asking(PROFILE) == first
    assert bedrock.asked.count(PROFILE) == 2  # the profile and its tags
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_was_not_found_is_not_written_down(path: Path) -> None:
    cache = NamesFile(path)
    cache.put({PROFILE: Found(None, why="no", until=NOW + 10)}, NOW)
    assert cache.get(PROFILE, NOW) is not None
    assert not path.exists()


def test_what_another_process_wrote_meanwhile_stays_until_its_time_is_over(path: Path) -> None:
    one, other = NamesFile(path), NamesFile(path)
    assert one.get("a", NOW) is None
    other.put({"a": FOUND, "old": Found(Named(HAIKU), until=NOW + 1)}, NOW)
    one.put({"b": FOUND}, NOW + 5)
    assert list(json.loads(path.read_bytes())) == ["a", "b"]
    assert NamesFile(path).get("a", NOW + 5) == FOUND
    assert NamesFile(path).get("a", NOW + 10) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"a": {"named": 1}}', b'{"a": {"x": ' + b"[" * 100_000])
def test_a_file_that_holds_something_else_is_written_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    cache = NamesFile(path)
    assert cache.get("a", NOW) is None
    cache.put({"a": FOUND}, NOW)
    assert NamesFile(path).get("a", NOW) == FOUND


def test_names_that_cannot_be_written_down_are_known_for_now(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a folder")
    cache = NamesFile(tmp_path / "state" / "names.json")
    cache.put({"a": FOUND}, NOW)
    assert cache.get("a", NOW) == FOUND


def test_no_part_of_a_file_is_left_where_it_cannot_take_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    NamesFile(path).put({"a": FOUND}, NOW)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_memory_forgets_what_came_first() -> None:
    cache = MemoryNames(most=2)
    for name in ("a", "b", "c"):
        cache.put({name: FOUND}, NOW)
    assert [name for name in "abc" if cache.get(name, NOW)] == ["b", "c"]
