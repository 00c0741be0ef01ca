"""What the ARNs stand for that logs have in place of a model's id: application profiles, provisioned and custom models.

No report needs any of it: what cannot be looked up keeps its id, and a note says why.
"""

import queue
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from tollbook.core.errors import SourceError
from tollbook.core.stores import Clock
from tollbook.sources.aws.name_cache import Found, NameCache
from tollbook.sources.aws.trouble import is_passing, is_throttling
from tollbook.sources.reading import Place, Watch
from tollbook.spend.model import Named

KEPT_S: Final = 24 * 3600.0
"""How long what was found is believed."""
UNFOUND_S: Final = 3600.0
"""How long what was refused or is gone is not asked for again."""
PASSING_S: Final = 300.0
"""How long what failed in another way is not asked for again."""
MOST: Final = 200
"""Ids that one question looks up."""
THREAD: Final = "tollbook-names"
"""What threads are called that wait for Bedrock."""

_AT_ONCE: Final = 4  # Bedrock's quotas on these operations are a few requests a second
_FAILURES: Final = 3  # of one action at one place, before it is asked no more: a policy may allow some by their tags
_PAUSES_S: Final = (0.5, 1.0)  # where AWS asks to come back more slowly
_STEP_S: Final = 0.05
_TOO_MANY: Final = f"one question looks up {MOST} at most, and the next goes on"
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
_GONE: Final = frozenset({"ResourceNotFoundException", "ValidationException"})

# Source of the forms: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,12}:bedrock:([a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}):(\d{12}):"
    r"([a-z-]+)/[A-Za-z0-9][A-Za-z0-9.:/_-]{0,255}",
    re.ASCII,
)
_FOUNDATION: Final = re.compile(
    r"arn:aws[a-z-]{0,12}:bedrock:([a-z0-9-]{0,20})::foundation-model/([a-zA-Z0-9.:_-]{1,140})"
)


class Resolution(msgspec.Struct, frozen=True):
    """What ids stand for.

    Attributes:
        names: by ARN, as `spend.model.model_of` takes them.
        tags: by ARN, of those that have any.
        notes: sentences on those that keep their ids; for whoever sees all.
    """

    names: Mapping[str, Named]
    tags: Mapping[str, Mapping[str, str]] = {}
    notes: tuple[str, ...] = ()


def resolve(
    ids: Iterable[str],
    client_of: Callable[[Place], Any],
    cache: NameCache,
    now: Clock,
    *,
    watch: Watch | None = None,
    patience_s: float = 10.0,
) -> Resolution:
    """The models behind those of `ids` that are ARNs of opaque resources; others are not looked at.

    The scope of an application profile decides its price and is not told by AWS. It follows from the regions that the
    profile calls: one alone is in-region, an ARN without any is `global`, several in one geography are that geography's
    profile. Where they fit none, the id is kept: no price is guessed.

    Args:
        client_of: a client of `bedrock` for an account and region; raises SourceError where these may not be asked.
        patience_s: no id is asked for after so long.

    Raises:
        Halted: see `Watch`.
    """
    began, watch = now(), watch or Watch()
    opaque = {id_: arn for id_ in dict.fromkeys(ids) if (arn := _ARN.fullmatch(id_)) and arn[3] in _KINDS}
    known = {id_: before for id_ in opaque if (before := cache.get(id_, began)) is not None}
    wanted = [arn for id_, arn in opaque.items() if id_ not in known]
    search = _Search(client_of, watch, now, began + patience_s)
    fresh = search.run(wanted[:MOST])
    cache.put({id_: each for id_, each in fresh.items() if now() < each.until}, now())
    left = {arn[0]: Found(None, why=_TOO_MANY) for arn in wanted[MOST:]}
    found = {**known, **fresh, **left}
    return Resolution(
        {id_: each.named for id_, each in found.items() if each.named},
        {id_: each.tags for id_, each in found.items() if each.tags},
        tuple(_notes((_KINDS[opaque[id_][3]].called, each) for id_, each in found.items())),
    )


def _notes(found: Iterable[tuple[str, Found]]) -> Iterator[str]:
    groups = Counter((called, each.named is None, each.why) for called, each in found if each.why)
    for (called, keeps_id, why), count in groups.items():
        if keeps_id:
            what = f"{called} keeps its id" if count == 1 else f"{called}s keep their ids"
        else:
            what = f"{called} is shown without its tags" if count == 1 else f"{called}s are shown without their tags"
        yield f"{count} {what}: {why}."


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    model_arn: str


class _Profile(msgspec.Struct, frozen=True, rename="camel"):
    inference_profile_name: str
    models: tuple[_Model, ...]


class _Provisioned(msgspec.Struct, frozen=True, rename="camel"):
    provisioned_model_name: str
    foundation_model_arn: str


class _Deployment(msgspec.Struct, frozen=True, rename="camel"):
    model_deployment_name: str
    model_arn: str


class _Custom(msgspec.Struct, frozen=True, rename="camel"):
    model_name: str
    base_model_arn: str


class _Imported(msgspec.Struct, frozen=True, rename="camel"):
    model_name: str


class _Router(msgspec.Struct, frozen=True, rename="camel"):
    prompt_router_name: str


class _Tag(msgspec.Struct, frozen=True):
    key: str
    value: str


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[_Tag, ...]


class _Untold(Exception):
    """It is not known which model it is; the message is the end of a note.

    Attributes:
        lasts_s: how long that is believed.
    """

    def __init__(self, why: str, lasts_s: float = UNFOUND_S) -> None:
        super().__init__(why)
        self.lasts_s = lasts_s


Ask = Callable[..., Any]
"""Takes the name of an operation, the form of its answer and its parameters; gives the answer."""


def _profile(ask: Ask, arn: str, region: str) -> Named:
    profile = ask("GetInferenceProfile", _Profile, inferenceProfileIdentifier=arn)
    models = [_FOUNDATION.fullmatch(each.model_arn) for each in profile.models]
    behind = {found[2] for found in models if found}
    scope = scope_of(region, {found[1] for found in models if found})
    if not all(models) or len(behind) != 1 or scope is None:
        raise _Untold("the regions called tell no scope, and so no price. --names FILE can tell both")
    return Named(scope + behind.pop(), profile.inference_profile_name)


def _provisioned(ask: Ask, arn: str, _: str) -> Named:
    provisioned = ask("GetProvisionedModelThroughput", _Provisioned, provisionedModelId=arn)
    return Named(provisioned.foundation_model_arn, provisioned.provisioned_model_name)


def _deployment(ask: Ask, arn: str, region: str) -> Named:
    deployment = ask("GetCustomModelDeployment", _Deployment, customModelDeploymentIdentifier=arn)
    return Named(_custom(ask, deployment.model_arn, region).model, deployment.model_deployment_name)


def _custom(ask: Ask, arn: str, _: str) -> Named:
    custom = ask("GetCustomModel", _Custom, modelIdentifier=arn)
    return Named(custom.base_model_arn, custom.model_name)


def _imported(ask: Ask, arn: str, _: str) -> Named:
    """It has no model behind it, but a name."""
    return Named(arn, ask("GetImportedModel", _Imported, modelIdentifier=arn).model_name)


def _router(ask: Ask, arn: str, _: str) -> Named:
    """Which of its models it chose stands in the record of each call."""
    return Named(arn, ask("GetPromptRouter", _Router, promptRouterArn=arn).prompt_router_name)


class _Kind(msgspec.Struct, frozen=True):
    called: str
    lookup: Callable[[Ask, str, str], Named]
    has_tags: bool = True


_KINDS: Final[Mapping[str, _Kind]] = {
    "application-inference-profile": _Kind("application inference profile", _profile),
    "provisioned-model": _Kind("provisioned model", _provisioned),
    "custom-model-deployment": _Kind("custom model deployment", _deployment),
    "custom-model": _Kind("custom model", _custom),
    "imported-model": _Kind("imported model", _imported),
    "prompt-router": _Kind("prompt router", _router),
    "default-prompt-router": _Kind("default prompt router", _router, has_tags=False),
}

# Geographies and their regions: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_NARROW: Final = (
    ("us-gov", re.compile(r"us-gov-.+")),
    ("jp", re.compile(r"ap-northeast-[13]")),
    ("au", re.compile(r"ap-southeast-[246]")),
    ("in", re.compile(r"ap-south-[12]")),
    ("ca", re.compile(r"ca-.+")),
)
_WIDE: Final = (
    ("us", re.compile(r"us-(?!gov-).+")),
    ("eu", re.compile(r"eu-.+")),
    ("apac", re.compile(r"ap-.+")),
)


def scope_of(region: str, called: Collection[str]) -> str | None:
    """What stands before a model's id to say who serves a profile's calls: `eu.`, `global.`, or nothing for one region.

    A profile of a region without a wide geography of its own may be served by another's, such as ca-central-1's by
    that of the US.

    Args:
        region: the profile's own.
        called: the regions of the models that it calls; empty in the ARN of a model that may be called anywhere.

    Returns:
        None where they fit no geography.
    """
    if "" in called:
        return "global."
    if len(called) < 2:
        return "" if called else None
    has_one = any(geography.fullmatch(region) for _, geography in _WIDE)
    choices = [(set(called), (*_NARROW, *_WIDE)), (set() if has_one else set(called) - {region}, _WIDE)]
    for regions, geographies in choices:
        for name, geography in geographies:
            if regions and all(geography.fullmatch(each) for each in regions):
                return f"{name}."
    return None


class _Search:
    """Looks ids up, a few at once, until `deadline`."""

    def __init__(self, client_of: Callable[[Place], Any], watch: Watch, now: Clock, deadline: float) -> None:
        self._client_of, self._watch, self._now, self._deadline = client_of, watch, now, deadline
        self._clients: dict[Place, Any] = {}
        self._turn = threading.Lock()
        self._failures: dict[tuple[Place, str], list[tuple[str, float]]] = defaultdict(list)

    def run(self, wanted: Sequence[re.Match[str]]) -> dict[str, Found]:
        """What was found, by ARN.

        A thread that waits for an answer when the time is over is left behind, and ends with the process.
        """
        waiting: _Waiting = queue.SimpleQueue()
        results: _Results = queue.SimpleQueue()
        for arn in wanted:
            waiting.put(arn)
        for _ in range(min(_AT_ONCE, len(wanted))):
            threading.Thread(target=self._work, args=(waiting, results), name=THREAD, daemon=True).start()
        found: dict[str, Found] = {}
        while len(found) < len(wanted) and self._has_time:
            self._watch.go_on()
            with suppress(queue.Empty):
                id_, each = results.get(timeout=_STEP_S)
                if isinstance(each, Exception):
                    raise each
                found[id_] = each
        late = Found(None, why="there was no time to look all of them up", until=self._now() + PASSING_S)
        return {arn[0]: found.get(arn[0], late) for arn in wanted}

    @property
    def _has_time(self) -> bool:
        return self._now() < self._deadline

    def _work(self, waiting: "_Waiting", results: "_Results") -> None:
        with suppress(queue.Empty):
            while self._has_time:
                arn = waiting.get_nowait()
                try:
                    results.put((arn[0], self._found(arn)))
                except Exception as fault:  # raised again where the results are awaited
                    results.put((arn[0], fault))

    def _found(self, arn: re.Match[str]) -> Found:
        region, account, resource = arn.groups()
        kind, ask = _KINDS[resource], partial(self._ask, Place(account, region, ""))
        try:
            named = kind.lookup(ask, arn[0], region)
        except _Untold as fault:
            return Found(None, why=str(fault), until=self._now() + fault.lasts_s)
        try:
            tags = ask("ListTagsForResource", _Tags, resourceARN=arn[0]).tags if kind.has_tags else ()
        except _Untold as fault:
            return Found(named, why=str(fault), until=self._now() + fault.lasts_s)
        return Found(named, {tag.key: tag.value for tag in tags}, until=self._now() + KEPT_S)

    def _ask(self, place: Place, operation: str, form: type[Any], **parameters: str) -> Any:
        """AWS's answer.

        Raises:
            _Untold: there is none. What does not depend on the id is asked `_FAILURES` times at most.
        """
        with self._turn:
            failures = self._failures[place, operation]
            if len(failures) >= _FAILURES:
                raise _Untold(*failures[-1])
        try:
            answer = self._answer(self._client(place), operation, parameters)
            return msgspec.convert(answer, form)
        except (ClientError, BotoCoreError) as fault:
            where = f"in {place.region} of account {place.account}"
            code = fault.response.get("Error", {}).get("Code", "") if isinstance(fault, ClientError) else ""
            if code in _GONE:
                raise _Untold(f"Bedrock {where} has none of that id any more") from fault
            if code in _DENIED:
                advice = "'tollbook iam --names' prints the policy"
                failure = (f"bedrock:{operation} is not allowed {where}. {advice}", UNFOUND_S)
            else:
                failure = (f"bedrock:{operation} failed {where} ({code or type(fault).__name__})", PASSING_S)
            with self._turn:
                self._failures[place, operation].append(failure)
            raise _Untold(*failure) from fault
        except msgspec.ValidationError as fault:
            raise _Untold(f"the answer of bedrock:{operation} has a form that is not known") from fault

    def _answer(self, client: Any, operation: str, parameters: Mapping[str, str]) -> Any:
        for pause in _PAUSES_S:
            self._watch.go_on()
            try:
                return getattr(client, xform_name(operation))(**parameters)
            except ClientError as fault:
                if not self._has_time or not (is_throttling(fault) or is_passing(fault)):
                    raise
            self._watch.wait(pause)
        self._watch.go_on()
        return getattr(client, xform_name(operation))(**parameters)

    def _client(self, place: Place) -> Any:
        """One for each place, made once: sessions of boto3 are not for several threads."""
        with self._turn:
            if place not in self._clients:
                try:
                    self._clients[place] = self._client_of(place)
                except SourceError as fault:
                    self._clients[place] = fault
            client = self._clients[place]
        if isinstance(client, SourceError):
            raise _Untold(client.message.removesuffix("."), 0)
        return client


_Waiting = queue.SimpleQueue[re.Match[str]]
_Results = queue.SimpleQueue[tuple[str, Found | Exception]]
