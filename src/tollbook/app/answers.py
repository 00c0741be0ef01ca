"""What people ask beyond totals, answered from logs that a user names. Only what is asked for is loaded."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tollbook.app.book import price_book
from tollbook.app.reports import Logs, Read, Span
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.sources.discovery import STDIN
from tollbook.spend.query import Filter, Query
from tollbook.spend.render.words import rejected, stretch
from tollbook.spend.report import Report
from tollbook.spend.window import Window, instant, zone_of

if TYPE_CHECKING:
    from tollbook.spend.answers.anomalies import Anomalies
    from tollbook.spend.answers.budgets import Budget, Burn
    from tollbook.spend.answers.explain import Explanation
    from tollbook.spend.answers.forecast import Forecast
    from tollbook.spend.answers.hygiene import Hygiene
    from tollbook.spend.answers.overview import Overview
    from tollbook.spend.answers.reconcile import Bill, Reconciliation
    from tollbook.spend.answers.what_if import Change, WhatIf

_WEEK: Final = 7
_MONTH: Final = 30
_A_DAY: Final = timedelta(days=1)


class Answers:
    """Answers questions from logs."""

    def __init__(self, logs: Logs, read: Read, span: Span, only: Filter) -> None:
        """Reads nothing yet.

        Args:
            read: reads `logs`.
            span: the time that was asked for; each question has its own where there is none.
            only: which calls are meant.

        Raises:
            UsageError: there is no such time zone, or no such moment.
        """
        self._logs, self._read, self._span, self._only = logs, read, span, only
        self._zone, self._now = zone_of(span.tz), span.moment()

    def explain(self, against: tuple[str | None, str | None] = (None, None)) -> "Explanation":
        """Why days cost more or less than others: the last seven whole days if no others are asked for.

        Args:
            against: since when and until when the others are, as written; as many just before if both are None.

        Raises:
            TollbookError: what was asked makes no sense, or cannot be read.
        """
        from tollbook.spend.answers import explain

        if self._span.since is None and self._span.until is None:
            before, after = explain.last_whole_days(self._days, self._now, self._zone)
        else:
            after = self._span.window()
            before = explain.preceding(after)
        if against != (None, None):
            before = self._against(*against)
        report = self._report(explain.hull(before, after), explain.EXPLAIN_BY)
        return explain.explanation_of(report, before, after, self._now)

    def _against(self, since: str | None, until: str | None) -> Window:
        if since is None or until is None:
            raise UsageError("--against-since and --against-until say together which days to compare with. Give both.")
        start = instant("--against-since", since, self._zone)
        end = instant("--against-until", until, self._zone, end_of_day=True)
        if end <= start:
            raise UsageError(f"--against-until {until} comes before --against-since {since}. Exchange the two.")
        return Window(start, end, self._zone)

    def forecast(self) -> "Forecast":
        """Where the month ends.

        Raises:
            TollbookError: there are too few days, or they cannot be read.
        """
        from tollbook.spend.answers import forecast

        report = self._report(forecast.forecast_window(self._now, self._zone), forecast.FORECAST_BY)
        return forecast.forecast_of(report, self._now)

    def anomalies(self, floor_usd: Decimal) -> "Anomalies":
        """What stands out in the last days, seven if no other number is asked for.

        Args:
            floor_usd: the least excess that is told.

        Raises:
            TollbookError: what was asked makes no sense, or cannot be read.
        """
        from tollbook.spend.answers import anomalies

        window = anomalies.anomalies_window(self._days, self._now, self._zone)
        report = self._report(window, anomalies.ANOMALIES_BY)
        return anomalies.anomalies_of(report, self._days, self._now, floor_usd)

    def what_if(self, change: "Change") -> "WhatIf":
        """What the calls would have cost with `change`, of the last 30 days if no others are asked for.

        Raises:
            TollbookError: what was asked makes no sense, or cannot be read.
        """
        from tollbook.spend.answers import what_if

        book, _ = price_book(self._logs.price_file)
        what_if.checked(change, book)
        return what_if.what_if_of(self._report(self._usual_window(), what_if.WHAT_IF_BY), change, book)

    def budgets(self, known: "tuple[Budget, ...]") -> "Burn":
        """How budgets stand.

        Raises:
            TollbookError: the logs cannot be read.
        """
        from tollbook.spend.answers import budgets

        report = self._report(
            budgets.budgets_window(known, self._now, self._zone), budgets.budgets_by(known), may_be_empty=True
        )
        return budgets.burn_of(report, known, self._now)

    def hygiene(self, tag: str) -> "Hygiene":
        """What to see to, in the last 30 days if no others are asked for.

        Args:
            tag: the key of request metadata that every call should have; empty for none.

        Raises:
            TollbookError: what was asked makes no sense, or cannot be read.
        """
        from tollbook.spend.answers import hygiene

        return hygiene.hygiene_of(self._report(self._usual_window(), hygiene.hygiene_by(tag)), tag)

    def reconcile(self, bill: "Callable[[date, date], Bill]") -> "Reconciliation":
        """The estimate beside the bill, of the last 30 days if no others are asked for.

        Args:
            bill: says what was billed from a day of UTC until before another.

        Raises:
            TollbookError: what was asked makes no sense, the logs cannot be read, or the bill.
        """
        from tollbook.spend.answers import reconcile

        window = self._usual_window()
        report = self._report(window, reconcile.RECONCILE_BY)
        if report.since is None or report.until is None:
            raise SourceError("There are no days to compare. Name them with --since and --until.")
        days = [time.astimezone(window.zone).date() for time in (report.since, report.until - _A_DAY / 2)]
        return reconcile.reconciliation_of(report, bill(days[0], days[1] + _A_DAY))

    @property
    def _days(self) -> int:
        return _WEEK if self._span.days is None else self._span.days

    def _usual_window(self) -> Window:
        return self._span.or_days(_MONTH).window()

    def _report(self, window: Window, by: tuple[str, ...], *, may_be_empty: bool = False) -> Report:
        """
        Raises:
            SourceError: no call that is meant lies in `window`; says where there are some, and which lines are none.
        """
        report = self._read(Query(window, by, self._only), by)
        if report.rows or (may_be_empty and not self._logs.are_files):
            return report
        is_closed = window.since is not None and window.until is not None
        place = stretch(window.since, window.until, window.zone) if is_closed else "the time that was asked for"
        if report.unread:
            raise SourceError(f"Nothing could be read of {place}:", report.unread)
        if not self._logs.are_files or STDIN in self._logs.sources:
            raise SourceError(f"No {self._calls} lie in {place}. Ask for another time with --now.", [*rejected(report)])
        by_day = ("day",)
        whole = self._read(Query(Window(None, None, window.zone), by_day, self._only), by_day)
        found, also = whole.groups, [*rejected(whole)]
        if not found:
            raise SourceError(f"There are no {self._calls} in these logs.", also)
        first, last = (date.fromisoformat(group.values[0] or "") for group in (found[0], found[-1]))
        raise SourceError(f"No {self._calls} lie in {place}: these logs have them {self._advice(first, last)}", also)

    @property
    def _calls(self) -> str:
        asked = ", ".join(f"{name} {printable(getattr(self._only, name))}" for name in self._only.dimensions)
        return f"calls with {asked}" if asked else "calls"

    def _advice(self, first: date, last: date) -> str:
        days = f"on {first}" if first == last else f"from {first} to {last}"
        if self._span.since is not None or self._span.until is not None:
            return f"{days}. Ask for some of those days."
        return f"{days}. Add --now {last + _A_DAY}."


def dashboard(read: Read, span: Span) -> "Overview":
    """What the page shows: the days that are asked for, or all that was read where none are.

    The last days up to today are compared with as many before them; any others are halved.

    Raises:
        TollbookError: what was asked makes no sense, or cannot be read.
    """
    from tollbook.spend.answers import overview

    window, now, by = span.window(), span.moment(), overview.OVERVIEW_BY
    if span.days is not None:
        window = overview.overview_window(span.days, now, window.zone)
    return overview.overview_of(read(Query(window, by), by), now, span.days)
