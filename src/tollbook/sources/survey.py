"""A question put to several places at once: what reading them will cost, then what they hold, kept days first."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from tollbook.core.errors import SourceError, StoreDown
from tollbook.sources.kept.days import KeptDay, KeptDays, Key, counted_of, counts_alike, kept_of, key_of
from tollbook.sources.plan import plan, whole_day
from tollbook.sources.reading import Choice, Estimate, Place, Spot, Stretch, Taken, Watch
from tollbook.spend.ledger import ledger_query
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.tally import Counted

Item = TypeVar("Item")
Result = TypeVar("Result")

_AT_ONCE: Final = 8  # places; each of them reads in parallel, too
_PORTION: Final = 16  # kept days


class Scan(msgspec.Struct, frozen=True):
    """What reading took.

    Attributes:
        place: what was read, or taken from kept days.
        engine, why: what read it, and why that did; empty where everything was kept.
        days: whole days that were read.
        kept: days that had been kept.
        calls: that were served, among all that was found there.
        failed: how many failed, by the code of their error; empty if the query does not ask for that.
        models: the ids that were called.
        is_whole: nothing of it was left unread.
    """

    place: Place
    engine: str
    why: str
    bytes: int
    requests: int
    usd: Decimal
    days: int
    kept: int
    calls: int
    failed: Mapping[str, int]
    models: frozenset[str]
    is_whole: bool


class Findings(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        scans: of each place that could be read.
        notes: sentences for whoever sees all.
        always: sentences that tell nothing of any record, for everyone.
        unread: see `Report`.
    """

    counted: Counted
    scans: tuple[Scan, ...]
    notes: tuple[str, ...]
    always: tuple[str, ...]
    unread: tuple[str, ...]


class Kept(msgspec.Struct):
    """What kept days tell, in the form of the question: the days themselves would take far more memory."""

    counted: Counted = msgspec.field(default_factory=Counted)
    days: int = 0
    notes: list[str] = []
    blind_to: list[str] = []

    def add(self, day: KeptDay, query: Query) -> None:
        self.counted.add(counted_of(day, query))
        self.days += 1
        self.notes += day.notes
        self.blind_to += day.blind_to


class Piece(msgspec.Struct, frozen=True):
    """What is to be done at one place.

    Attributes:
        kept: what was kept of it.
        missing: days that are read to be kept.
        anew: stretches that are read for this question alone.
        choice: None where nothing is to be read.
    """

    place: Place
    kept: Kept
    missing: Mapping[Key, Stretch]
    anew: Sequence[Stretch]
    quarters: bool
    choice: Choice | None
    estimate: Estimate


class _Outcome(msgspec.Struct, frozen=True):
    """What a piece came to.

    Attributes:
        whole: the days that were read without a hole.
    """

    counted: Counted
    scan: Scan
    notes: tuple[str, ...]
    unread: tuple[str, ...]
    whole: Mapping[Key, KeptDay]


class Survey(msgspec.Struct, frozen=True):
    """A question whose cost is known, and that is still to be answered.

    Attributes:
        pieces: what will be done, place by place.
        unread: sentences on the places that cannot be read.
        notes: sentences for whoever sees all.
    """

    query: Query
    pieces: tuple[Piece, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]
    kept: KeptDays | None
    tags: tuple[str, ...]
    names: Mapping[str, Named]
    now: datetime

    @property
    def estimate(self) -> Estimate:
        """What all of it will come to."""
        parts = [piece.estimate for piece in self.pieces]
        return Estimate(
            bytes=sum(part.bytes for part in parts),
            requests=sum(part.requests for part in parts),
            usd=sum((part.usd for part in parts), Decimal(0)),
            seconds=max((part.seconds for part in parts), default=0.0),  # places are read at the same time
            basis="; ".join(dict.fromkeys(part.basis for part in parts if part.basis)),
        )

    def read(self, watch: Watch) -> Findings:
        """Reads what no kept day tells, and answers.

        Raises:
            SourceError: no place could be read.
            Halted: see `Watch`.
        """
        outcomes, faults = _at_each(self.pieces, lambda piece: self._outcome(piece, watch), watch)
        if not outcomes:
            raise SourceError(*_together([*self.unread, *faults]))
        counted, notes = Counted(), [*self.notes]
        always: list[str] = []
        for outcome in outcomes:
            counted.add(outcome.counted)
            notes += outcome.notes
        notes += self._keep(outcomes)
        for piece in self.pieces:
            always += piece.choice.source.blind_to if piece.choice else ()
            always += piece.kept.blind_to
        return Findings(
            counted,
            tuple(outcome.scan for outcome in outcomes),
            tuple(dict.fromkeys(notes)),
            tuple(dict.fromkeys(always)),
            (*self.unread, *faults, *(sentence for outcome in outcomes for sentence in outcome.unread)),
        )

    def _outcome(self, piece: Piece, watch: Watch) -> _Outcome:
        days: dict[Key, KeptDay] = {}
        whole: dict[Key, KeptDay] = {}
        closed, anew, faults = self._taken(piece, watch)
        if piece.choice is not None:
            source = piece.choice.source
            for key, taken in zip(piece.missing, closed, strict=False):  # none of them where nothing could be read
                days[key] = kept_of(
                    taken, key, engine=source.engine, blind_to=source.blind_to, read_at=self.now, names=self.names
                )
                if not taken.unread:
                    whole[key] = days[key]
        counted = Counted()
        counted.add(piece.kept.counted)
        for day in days.values():
            counted.add(counted_of(day, self.query))
        for taken in anew:
            counted.add(taken.counted)
        read = [*closed, *anew]
        rows = list(counted.rows())
        failed: Counter[str] = Counter()
        for row in rows:
            failed[row.key.error or ""] += row.usage.errors
        unread = [*faults, *(sentence for taken in read for sentence in taken.unread)]
        scan = Scan(
            piece.place,
            piece.choice.source.engine if piece.choice else "",
            piece.choice.why if piece.choice else "",
            bytes=sum(taken.bytes for taken in read),
            requests=sum(taken.requests for taken in read),
            usd=sum((taken.usd for taken in read), Decimal(0)),
            days=len(closed),
            kept=piece.kept.days,
            calls=sum(row.usage.calls for row in rows),
            failed={code: number for code, number in failed.items() if code and number},
            models=frozenset(row.key.model_id for row in rows),
            is_whole=not unread,
        )
        notes = [*piece.kept.notes, *(note for taken in read for note in taken.notes)]
        return _Outcome(counted, scan, tuple(notes), tuple(unread), whole)

    def _taken(self, piece: Piece, watch: Watch) -> tuple[Sequence[Taken], Sequence[Taken], list[str]]:
        """What is read at a place, of days to keep and of other stretches; and what of it could not be.

        Raises:
            SourceError: there is nothing, read or kept.
            Halted: see `Watch`.
        """
        if piece.choice is None:
            return (), (), []
        # Of the window sources look at nothing but the zone.
        ledger = ledger_query(self.now, self.now, self.tags, quarters=piece.quarters)
        taken: list[Sequence[Taken]] = []
        faults: list[SourceError] = []
        for stretches, query in ((list(piece.missing.values()), ledger), (piece.anew, self.query)):
            try:
                taken.append(piece.choice.source.read(stretches, query, watch) if stretches else ())
            except SourceError as fault:
                taken.append(())
                faults.append(fault)
        closed, anew = taken
        if faults and not (closed or anew or piece.kept.days):
            raise faults[0]
        return closed, anew, [str(fault) for fault in faults]

    def _keep(self, outcomes: Iterable[_Outcome]) -> Iterator[str]:
        """Keeps the days that were read; yields what cannot be done."""
        whole = {key: day for outcome in outcomes for key, day in outcome.whole.items()}
        if self.kept is not None and whole:
            try:
                self.kept.keep(whole)
            except StoreDown as fault:
                yield f"the days that were read could not be kept, and will be read again: {fault}"


def survey(
    query: Query,
    spots: Sequence[Spot],
    kept: KeptDays | None,
    tags: Sequence[str],
    names: Mapping[str, Named],
    now: datetime,
    watch: Watch,
    *,
    fresh: bool = False,
) -> Survey:
    """Finds out what answering `query` will take.

    Args:
        kept: holds the days that were read before; None if none are to be kept.
        tags: the keys of request metadata that kept rows tell.
        names: what opaque model ids stand for; a day that was counted without is read anew.
        fresh: kept days are read anew, and kept anew, as far as their records still lie there.

    Raises:
        UsageError: the window has no beginning.
        SourceError: no place can be read.
        Halted: see `Watch`.
    """
    planned = plan(query, now, None if kept is None else tags)
    notes: list[str] = []

    def piece(spot: Spot) -> Piece:
        place = spot.locate(watch)
        keys = {key_of(place, day, planned.quarters, tags): whole_day(day) for day in planned.closed}
        # What is no longer there whole cannot be read anew, nor be kept.
        lasting = {key for key, day in keys.items() if spot.since is None or day.since >= spot.since}
        told = Kept()
        found: set[Key] = set()
        if kept is not None:
            wanted = [key for key in keys if not fresh or key not in lasting]
            try:
                for key, day in _in_portions(kept, wanted, watch):
                    if counts_alike(day, names) or key not in lasting:
                        told.add(day, query)
                        found.add(key)
            except StoreDown as fault:
                notes.append(f"not all kept days could be used: {fault}")
        missing = {key: day for key, day in keys.items() if key in lasting and key not in found}
        fading = [day for key, day in keys.items() if key not in lasting and key not in found]
        anew = [each for each in sorted([*fading, *planned.anew]) if spot.since is None or each.until > spot.since]
        if spot.since is not None and any(each.since < spot.since for each in (*fading, *planned.anew)):
            notes.append(f"{place} holds nothing from before {spot.since:%Y-%m-%d %H:%M} UTC")
        stretches = sorted([*missing.values(), *anew])
        if not stretches:
            return Piece(place, told, {}, (), planned.quarters, None, Estimate())
        choice = spot.choose(stretches, watch)
        estimate = choice.source.estimate(stretches, watch)
        return Piece(place, told, missing, anew, planned.quarters, choice, estimate)

    pieces, faults = _at_each(spots, piece, watch)
    pieces = list({piece.place: piece for piece in pieces}.values())  # an account may be named twice
    if not pieces:
        raise SourceError(*_together(faults))
    return Survey(query, tuple(pieces), tuple(faults), tuple(dict.fromkeys(notes)), kept, tuple(tags), names, now)


def _in_portions(kept: KeptDays, keys: Sequence[Key], watch: Watch) -> Iterator[tuple[Key, KeptDay]]:
    """The kept days among `keys`, of which few are in memory at once.

    Raises:
        StoreDown: the store cannot be reached.
        Halted: see `Watch`.
    """
    for start in range(0, len(keys), _PORTION):
        watch.go_on()
        yield from kept.find(keys[start : start + _PORTION]).items()


def _at_each(items: Sequence[Item], work: Callable[[Item], Result], watch: Watch) -> tuple[list[Result], list[str]]:
    """What `work` gives for each of `items`, done at the same time; and sentences on those that cannot be read.

    Raises:
        Halted: see `Watch`.
    """
    with ThreadPoolExecutor(_AT_ONCE, "tollbook-place") as threads:
        futures = [threads.submit(work, item) for item in items]
        try:
            return _sorted_out(futures)
        except BaseException:
            watch.halt()  # what still reads stops; the pool waits for it
            raise


def _sorted_out(futures: Sequence["Future[Result]"]) -> tuple[list[Result], list[str]]:
    results, faults = [], []
    for future in futures:
        try:
            results.append(future.result())
        except SourceError as fault:
            faults.append(str(fault))
    return results, list(dict.fromkeys(faults))


def _together(faults: Sequence[str]) -> tuple[str, Sequence[str]]:
    """One error's message and what is more to it."""
    if len(faults) == 1:
        return faults[0], ()
    return "None of the places can be read:", faults
