"""The arguments that several tools have: their types, bounds and examples, as clients are told of them."""

import inspect
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from tollbook.spend.window import MOST_DAYS
from tollbook.tools.consent import HIGHEST
from tollbook.tools.settings import ALL_REGIONS, Settings

_LONGEST_TEXT: Final = 200

Region = Annotated[
    str,
    Field(
        title="Region",
        description="The AWS region whose calls to count, or all for every region.",
        pattern=r"^(all|[a-z]{2}(-[a-z]+)+-[0-9]{1,2})$",
        max_length=32,
        examples=["us-east-1", ALL_REGIONS],
    ),
]
LogGroup = Annotated[
    str,
    Field(
        title="Log group",
        description="The CloudWatch log group that Bedrock's model invocation logging writes to.",
        pattern=r"^[A-Za-z0-9_/.#-]{1,512}$",  # CreateLogGroup, AWS API reference
        examples=["/aws/bedrock/modelinvocations"],
    ),
]
Days = Annotated[
    int,
    Field(
        title="Days",
        description="How many whole days of `tz`, today included: 1 is today alone, 7 today and the six days before.",
        ge=1,
        le=MOST_DAYS,
        examples=[1, 7, 30],
    ),
]
WholeDays = Annotated[
    int,
    Field(
        title="Days",
        description="How many whole days of `tz`, the last of them yesterday.",
        ge=1,
        le=MOST_DAYS,
        examples=[7, 30],
    ),
]
Account = Annotated[
    str,
    BeforeValidator(lambda given: str(given) if isinstance(given, int) else given),  # as models like to write it
    Field(
        title="AWS account",
        description="Counts only calls from this account, of twelve digits. Leave it out for all.",
        pattern=r"^([0-9]{12})?$",
        examples=["111122223333"],
    ),
]
Zone = Annotated[
    str,
    Field(
        title="Time zone",
        description="The IANA time zone whose days and hours are meant.",
        max_length=64,
        examples=["UTC", "Europe/Berlin", "America/New_York"],
    ),
]
Principal = Annotated[
    str,
    Field(
        title="Principal",
        description="Counts only calls of users and roles whose name contains this, in any case. Names look like "
        "role/rag-api or user/alice.",
        max_length=_LONGEST_TEXT,
        examples=["rag-api", "user/alice"],
    ),
]
ModelPart = Annotated[
    str,
    Field(
        title="Model",
        description="Counts only calls of models whose id, short name or profile contains this, in any case.",
        max_length=_LONGEST_TEXT,
        examples=["sonnet", "anthropic.claude", "Nova Pro"],
    ),
]
Day = Annotated[
    str,
    Field(
        title="Day",
        description="A day of `tz`, written YYYY-MM-DD.",
        pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$",
        examples=["2026-11-15"],
    ),
]


def scan_limit(settings: Settings) -> Any:
    """What there is to say of `max_scan_usd`: its bounds are the server's."""
    limit, highest = float(settings.max_scan_usd), float(settings.max_scan_usd * HIGHEST)
    return Field(
        title="Most dollars to spend on reading",
        description="What AWS may charge for reading the logs. Above it the user is asked, or nothing is read and the "
        "cost told. Raise it only if whoever pays agrees.",
        ge=0,
        le=highest,
        examples=list(dict.fromkeys((limit, highest))),
    )


def common_arguments(settings: Settings) -> tuple[inspect.Parameter, ...]:
    """Those of every question: which calls are meant, where they are logged, and what reading them may cost."""

    def common(
        principal: Principal = "",
        model: ModelPart = "",
        region: Region = settings.region,
        aws_account_id: Account = "",
        tz: Zone = "UTC",
        log_group_name: LogGroup = settings.log_group,
        max_scan_usd: Annotated[float, scan_limit(settings)] = float(settings.max_scan_usd),
    ) -> None: ...

    return tuple(inspect.signature(common).parameters.values())
