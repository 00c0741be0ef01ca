"""How much of what CloudWatch's metrics count the logs hold.

Sources:
    https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-runtime-metrics.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tollbook.sources.reading import Stretch, Watch

REJECTED: Final = frozenset({"ThrottlingException", "ValidationException"})
"""Error codes of calls that `Invocations` does not count: they were turned away before any work.

"This count includes requests that later failed with a client-side or server-side error. It doesn't include throttled
requests, or requests that were rejected during input validation." Older versions of that page counted successful
requests alone.
"""

_NAMESPACE: Final = "AWS/Bedrock"
_DIMENSION: Final = "ModelId"
_METRICS: Final = ("Invocations", "InputTokenCount", "OutputTokenCount")
_QUERIES: Final = 500  # of one request
_PAGES: Final = 200
_FORGOTTEN: Final = timedelta(days=14)  # ListMetrics leaves out what had no data for two weeks
_SETTLED: Final = timedelta(minutes=15)  # a guess; AWS says nothing of how late these metrics may come
# Periods in seconds, and the age up to which data of so short a one is kept.
_KEPT: Final = ((60, timedelta(days=15)), (300, timedelta(days=63)), (3600, timedelta(days=455)))
_PERIODS: Final = (3600, 1800, 900, 300, 60)
_SOUND: Final = ("Complete", "PartialData")  # a part is followed by the rest


class Coverage(msgspec.Struct, frozen=True):
    """What CloudWatch counts, in one account and region and in one stretch of time.

    Attributes:
        invocations: requests to Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream.
        input_tokens, output_tokens: of these; without those read from a cache or written to one.
        is_whole: models whose last call lies two weeks back are counted, too.
        is_settled: all of it has likely arrived.
    """

    invocations: int
    input_tokens: int
    output_tokens: int
    is_whole: bool = True
    is_settled: bool = True


def period_of(stretch: Stretch, now: datetime) -> int | None:
    """The longest period, in seconds, on whose grid `stretch` begins and ends and whose data is still kept.

    None where there is none: it begins too long ago, or in the middle of the shortest period of that time. CloudWatch
    would round it, and count what lies outside.
    """
    shortest = next((seconds for seconds, age in _KEPT if now - stretch.since < age), None)
    if shortest is None:
        return None
    edges = (stretch.since.timestamp(), stretch.until.timestamp())
    fitting = (period for period in _PERIODS if not any(edge % period for edge in edges))
    return next((period for period in fitting if period % shortest == 0), None)


def coverage_of(
    client: Any, stretch: Stretch, now: datetime, *, models: Iterable[str] = (), watch: Watch | None = None
) -> Coverage | None:
    """What CloudWatch counts in `stretch`; None where it cannot tell, for whatever reason: no report needs it.

    One call is taken to be counted under one value of `ModelId`, that which it was called with. Metrics with further
    dimensions are parts of these, and left out.

    Args:
        client: of `cloudwatch`, in the account and region of the logs. It needs `cloudwatch:ListMetrics` and
            `cloudwatch:GetMetricData`.
        now: aware.
        models: ids that the logs hold. They are asked for even where CloudWatch lists them no more.

    Raises:
        Halted: see `Watch`.
    """
    period, watch = period_of(stretch, now), watch or Watch()
    if period is None:
        return None
    old = now - stretch.since > _FORGOTTEN
    try:
        values = set(_listed(client, watch))
        if old:
            values |= {model.rpartition("/")[2] for model in models}
        counts = _counts(client, sorted(values), stretch, period, watch)
    except (ClientError, BotoCoreError, _Unclear, msgspec.ValidationError):
        return None
    invocations, input_tokens, output_tokens = (round(counts[name]) for name in _METRICS)
    return Coverage(invocations, input_tokens, output_tokens, not old, stretch.until + _SETTLED <= now)


def compared(
    coverage: Coverage,
    region: str,
    calls: int,
    *,
    failed: int = 0,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> str:
    """A sentence on how much of it the logs hold; empty where there was nothing to count. Pure.

    Args:
        calls: that the logs hold and that succeeded, each once.
        failed: that they hold and that failed, without those in `REJECTED`.
        input_tokens, output_tokens: of these, if they are to be told; without those of a cache.
    """
    counted, held = coverage.invocations, calls + failed
    if not counted and not held:
        return ""
    amounts = f"{held:,} of {counted:,}{', failed calls included' if failed else ''}"
    where = f"that {_NAMESPACE} counts in {region}{'' if coverage.is_settled else ' so far'}"
    if not counted:
        said = f"{_NAMESPACE} counts no invocations in {region}, and the logs hold {held:,}"
    elif held > counted:
        said = f"logs hold {_share(held, counted)} of the invocations {where} ({amounts}), more than it knows of"
    elif held == counted:
        said = f"logs hold all of the {counted:,} invocations {where}"
    else:
        said = f"logs hold {_share(held, counted)} of the invocations {where} ({amounts})"
    pairs = (("input", input_tokens, coverage.input_tokens), ("output", output_tokens, coverage.output_tokens))
    tokens = [f"{_share(a, b)} of the {name} tokens" for name, a, b in pairs if a is not None and b]
    late = "" if coverage.is_whole else "; models without a call in the last two weeks may be missing there"
    return ", ".join((said, *tokens)) + late


class _Unclear(Exception):
    """CloudWatch's answer is not whole."""


class _Dimension(msgspec.Struct, frozen=True, rename="pascal"):
    name: str
    value: str


class _Metric(msgspec.Struct, frozen=True, rename="pascal"):
    dimensions: tuple[_Dimension, ...] = ()


class _Listing(msgspec.Struct, frozen=True, rename="pascal"):
    metrics: tuple[_Metric, ...] = ()
    next_token: str = ""


class _Series(msgspec.Struct, frozen=True, rename="pascal"):
    id: str
    values: tuple[float, ...] = ()
    status_code: str = "Complete"


class _Data(msgspec.Struct, frozen=True, rename="pascal"):
    metric_data_results: tuple[_Series, ...] = ()
    next_token: str = ""


Page = TypeVar("Page", _Listing, _Data)


def _listed(client: Any, watch: Watch) -> Iterator[str]:
    """The values of `ModelId` that calls were counted for."""
    asked = {"Namespace": _NAMESPACE, "MetricName": _METRICS[0], "Dimensions": [{"Name": _DIMENSION}]}
    for page in _pages(client.list_metrics, asked, _Listing, watch):
        for metric in page.metrics:
            if [each.name for each in metric.dimensions] == [_DIMENSION]:
                yield metric.dimensions[0].value


def _counts(client: Any, models: Sequence[str], stretch: Stretch, period: int, watch: Watch) -> Mapping[str, float]:
    counts = dict.fromkeys(_METRICS, 0.0)
    wanted = [(name, model) for model in models for name in _METRICS]
    for start in range(0, len(wanted), _QUERIES):
        part = {f"m{number}": each for number, each in enumerate(wanted[start : start + _QUERIES])}
        queries = [
            {"Id": id_, "MetricStat": {"Metric": _metric(name, model), "Period": period, "Stat": "Sum"}}
            for id_, (name, model) in part.items()
        ]
        asked = {"MetricDataQueries": queries, "StartTime": stretch.since, "EndTime": stretch.until}
        for page in _pages(client.get_metric_data, asked, _Data, watch):
            for series in page.metric_data_results:
                if series.id not in part or series.status_code not in _SOUND:
                    raise _Unclear
                counts[part[series.id][0]] += sum(series.values)
    return counts


def _metric(name: str, model: str) -> Mapping[str, object]:
    return {"Namespace": _NAMESPACE, "MetricName": name, "Dimensions": [{"Name": _DIMENSION, "Value": model}]}


def _pages(ask: Callable[..., Any], asked: Mapping[str, object], form: type[Page], watch: Watch) -> Iterator[Page]:
    token: Mapping[str, str] = {}
    for _ in range(_PAGES):
        watch.go_on()
        page = msgspec.convert(ask(**asked, **token), form)
        yield page
        if not page.next_token:
            return
        token = {"NextToken": page.next_token}
    raise _Unclear


def _share(part: int, whole: int) -> str:
    """In percent, never rounded up: what is missing shows."""
    return f"{part * 1000 // whole / 10:.1f} %"
