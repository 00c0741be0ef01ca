"""What makes the figures of a report less sure, and the spending behind them harder to answer for."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.money import usd
from tollbook.spend.pricing import PricedRow, Status
from tollbook.spend.principal import UNKNOWN, without_session
from tollbook.spend.query import TAG
from tollbook.spend.report import Report
from tollbook.spend.usage import Trait

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
    unresolved      the model behind an application profile, a provisioned, custom or imported model is not known
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
_NO_MODEL: Final = frozenset({"application-profile", "provisioned", "imported", "custom", "router"})
_ASSUMED: Final = (Status.ASSUMED_5M, Status.ASSUMED_TIER, Status.ASSUMED_REGION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of a finding.

    Attributes:
        name: of a principal, a model, an error or a status, as `Finding.parts_are` says.
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
        usd: of those of the calls that have a price; None where none has.
        calls_share: of all that were served; of `errors`, of all calls.
        usd_share: of all dollars; None where there are none.
        parts: the largest first; what is left over is counted in `parts_left_out`.
        why_it_matters, what_to_do: a sentence each.
    """

    check: Check
    weight: Weight
    calls: int
    errors: int
    usd: Decimal | None
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
        calls, errors, usd: of all that was read.
        text: whether records hold prompts and answers.
        checked: what was looked at.
        findings: the weightiest first; empty where all is in order.
    """

    basis: Basis
    tag: str
    calls: int
    errors: int
    usd: Decimal
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
    whole = _Heap("", "principal", report.rows)
    total = whole.usd or Decimal(0)
    text = _text_of(report.rows, delivery)
    heaps = [*_heaps(report, tag)]
    if text == "logged":
        heaps.append(_with_text(report.rows, delivery))
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
        usd=usd(total),
        text=text,
        checked=checked,
        findings=tuple(found),
    )


def _rank(finding: Finding) -> tuple[int, Decimal, int]:
    """By weight; dollars do not tell how grave the gravest are."""
    dollars = Decimal(0) if finding.weight == "high" else -(finding.usd or Decimal(0))
    return _ORDER.index(finding.weight), dollars, CHECKS.index(finding.check)


class _Heap:
    """Rows that have something in common, added up.

    Attributes:
        check: what they have in common; empty for all rows.
    """

    def __init__(
        self,
        check: Check | Literal[""],
        parts_are: Literal["principal", "model", "error", "status", "region"],
        rows: Iterable[PricedRow],
        names_of: Callable[[PricedRow], Iterable[str]] | None = None,
    ) -> None:
        """
        Args:
            names_of: the parts that a row belongs to; by default its principal.
        """
        self.check, self.parts_are = check, parts_are
        self.rows = tuple(rows)
        self.calls, self.errors, self.usd = _sums(self.rows)
        kinds: dict[str, list[PricedRow]] = defaultdict(list)
        for row in self.rows:
            for name in names_of(row) if names_of else (_who(row),):
                kinds[name].append(row)
        parts = []
        for name, mine in kinds.items():
            calls, errors, cost = _sums(mine)
            parts.append(Part(name=name, calls=calls, errors=errors, usd=None if cost is None else usd(cost)))
        parts.sort(key=lambda part: (-(part.usd or 0), -part.calls - part.errors, part.name))
        self.parts = tuple(parts)

    def is_found(self, whole: "_Heap") -> bool:
        if self.check == "errors":
            return self.errors >= ERRORS_FROM * (whole.calls + whole.errors) and self.errors > 0
        return bool(self.calls or self.errors)


def _sums(rows: Sequence[PricedRow]) -> tuple[int, int, Decimal | None]:
    """Calls that were served, calls that failed, and the dollars of those that have a price."""
    priced = [row.usd for row in rows if row.usd is not None]
    calls, errors = (sum(getattr(row.usage_row.usage, name) for row in rows) for name in ("calls", "errors"))
    return calls, errors, sum(priced, Decimal(0)) if priced else None


def _heaps(report: Report, tag: str) -> Iterator[_Heap]:
    rows = report.rows
    served = [row for row in rows if not row.usage_row.key.failed]
    yield _Heap("root", "principal", (row for row in rows if _who(row) == "root"))
    api_keys = (row for row in rows if _who(row).startswith("user/") and _API_KEY in _who(row))
    yield _Heap("api_keys", "principal", api_keys)
    if tag:
        place = report.query.tags.index(tag)
        untagged = (row for row in served if not (row.usage_row.key.tags or ())[place])
        yield _Heap("untagged", "principal", untagged)
    yield _Heap("unpriced", "model", (row for row in served if row.unpriced_calls), _model)
    opaque = (row for row in served if not row.model.vendor and row.model.kind in _NO_MODEL)
    yield _Heap("unresolved", "model", opaque, _model)
    yield _Heap("errors", "error", (row for row in rows if row.usage_row.key.failed), _error)
    assumed = (row for row in served if not row.statuses.isdisjoint(_ASSUMED))
    yield _Heap("assumed_prices", "status", assumed, _assumptions)
    yield _Heap("gross_counts", "model", (row for row in served if Status.GROSS_ASSUMED in row.statuses), _model)


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
    return Finding(
        check=heap.check,
        weight=_WEIGHTS[heap.check],
        calls=heap.calls,
        errors=heap.errors,
        usd=None if heap.usd is None else usd(heap.usd),
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


def _model(row: PricedRow) -> Sequence[str]:
    return (row.model.id,)


def _error(row: PricedRow) -> Sequence[str]:
    return (row.usage_row.key.error or UNKNOWN,)


def _assumptions(row: PricedRow) -> Sequence[str]:
    return [str(status) for status in _ASSUMED if status in row.statuses]


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
