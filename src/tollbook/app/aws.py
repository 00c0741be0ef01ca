"""Questions to logs on AWS: which places are meant, what they hold, and what is told beside it."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollbook.app.aws_settings import NONE, AwsSettings
from tollbook.app.book import content_of, price_book
from tollbook.core import measures
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.sources.aws.buckets import Table, folders
from tollbook.sources.aws.cloudwatch.log_group import LogGroup
from tollbook.sources.aws.cloudwatch.metrics import REJECTED, compared, coverage_of
from tollbook.sources.aws.cloudwatch.pace import Paces
from tollbook.sources.aws.name_cache import NameCache, NamesFile
from tollbook.sources.aws.names import resolve
from tollbook.sources.aws.reach.access import Access, OutOfReach
from tollbook.sources.named import CLOUDWATCH, Named
from tollbook.sources.reading import Place, Spot, Stretch, Watch
from tollbook.sources.survey import Findings, Scan, Survey, survey
from tollbook.spend.model import Named as ModelNamed
from tollbook.spend.model import model_of, read_names
from tollbook.spend.query import Query
from tollbook.spend.render.words import counted, dollars, measure
from tollbook.spend.report import Report, report_of

if TYPE_CHECKING:
    from botocore.session import Session

    from tollbook.sources.kept.days import KeptDays

_MOST_PLACES: Final = 200
_MEASURED_PLACES: Final = 8  # of which metrics are asked; each takes some requests


class Asked(msgspec.Struct, frozen=True):
    """Which of the places are meant.

    Attributes:
        region, account: empty for all.
        log_group: empty for every one that is configured.
        subject: who asks, as CloudTrail shall name him.
    """

    query: Query
    region: str = ""
    account: str = ""
    log_group: str = ""
    subject: str = ""
    fresh: bool = False


class AwsBook:
    """Answers questions from logs on AWS. For any thread."""

    def __init__(
        self,
        sources: Sequence[Named],
        settings: AwsSettings,
        *,
        price_file: Path | None = None,
        names_file: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        session: "Session | None" = None,
    ) -> None:
        """Asks AWS for nothing yet.

        Args:
            sources: of one kind, and none of them files.
            session: botocore's; see `Access`.
            clock: tells which days are over; aware.

        Raises:
            UsageError: the list of accounts cannot be used.
        """
        self._sources, self._settings = tuple(sources), settings
        self._price_file, self._names_file, self._clock = price_file, names_file, clock
        self._access = Access(
            settings.listed(), settings.home_region or next(iter(settings.regions), None), session=session
        )
        self._paces = Paces()
        self._found_names: NameCache = NamesFile(settings.cache / "names.json")
        self._kept: KeptDays | None = None
        self._lock = threading.Lock()

    @property
    def log_groups(self) -> tuple[str, ...]:
        """Those that may be asked about; none where the logs lie elsewhere."""
        return tuple(each.name for each in self._sources if each.kind in CLOUDWATCH)

    def check(self) -> None:
        """Looks at what every question needs, without asking AWS.

        Raises:
            TollbookError: prices, names, or the place for closed days cannot be used.
        """
        price_book(self._price_file)
        self.names()
        for region in self._settings.regions:
            self._access.check_region(region)
        self._closed_days()

    def survey(self, asked: Asked, watch: Watch) -> Survey:
        """Finds out what answering will take.

        Raises:
            TollbookError: what was asked makes no sense, or nothing can be read.
            Halted: see `Watch`.
        """
        now, access = self._clock(), self._access.of(asked.subject)
        names = {**self._names_of_before(), **self.names()}
        spots = list(self._spots(asked, access, now, names, watch))
        if len(spots) > _MOST_PLACES:
            raise UsageError(f"More than {_MOST_PLACES} places are meant. Name an account or a region.")
        tags = self._settings.tags
        by = tuple(dict.fromkeys((*asked.query.by, "error")))  # CloudWatch counts some of the calls that failed
        query = msgspec.structs.replace(asked.query, by=by)
        return survey(query, spots, self._closed_days(), tags, names, now, watch, fresh=asked.fresh)

    def report(
        self, surveyed: Survey, asked: Asked, by: tuple[str, ...], watch: Watch, always: Iterable[str] = ()
    ) -> Report:
        """Reads, and answers.

        Args:
            always: sentences for everyone, whoever he is.

        Raises:
            TollbookError: nothing can be read, or the prices cannot.
            Halted: see `Watch`.
        """
        findings = surveyed.read(watch)
        measures.add("ScannedBytes", sum(scan.bytes for scan in findings.scans), "Bytes")
        measures.add("ScanDollars", float(sum(scan.usd for scan in findings.scans)))
        book, price_notes = price_book(self._price_file)
        access = self._access.of(asked.subject)
        names, name_notes = self._looked_up(findings, surveyed.names, access, watch)
        notes = [
            *map(_told, findings.scans),
            *self._coverage(surveyed, findings, access, watch),
            *findings.notes,
            *name_notes,
            *price_notes,
        ]
        query = surveyed.query
        said = (*findings.always, *always)
        return report_of(findings.counted, query, by, book, names, notes, said, findings.unread)

    def _spots(
        self, asked: Asked, access: Access, now: datetime, names: Mapping[str, ModelNamed], watch: Watch
    ) -> Iterator[Spot]:
        if asked.region:
            self._check_region(asked.region, access)
        regions = (asked.region,) if asked.region else self._settings.regions
        for source in self._sources:
            if source.kind in CLOUDWATCH:
                if asked.log_group in ("", source.name):
                    yield from self._groups(source, asked, access, now, names)
            elif source.kind == "s3":
                yield from folders(source.name, regions, asked.account, access, names, watch)
            else:
                yield Table(
                    source.name,
                    access,
                    names,
                    workgroup=self._settings.athena_workgroup,
                    output=self._settings.athena_output,
                    accounts=filter(None, (asked.account,)),
                    regions=regions,
                )

    def _groups(
        self, source: Named, asked: Asked, access: Access, now: datetime, names: Mapping[str, ModelNamed]
    ) -> Iterator[Spot]:
        accounts = (asked.account,) if asked.account else ("", *access.accounts.listed)
        regions = (asked.region,) if asked.region else self._settings.regions or (access.home_region,)
        if asked.account:
            self._check_account(asked.account, access)
        for account in accounts:
            for region in regions:
                place = Place(account, region, source.name)
                yield LogGroup(place, source.kind, access, self._paces, now, names)  # type: ignore[arg-type]

    def _check_region(self, region: str, access: Access) -> None:
        """
        Raises:
            UsageError: AWS has no such region, or it is none of those that are read here, which `more` names.
        """
        try:
            access.check_region(region)
        except OutOfReach as fault:
            raise UsageError(str(fault)) from fault
        known = self._settings.regions
        if known and region not in known:
            raise UsageError(f"Region {region} is not read here.", (f"There are {', '.join(known)}.",))

    def _check_account(self, account: str, access: Access) -> None:
        """Where it is not on the list, AWS is asked, once, whether it is that of the credentials.

        Raises:
            UsageError: the account is none of those that are read here, which `more` names.
            SourceError: AWS does not say whose the credentials are.
        """
        listed = access.accounts.listed
        if account not in listed and account != (own := access.own_account()):
            known = ", ".join(access.accounts.name_of(each) for each in sorted({own, *listed}))
            raise UsageError(f"Account {account} is not read here.", (f"There are {known}.",))

    def names(self) -> Mapping[str, ModelNamed]:
        """What the user says that opaque model ids stand for.

        Raises:
            UsageError: his file cannot be used.
        """
        return {} if self._names_file is None else read_names(content_of(self._names_file), str(self._names_file))

    def _closed_days(self) -> "KeptDays | None":
        with self._lock:
            where = self._settings.closed_days or f"sqlite:{self._settings.cache / 'days.db'}"
            if self._kept is None and where != NONE:
                self._kept = self._opened(where)
            return self._kept

    def _opened(self, where: str) -> "KeptDays":
        if where.startswith("s3://"):
            from tollbook.sources.kept.s3 import S3Days

            return S3Days(self._access.own_client("s3", self._access.home_region), where)
        from tollbook.sources.kept.sqlite import SqliteDays

        return SqliteDays(Path(where.removeprefix("sqlite:")))

    def _looked_up(
        self, findings: Findings, names: Mapping[str, ModelNamed], access: Access, watch: Watch
    ) -> tuple[Mapping[str, ModelNamed], Sequence[str]]:
        """What opaque model ids stand for: what was known when the records were counted, else what AWS says now.

        How calls of OpenAI's models are counted depends on knowing them; one that is known only now is left unpriced.
        """
        if "names" not in self._settings.look_up:
            return names, ()
        ids = {row.key.model_id for row in findings.counted.rows()}
        wanted = [id_ for id_ in ids if id_ not in names and id_.rpartition("/")[2] not in names]
        found = resolve(
            wanted, lambda place: access.client("bedrock", place), self._found_names, time.time, watch=watch
        )
        late = {id_ for id_, each in found.names.items() if model_of(id_, {id_: each}).vendor == "openai"}
        fresh = {id_: each for id_, each in found.names.items() if id_ not in late}
        again = (
            "what stands for a model of OpenAI's was learnt only now: ask again, and it is counted and priced as such"
        )
        return {**fresh, **names}, (*found.notes, *([again] if late else ()))

    def _names_of_before(self) -> Mapping[str, ModelNamed]:
        """What AWS said in the last day that opaque model ids stand for."""
        return self._found_names.named(time.time()) if "names" in self._settings.look_up else {}

    def _coverage(self, surveyed: Survey, findings: Findings, access: Access, watch: Watch) -> Iterator[str]:
        """How much of what CloudWatch counts the logs hold, for log groups."""
        window, now = surveyed.query.window, surveyed.now
        if "metrics" not in self._settings.look_up or window.since is None or not self.log_groups:
            return
        stretch = Stretch(window.since, min(window.until or now, now.replace(second=0, microsecond=0)))

        # CloudWatch counts for an account and region, whichever log group its calls are written to.
        together: dict[tuple[str, str], list[Scan]] = defaultdict(list)
        for scan in findings.scans:
            together[scan.place.account, scan.place.region].append(scan)

        def sentence(scans: Sequence[Scan]) -> str:
            place = scans[0].place
            try:
                client = access.client("cloudwatch", place)
            except (SourceError, UsageError):
                return ""
            models = frozenset[str]().union(*(scan.models for scan in scans))
            coverage = coverage_of(client, stretch, now, models=models, watch=watch)
            failed = sum(number for scan in scans for code, number in scan.failed.items() if code not in REJECTED)
            where = f"{place.region} of account {place.account}"
            calls = sum(scan.calls for scan in scans)
            return "" if coverage is None else compared(coverage, where, calls, failed=failed)

        whole = [scans for scans in together.values() if all(scan.is_whole for scan in scans)]
        with ThreadPoolExecutor(_MEASURED_PLACES) as threads:
            yield from filter(None, threads.map(sentence, whole[:_MEASURED_PLACES]))


def _told(scan: Scan) -> str:
    """A sentence on what reading a place took."""
    parts = []
    if scan.engine:
        cost = f", which cost {dollars(scan.usd)}" if scan.usd else ""
        reason = f" ({scan.why})" if scan.why else ""
        parts.append(
            f"{measure(scan.bytes)} read by {scan.engine}{reason} in {counted(scan.requests, 'request')}{cost}"
        )
    if scan.kept:
        parts.append(f"{counted(scan.kept, 'day')} taken from those kept")
    return f"{printable(str(scan.place))}: {'; '.join(parts) or 'nothing to read'}"


def estimated(surveyed: Survey) -> str:
    """A sentence on what answering will take."""
    estimate = surveyed.estimate
    usd = dollars(estimate.usd) if estimate.usd else "no dollars"
    minutes = estimate.seconds / 60
    time_ = f"{minutes:.0f} minutes" if minutes >= 2 else f"{max(1, round(estimate.seconds))} s"
    return f"about {measure(estimate.bytes)}, {usd} of AWS charges, {time_}"


def is_within(surveyed: Survey, usd: Decimal, most_bytes: int) -> bool:
    """Whether answering takes no more than that; 0 bytes are any number."""
    estimate = surveyed.estimate
    return estimate.usd <= usd and (not most_bytes or estimate.bytes <= most_bytes)
