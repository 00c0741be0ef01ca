"""What makes the figures of a report less sure, and the spending behind them harder to answer for."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import msgspec

from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.money import usd
from tollbook.spend.pricing import PricedRow, Status
from tollbook.spend.principal import UNKNOWN, without_session
from tollbook.spend.query import TAG
from tollbook.spend.report import Report
from tollbook.spend.usage import RowKey, Trait, Usage, UsageRow

Check = Literal[
    "root",
    "text_delivery",
    "unpriced",
    "unresolved",
    "untagged",
    "api_keys",
    "errors",
    "assumed_prices",
    "gross_counts",
]
"""What is looked at.

    root            calls with the credentials of an account's root user
    text_delivery   records hold prompts or answers
    unpriced        calls that no source gives a price for
    unresolved      the model behind an application profile, a router, a custom or an imported model is not known
    untagged        calls without the key of request metadata that was asked for
    api_keys        calls with long-term API keys of Bedrock
    errors          calls that failed
    assumed_prices  priced by an assumption, see `Status`
    gross_counts    cached tokens were taken out of an input count that seems to hold them
"""

Text = Literal["logged", "off", "not_seen", "unknown"]
"""Whether records hold prompts and answers.

    logged     some do
    off        Bedrock's settings say that none does
    not_seen   those records whose answers would have been seen hold none
    unknown    there is no record of which it could be told
"""

Weight = Literal["high", "medium", "low"]

_WEIGHTS: Final[Mapping[Check, Weight]] = {
    "root": "high",
    "text_delivery": "high",
    "unpriced": "high",
    "unresolved": "medium",
    "untagged": "medium",
    "api_keys": "medium",
    "errors": "medium",
    "assumed_prices": "low",
    "gross_counts": "low",
}
CHECKS: Final[tuple[Check, ...]] = tuple(_WEIGHTS)
_ORDER: Final = ("high", "medium", "low")

ERRORS_FROM: Final = Decimal("0.01")
"""The share of all calls from which on failures are a finding."""

_MOST_PARTS: Final = 5
# What `spend.principal` makes of the user that IAM makes for such a key:
# https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-how.html. That its calls are logged under that user's
# name is seen, and documented nowhere.
_API_KEY: Final = "BedrockAPIKey-"
# Not provisioned throughput: it is billed by the hour, whatever model runs on it.
_NO_MODEL: Final = frozenset({"application-profile", "imported", "custom", "router"})
_BY_THE_HOUR: Final = frozenset({"provisioned", "imported"})
_RESERVED: Final = "reserved"
_ASSUMED: Final = (Status.ASSUMED_5M, Status.ASSUMED_TIER, Status.ASSUMED_REGION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of a finding.

    Attributes:
        name: of a principal, a model, an error or a status, as `Finding.parts_are` says.
        calls: that were served; at most, where the finding's are.
        usd: of the calls that have a price; None where none has.
    """

    name: str
    calls: int
    errors: int
    usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to see to.

    Attributes:
        calls: that were served.
        errors: calls that failed.
        usd: of those of the calls that have a price; None where none has, and of what is unpriced.
        is_at_most: `calls`, `usd` and those of the parts are bounds: calls are counted together, and of some together
            it is only known that some are meant. A call may then stand in several parts.
        calls_share: of all that were served; of `errors`, of all calls.
        usd_share: of all dollars; None where there are none.
        parts: those with the most dollars first, or the most calls where there are no dollars or only bounds; what is
            left over is counted in `parts_left_out`.
        why_it_matters, what_to_do: a sentence each.
    """

    check: Check
    weight: Weight
    calls: int
    errors: int
    usd: Decimal | None
    is_at_most: bool
    calls_share: Decimal
    usd_share: Decimal | None
    parts_are: Literal["principal", "model", "error", "status", "region"]
    parts: tuple[Part, ...]
    parts_left_out: int
    why_it_matters: str
    what_to_do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hygiene:
    """What was found.

    Attributes:
        tag: the key of request metadata that every call should have; empty where none was asked for.
        calls, errors: all that were read, served and failed.
        usd: of those that have a price; None where calls were served and none has.
        text: whether records hold prompts and answers.
        checked: what was looked at.
        findings: the weightiest first; empty where all is in order.
    """

    basis: Basis
    tag: str
    calls: int
    errors: int
    usd: Decimal | None
    text: Text
    checked: tuple[Check, ...]
    findings: tuple[Finding, ...]
    schema: Literal["tollbook.hygiene/1"] = "tollbook.hygiene/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelivery:
    """What Bedrock's settings say of a region.

    Attributes:
        contents: the kinds of data that are written down whole, such as `text`; empty for none.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_LoggingConfig.html
    """

    region: str
    contents: tuple[str, ...]


def hygiene_by(tag: str = "") -> tuple[str, ...]:
    """The dimensions that a report must have.

    Args:
        tag: the key of request metadata that every call should have; empty for none.
    """
    return ("model", "principal", "operation", "error", *((f"{TAG}{tag}",) if tag else ()))


def hygiene_of(report: Report, tag: str = "", delivery: Sequence[TextDelivery] | None = None) -> Hygiene:
    """What is to be seen to in the calls of `report`, which is by `hygiene_by(tag)`.

    Args:
        delivery: what Bedrock's settings say; without it, what the records tell.
    """
    rows = _whatever_their_tags(report.rows)
    whole = _Heap("", "principal", rows)
    text = _text_of(rows, delivery)
    heaps = [*_heaps(rows)]
    if tag:
        heaps.append(_untagged(report, tag))
    if text == "logged":
        heaps.append(_with_text(rows, delivery))
    found = [_finding(heap, whole) for heap in heaps if heap.is_found(whole)]
    found.sort(key=_rank)
    checked = tuple(check for check in CHECKS if tag or check != "untagged")
    if text == "unknown":
        checked = tuple(check for check in checked if check != "text_delivery")
    return Hygiene(
        basis=basis_of(report),
        tag=tag,
        calls=whole.calls,
        errors=whole.errors,
        usd=None if whole.usd is None and whole.calls else usd(whole.usd or Decimal(0)),
        text=text,
        checked=checked,
        findings=tuple(found),
    )


def _rank(finding: Finding) -> tuple[int, Decimal, int]:
    """By weight; dollars do not tell how grave the gravest are."""
    dollars = Decimal(0) if finding.weight == "high" else -(finding.usd or Decimal(0))
    return _ORDER.index(finding.weight), dollars, CHECKS.index(finding.check)


def _whatever_their_tags(rows: Iterable[PricedRow]) -> tuple[PricedRow, ...]:
    """Rows that differ by their tags alone, added up: only what is about a tag may depend on which one is asked for.

    What a row tells of some of its calls, it tells the less exactly the more calls it holds.
    """
    together: dict[RowKey, list[PricedRow]] = defaultdict(list)
    for row in rows:
        together[msgspec.structs.replace(row.usage_row.key, tags=None)].append(row)
    return tuple(_added(key, alike) for key, alike in together.items())


def _added(key: RowKey, rows: Sequence[PricedRow]) -> PricedRow:
    usage, traits = Usage(), 0
    for row in rows:
        usage, traits = usage + row.usage_row.usage, traits | row.usage_row.traits
    priced = [row.usd for row in rows if row.usd is not None]
    return msgspec.structs.replace(
        rows[0],
        usage_row=UsageRow(key, usage, traits),
        statuses=frozenset[Status]().union(*(row.statuses for row in rows)),
        usd=sum(priced, Decimal(0)) if priced else None,
        unpriced_calls=sum(row.unpriced_calls for row in rows),
    )


_Counts = Callable[[PricedRow, str], tuple[int, bool]]
"""How many of a row's calls that were served are meant, in a part or, where its name is empty, in all, and whether no
more is known than that there are no more of them."""


class _Heap:
    """Rows that have something in common, added up.

    Attributes:
        check: what they have in common; empty for all rows.
        usd: of the rows that have a price; None where none has, and of what is unpriced.
        is_at_most: see `Finding`.
    """

    def __init__(
        self,
        check: Check | Literal[""],
        parts_are: Literal["principal", "model", "error", "status", "region"],
        rows: Iterable[PricedRow],
        names_of: Callable[[PricedRow], Iterable[str]] | None = None,
        counts: _Counts = lambda row, _part: (row.usage_row.usage.calls, False),
    ) -> None:
        """
        Args:
            names_of: the parts that a row belongs to; by default its principal.
            counts: by default all of its calls are meant.
        """
        self.check, self.parts_are = check, parts_are
        self.rows = tuple(rows)
        self.is_at_most = any(counts(row, "")[1] for row in self.rows)
        self.calls, self.errors, self.usd = self._sums(self.rows, "", counts)
        kinds: dict[str, list[PricedRow]] = defaultdict(list)
        for row in self.rows:
            for name in names_of(row) if names_of else (_who(row),):
                kinds[name].append(row)
        parts = []
        for name, mine in kinds.items():
            calls, errors, cost = self._sums(mine, name, counts)
            parts.append(Part(name=name, calls=calls, errors=errors, usd=None if cost is None else usd(cost)))
        parts.sort(
            key=lambda part: (0 if self.is_at_most else -(part.usd or 0), -part.calls - part.errors, part.name),
        )
        self.parts = tuple(parts)

    def _sums(self, rows: Sequence[PricedRow], part: str, counts: _Counts) -> tuple[int, int, Decimal | None]:
        """Calls that were served, calls that failed, and the dollars of those that have a price."""
        # A call that is unpriced may have a price in part: those dollars are not what is told of here.
        priced = [row.usd for row in rows if row.usd is not None and self.check != "unpriced"]
        calls, errors = sum(counts(row, part)[0] for row in rows), sum(row.usage_row.usage.errors for row in rows)
        return calls, errors, sum(priced, Decimal(0)) if priced else None

    def is_found(self, whole: "_Heap") -> bool:
        if self.check == "errors":
            return self.errors >= ERRORS_FROM * (whole.calls + whole.errors) and self.errors > 0
        return bool(self.calls or self.errors)


def _heaps(rows: Sequence[PricedRow]) -> Iterator[_Heap]:
    served = [row for row in rows if not row.usage_row.key.failed]
    yield _Heap("root", "principal", (row for row in rows if _who(row) == "root"))
    api_keys = (row for row in rows if _who(row).startswith("user/") and _API_KEY in _who(row))
    yield _Heap("api_keys", "principal", api_keys)
    unpriced = (row for row in served if row.unpriced_calls)
    yield _Heap("unpriced", "model", unpriced, _model, lambda row, _part: (row.unpriced_calls, False))
    opaque = (row for row in served if not row.model.vendor and row.model.kind in _NO_MODEL)
    yield _Heap("unresolved", "model", opaque, _model)
    yield _Heap("errors", "error", (row for row in rows if row.usage_row.key.failed), _error)
    assumed = (row for row in served if not row.statuses.isdisjoint(_ASSUMED))
    yield _Heap("assumed_prices", "status", assumed, _assumptions, _assumed)
    gross = (row for row in served if Status.GROSS_ASSUMED in row.statuses)
    yield _Heap("gross_counts", "model", gross, _model, lambda row, _part: _with_status(row, Status.GROSS_ASSUMED))


def _untagged(report: Report, tag: str) -> _Heap:
    place = report.query.tags.index(tag)
    keys = ((row, row.usage_row.key) for row in report.rows)
    return _Heap("untagged", "principal", (row for row, key in keys if not key.failed and not (key.tags or ())[place]))


def _assumed(row: PricedRow, status: str) -> tuple[int, bool]:
    """As `_Counts` says; without a `status`, of all those that are assumptions."""
    if status:
        return _with_status(row, Status(status))
    each = [_with_status(row, status) for status in _ASSUMED if status in row.statuses]
    most = min(row.usage_row.usage.calls, sum(calls for calls, _ in each))
    is_known = (most, False) in each if len(each) > 1 else not each[0][1]
    return most, not is_known


def _with_status(row: PricedRow, status: Status) -> tuple[int, bool]:
    """As `_Counts` says: a row has the statuses of any of its calls."""
    usage = row.usage_row.usage
    most = usage.calls
    if status is Status.ASSUMED_5M:
        most = usage.writing
    elif status is Status.GROSS_ASSUMED:
        most = usage.reading + usage.writing - usage.both
    trait = _TRAITS.get(status)
    in_each = trait is None or all(trait in traits for traits in row.usage_row.combinations())
    return most, not (in_each or row.statuses == {status})


# A region's price is assumed for all calls of a row, or for none.
_TRAITS: Final[Mapping[Status, Trait]] = {
    Status.ASSUMED_5M: Trait.LIFETIME_UNSEEN,
    Status.GROSS_ASSUMED: Trait.GROSS,
    Status.ASSUMED_TIER: Trait.TIER_UNSEEN,
}


def _with_text(rows: Iterable[PricedRow], delivery: Sequence[TextDelivery] | None) -> _Heap:
    """The calls whose records hold prompts or answers; of what the settings say, those of the regions."""
    regions = {each.region for each in delivery or () if each.contents}

    def is_meant(row: PricedRow) -> bool:
        return row.usage_row.key.region in regions if delivery is not None else _shows_text(row)

    return _Heap("text_delivery", "region", filter(is_meant, rows), lambda row: (row.usage_row.key.region or UNKNOWN,))


def _text_of(rows: Sequence[PricedRow], delivery: Sequence[TextDelivery] | None) -> Text:
    if delivery is not None:
        return "logged" if any(each.contents for each in delivery) else "off"
    if any(map(_shows_text, rows)):
        return "logged"
    return "not_seen" if any(map(_would_show_text, rows)) else "unknown"


# Whoever counts a call has looked for its service tier in the answer's body: where that was seen, there was a body.
# For these two the tier is not looked for: see `spend.tally`.
_NO_TIER: Final = frozenset({"InvokeModel", "InvokeModelWithResponseStream", None, ""})


def _shows_text(row: PricedRow) -> bool:
    """Whether some of the records of a row certainly hold the text of an answer."""
    usage = row.usage_row
    if usage.key.failed:
        return False
    saw_tier = any(Trait.TIER_UNSEEN not in traits for traits in usage.combinations())
    return bool(usage.usage.cache_write_1h) or (_would_show_text(row) and saw_tier)


def _would_show_text(row: PricedRow) -> bool:
    return not row.usage_row.key.failed and row.usage_row.key.operation not in _NO_TIER


def _finding(heap: _Heap, whole: _Heap) -> Finding:
    assert heap.check  # noqa: S101 - the heap of all rows is no finding
    calls, of = heap.calls, whole.calls
    if heap.check == "errors":
        calls, of = heap.errors, whole.calls + whole.errors
    why, do = _WORDS[heap.check]
    if heap.check == "unpriced":
        hourly = [_is_by_the_hour(row) for row in heap.rows]
        do = _SEE_BILL if all(hourly) else f"{do} {_SEE_BILL}" if any(hourly) else do
    return Finding(
        check=heap.check,
        weight=_WEIGHTS[heap.check],
        calls=heap.calls,
        errors=heap.errors,
        usd=None if heap.usd is None else usd(heap.usd),
        is_at_most=heap.is_at_most,
        calls_share=_share(Decimal(calls), Decimal(of)) or Decimal(0),
        usd_share=_share(heap.usd, whole.usd),
        parts_are=heap.parts_are,
        parts=heap.parts[:_MOST_PARTS],
        parts_left_out=len(heap.parts[_MOST_PARTS:]),
        why_it_matters=why,
        what_to_do=do,
    )


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    if part is None or not whole:
        return None
    return (part / whole).quantize(Decimal("0.0001"))


def _who(row: PricedRow) -> str:
    return without_session(row.usage_row.key.who or UNKNOWN)


def _is_by_the_hour(row: PricedRow) -> bool:
    """Whether no rate by the token can be given for its calls."""
    return row.model.kind in _BY_THE_HOUR or row.usage_row.key.tier == _RESERVED


def _model(row: PricedRow) -> Sequence[str]:
    return (row.model.id,)


def _error(row: PricedRow) -> Sequence[str]:
    return (row.usage_row.key.error or UNKNOWN,)


def _assumptions(row: PricedRow) -> Sequence[str]:
    return [str(status) for status in _ASSUMED if status in row.statuses]


_SEE_BILL: Final = (
    "Provisioned throughput, reserved capacity and imported models are billed by the time they are kept, not by the "
    "token: see the bill, or compare with it: tollbook reconcile."
)
_WORDS: Final[Mapping[Check, tuple[str, str]]] = {
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html
    "root": (
        "The root user may do everything in the account and cannot be narrowed, and nobody can say who used it.",
        "Call Bedrock with a role, and delete the root user's access keys.",
    ),
    "text_delivery": (
        "Whoever may read these logs reads prompts and answers too, and CloudWatch and S3 charge for their size.",
        "If nobody needs them, switch off text, image, embedding, video and audio in Bedrock's logging settings; then "
        "one-hour cache writes, service tiers and routed models are no longer seen either.",
    ),
    "unpriced": (
        "What these calls cost is missing from every figure.",
        "Give their rates in a file with --prices, or run 'tollbook prices refresh'.",
    ),
    "unresolved": (
        "Without the model behind an id its calls have no price, and no model's total holds them.",
        "Let tollbook look the names up ('tollbook iam SOURCE --names' prints what that needs), or name the models in "
        "a file with --names.",
    ),
    "untagged": (
        "What these calls cost belongs to nobody's budget.",
        "Send the key as requestMetadata of Converse, or as the header X-Amzn-Bedrock-Request-Metadata of InvokeModel.",
    ),
    "api_keys": (
        "A long-term key is a password that can be copied, and its calls carry the key's name rather than that of a "
        "person or a program; that they are logged so is seen, and documented nowhere.",
        "Use roles or short-term keys, and delete the IAM users named BedrockAPIKey-… that nobody needs.",
    ),
    "errors": (
        "Calls that fail do no work, and those that are made again cost time; they count as $0 here.",
        "Look at the most frequent code first; against throttling, spread the calls or use a cross-region profile.",
    ),
    "assumed_prices": (
        "The log does not tell all that the price depends on, so these amounts may be off.",
        "Where exact amounts matter, compare with the bill: tollbook reconcile.",
    ),
    "gross_counts": (
        "Cached tokens were subtracted from input counts that seem to hold them; if they do not, this is too low.",
        "Compare these models with the bill: tollbook reconcile.",
    ),
}
