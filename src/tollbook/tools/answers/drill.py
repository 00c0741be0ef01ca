"""What one principal's or one model's calls consist of: for the dashboard, whose page asks for it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.money import usd
from tollbook.spend.model import label
from tollbook.spend.report import Report, Sum

DRILL_BY: Final = ("principal", "model", "session", "operation")
MOST_SLICES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the calls.

    Attributes:
        name: as the log has it.
        label: what to call it: of a model its short name.
        usd: what the priced part cost; None where nothing is priced.
        status: how sure the price is; sorted.
    """

    name: str
    label: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: Decimal | None
    status: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Calls told apart by something.

    Attributes:
        top: the dearest first, 20 at most.
        others: how many more there are.
    """

    top: tuple[Slice, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """The calls of one principal or of one model, or of one with the other.

    Attributes:
        principal, model: whose, and of which: whole names; empty where it was not asked for.
        sessions: of roles alone; other callers have none.
    """

    basis: Basis
    principal: str
    model: str
    total: Slice
    models: Slices
    principals: Slices
    sessions: Slices
    operations: Slices
    schema: Literal["tollbook.drilled/1"] = "tollbook.drilled/1"


def drilled(report: Report, principal: str, model: str) -> Drilled:
    """The calls of a report by `DRILL_BY` that are of `principal` and `model`, each a whole name or empty for any."""

    def by(dimension: str, is_meant: Callable[[str], bool] = lambda _: True) -> Slices:
        sums: dict[str, Sum] = defaultdict(Sum)
        for group in report.grouped(("principal", "model", dimension)):
            who, what, value = (each or "" for each in group.values)
            if principal in ("", who) and model in ("", what) and is_meant(value):
                sums[value].take(group.sum)
        return _slices(sums.items(), are_models=dimension == "model")

    whole = Sum()
    for group in report.grouped(("principal", "model")):
        who, what = group.values
        if principal in ("", who) and model in ("", what):
            whole.take(group.sum)
    return Drilled(
        basis=basis_of(report),
        principal=principal,
        model=model,
        total=_slice("", "", whole),
        models=by("model"),
        principals=by("principal"),
        sessions=by("session", lambda name: name.startswith("role/") and name.count("/") > 1),
        operations=by("operation"),
    )


def _slices(sums: Iterable[tuple[str, Sum]], *, are_models: bool) -> Slices:
    ordered = sorted(sums, key=lambda each: (-(each[1].usd or 0), -each[1].tokens, -each[1].calls, each[0]))
    top = [_slice(name, label(name) if are_models else name, total) for name, total in ordered[:MOST_SLICES]]
    return Slices(top=tuple(top), others=max(0, len(ordered) - MOST_SLICES))


def _slice(name: str, called: str, total: Sum) -> Slice:
    return Slice(
        name=name,
        label=called,
        calls=total.calls,
        errors=total.errors,
        input_tokens=total.input,
        output_tokens=total.output,
        cache_read_tokens=total.cache_read,
        cache_write_tokens=total.cache_write,
        usd=None if total.usd is None else usd(total.usd),
        status=tuple(sorted(total.statuses)),
    )
