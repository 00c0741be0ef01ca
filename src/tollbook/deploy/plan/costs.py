"""What a deployment may cost a month, at list prices. Pure.

It is arithmetic on `PRICES` and `USE`: both are data, and both are shown beside the result, since a guess that does not
say what it assumes is worth nothing. Free tiers are left out. What cannot be known is said, and not guessed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec

CALLS: Final = (0, 10_000, 1_000_000)
"""Calls of tools in a month, for which costs are told."""
REGION: Final = "us-east-1"
READ: Final = "2026"
_GIB: Final = Decimal(1024**3)
_KIB: Final = Decimal(1024)
_MONTH_S: Final = Decimal(730 * 3600)
_MILLION: Final = Decimal(10**6)


class Price(msgspec.Struct, frozen=True):
    """A list price in us-east-1, before any free tier; the first step where there are several.

    Attributes:
        usd: for one `unit`.
        source: AWS's page that has it.
    """

    usd: Decimal
    unit: str
    source: str


_LAMBDA: Final = "https://aws.amazon.com/lambda/pricing/"
_GATEWAY: Final = "https://aws.amazon.com/api-gateway/pricing/"
_DYNAMODB: Final = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_CLOUDWATCH: Final = "https://aws.amazon.com/cloudwatch/pricing/"
_S3: Final = "https://aws.amazon.com/s3/pricing/"
PRICES: Final = {
    "lambda_requests": Price(Decimal("0.20"), "million requests", _LAMBDA),
    "lambda_arm64": Price(Decimal("0.0000133334"), "GB-second", _LAMBDA),
    "lambda_x86_64": Price(Decimal("0.0000166667"), "GB-second", _LAMBDA),
    "ready_arm64": Price(Decimal("0.0000033334"), "GB-second kept ready", _LAMBDA),
    "ready_x86_64": Price(Decimal("0.0000041667"), "GB-second kept ready", _LAMBDA),
    "ready_use_arm64": Price(Decimal("0.0000077778"), "GB-second of an instance kept ready", _LAMBDA),
    "ready_use_x86_64": Price(Decimal("0.0000097222"), "GB-second of an instance kept ready", _LAMBDA),
    "snapshot_kept": Price(Decimal("0.0000015046"), "GB-second of a snapshot", _LAMBDA),
    "snapshot_restored": Price(Decimal("0.0001397998"), "GB restored", _LAMBDA),
    "gateway_requests": Price(Decimal("3.50"), "million requests, each of up to 10 MB streamed", _GATEWAY),
    "table_writes": Price(Decimal("0.625"), "million writes of 1 KB", _DYNAMODB),
    "table_reads": Price(Decimal("0.125"), "million reads of 4 KB", _DYNAMODB),
    "log_gb": Price(Decimal("0.50"), "GB written", _CLOUDWATCH),
    "metrics": Price(Decimal("0.30"), "metric and month", _CLOUDWATCH),
    "alarms": Price(Decimal("0.10"), "alarm and month", _CLOUDWATCH),
    "bucket_gb": Price(Decimal("0.023"), "GB and month", _S3),
    "bucket_writes": Price(Decimal(5), "million writes", _S3),
    "bucket_reads": Price(Decimal("0.40"), "million reads", _S3),
    "secrets": Price(Decimal("0.40"), "secret and month", "https://aws.amazon.com/secrets-manager/pricing/"),
    "image_gb": Price(Decimal("0.10"), "GB and month", "https://aws.amazon.com/ecr/pricing/"),
    "users": Price(Decimal("0.015"), "user who logs in that month", "https://aws.amazon.com/cognito/pricing/"),
}


class Use(msgspec.Struct, frozen=True):
    """What is assumed of one call of a tool, with all that belongs to it.

    Attributes:
        value: how many, how much.
        what: to be read after the value.
    """

    value: Decimal
    what: str


USE: Final = {
    "requests": Use(Decimal(2), "requests a call: itself, and its share of sessions, lists and streams"),
    "seconds": Use(Decimal(3), "seconds a call: a report of some days that are kept already"),
    "other_seconds": Use(Decimal("0.1"), "seconds any other request"),
    "starts": Use(Decimal("0.05"), "starts of an instance a call"),
    "start_seconds": Use(Decimal(2), "seconds a start"),
    "authorizer_seconds": Use(Decimal("0.2"), "seconds of the authorizer a call, where there is one"),
    # Measured with moto's DynamoDB: 1 read and 2 writes for the smallest call, 5 more for a session; a write for each
    # message of a call; what an answer of 30 KB is kept in until it has been heard is 30 of them.
    "writes": Use(Decimal(40), "writes to the table a call, in units of 1 KB"),
    "reads": Use(Decimal(5), "reads of the table a call"),
    "bucket_reads": Use(Decimal(10), "reads of the bucket a call: days that are kept"),
    "bucket_writes": Use(Decimal(4), "writes to the bucket a call: whole results"),
    "result_kb": Use(Decimal(200), "KB of whole results a call, which lie for two days"),
    "log_kb": Use(Decimal(4), "KB of logs a call"),
    "calls_of_one": Use(Decimal(500), "calls a month of one user"),
    "metrics": Use(Decimal(22), "metrics of tools, once each tool is called"),
    "check_seconds": Use(Decimal(20), "seconds a check of budgets: eight weeks, mostly of days that are kept already"),
    "checks": Use(Decimal(30), "checks of budgets a month, where the schedule does not say how many"),
    "images": Use(Decimal(5), "images kept in the repository"),
    "image_gb": Use(Decimal("0.1"), "GB an image"),
}
UNKNOWN: Final = (
    "reading logs on AWS, which costs by what is asked: FilterLogEvents nothing, Logs Insights and Athena by the bytes "
    "that they scan; tollbook asks before it spends more than its limit",
    "data that leaves AWS, the mails and the domain's zone",
    "Amazon Bedrock itself",
)


_OF_IMAGES: Final = frozenset({"images", "image_gb"})
_OF_CHECKS: Final = frozenset({"check_seconds", "checks"})
_OF_REPORTS: Final = frozenset({"bucket_reads", "bucket_writes", "result_kb"})
"""What tollbook's own server does, and no other."""


class Cost(msgspec.Struct, frozen=True):
    """What one service may cost.

    Attributes:
        dollars: a month, for each of `CALLS`.
    """

    service: str
    dollars: tuple[Decimal, ...]


class Costs(msgspec.Struct, frozen=True):
    """What a deployment may cost a month."""

    services: tuple[Cost, ...]

    @property
    def total(self) -> tuple[Decimal, ...]:
        return tuple(sum((each.dollars[at] for each in self.services), Decimal(0)) for at in range(len(CALLS)))


def costs_of(parameters: Mapping[str, str], resources: Mapping[str, str], *, builds: bool = True) -> Costs:
    """What a stack may cost.

    Args:
        parameters: all of them.
        resources: types by logical id, as the template makes them.
        builds: whether there is a repository with images of it.
    """
    bill = _Bill(parameters, tuple(resources.values()), keeps_images=builds)
    lines: Iterator[tuple[str, Callable[[Decimal], Decimal]]] = iter(bill.lines())
    return Costs(tuple(Cost(name, tuple(worth(Decimal(calls)) for calls in CALLS)) for name, worth in lines))


def snapshot_a_month(parameters: Mapping[str, str]) -> Decimal:
    """What a function's snapshot costs while nobody calls."""
    return Decimal(parameters["MemorySize"]) / _KIB * _MONTH_S * _usd("snapshot_kept")


def assumed(parameters: Mapping[str, str], *, builds: bool) -> Iterator[str]:
    """What of `USE` a stack's costs are made of, in words."""
    for name, use in USE.items():
        if name in _OF_CHECKS and not parameters["BudgetSchedule"]:
            continue
        if (builds or name not in _OF_IMAGES) and not (parameters["App"] and name in _OF_REPORTS):
            words = "seconds a call" if parameters["App"] and name == "seconds" else use.what
            yield f"{use.value:,} {words}"


def unknown(parameters: Mapping[str, str]) -> Iterator[str]:
    """What costs too, and cannot be known."""
    if parameters["App"]:
        yield "what your server itself asks of AWS and of others"
    yield from (UNKNOWN[1:2] if parameters["App"] else UNKNOWN)


def checks_a_month(schedule: str) -> Decimal:
    """How often budgets are checked: by a rate, or as is assumed; 0 without a schedule."""
    if not schedule:
        return Decimal(0)
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    return _MONTH_S / (int(rate[1]) * _SECONDS[rate[2]]) if rate else _use("checks")


_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400}


class _Bill:
    def __init__(self, parameters: Mapping[str, str], kinds: tuple[str, ...], *, keeps_images: bool) -> None:
        self._kinds, self._keeps_images = kinds, keeps_images
        self._is_ours = not parameters["App"]
        self._gb = Decimal(parameters["MemorySize"]) / _KIB
        self._processor = parameters["Architecture"]
        self._ready = Decimal(parameters["ProvisionedConcurrency"])
        self._has_snapshot = parameters["SnapStart"] == "yes"
        self._has_authorizer = parameters["AuthMethod"] == "lambda"
        self._checks = checks_a_month(parameters["BudgetSchedule"])

    def lines(self) -> Iterator[tuple[str, Callable[[Decimal], Decimal]]]:
        """Each service with what so many calls cost there."""
        yield "Lambda", self._function
        yield "API Gateway", lambda calls: _million("gateway_requests", calls * _use("requests"))
        yield (
            "DynamoDB",
            lambda calls: (
                _million("table_writes", calls * _use("writes")) + _million("table_reads", calls * _use("reads"))
            ),
        )
        if self._is_ours:
            yield "S3", self._bucket
        yield "CloudWatch", self._watch
        if "AWS::Cognito::UserPool" in self._kinds:
            yield "Cognito", lambda calls: _usd("users") * (calls / _use("calls_of_one"))
        yield "Secrets Manager", lambda _: _usd("secrets") * self._kinds.count("AWS::SecretsManager::Secret")
        if self._keeps_images:
            yield "ECR", lambda _: _usd("image_gb") * _use("images") * _use("image_gb")

    def _function(self, calls: Decimal) -> Decimal:
        requests = calls * _use("requests")
        seconds = calls * (_use("seconds") + (_use("requests") - 1) * _use("other_seconds"))
        starts = calls * _use("starts")
        rate = _usd(f"ready_use_{self._processor}" if self._ready else f"lambda_{self._processor}")
        dollars = seconds * self._gb * rate
        if self._ready:
            dollars += self._ready * self._gb * _MONTH_S * _usd(f"ready_{self._processor}")
        elif self._has_snapshot:
            dollars += self._gb * _MONTH_S * _usd("snapshot_kept") + starts * self._gb * _usd("snapshot_restored")
        else:
            # A start is paid for since August 2025:
            # https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
            dollars += starts * _use("start_seconds") * self._gb * _usd(f"lambda_{self._processor}")
        if self._has_authorizer:
            requests += calls
            dollars += calls * _use("authorizer_seconds") * _AUTHORIZER_GB * _usd(f"lambda_{self._processor}")
        checks = self._checks * _use("check_seconds") * self._gb * _usd(f"lambda_{self._processor}")
        return dollars + checks + _million("lambda_requests", requests + self._checks)

    def _bucket(self, calls: Decimal) -> Decimal:
        gigabytes = calls * _use("result_kb") * _KIB / _GIB * _RESULTS_LIE
        asked = _million("bucket_writes", calls * _use("bucket_writes"))
        return asked + _million("bucket_reads", calls * _use("bucket_reads")) + gigabytes * _usd("bucket_gb")

    def _watch(self, calls: Decimal) -> Decimal:
        logs = calls * _use("log_kb") * _KIB / _GIB * _usd("log_gb")
        metrics = _use("metrics") * _usd("metrics") if calls else Decimal(0)
        return logs + metrics + self._kinds.count("AWS::CloudWatch::Alarm") * _usd("alarms")


def _usd(name: str) -> Decimal:
    return PRICES[name].usd


def _use(name: str) -> Decimal:
    return USE[name].value


def _million(name: str, number: Decimal) -> Decimal:
    return number / _MILLION * _usd(name)


_AUTHORIZER_GB: Final = Decimal("0.5")
_RESULTS_LIE: Final = Decimal(2) / 30
"""Of a month."""
