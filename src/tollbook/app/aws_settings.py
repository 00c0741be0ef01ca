"""What may be told about logs on AWS, to `tollbook report` and to `tollbook serve`."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from platformdirs import user_cache_path

from tollbook.core.errors import UsageError
from tollbook.core.settings import Setting, words

if TYPE_CHECKING:
    from tollbook.sources.aws.reach.accounts import Accounts

NONE: Final = "none"
USUAL_LOOK_UPS: Final = ("names", "metrics")
BILL: Final = "bill"
LOOK_UPS: Final = (*USUAL_LOOK_UPS, BILL)


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """See `AWS_SETTINGS` for each.

    Attributes:
        home_region: the one meant where none is named; empty for that of the profile.
        cache: the folder where closed days and looked-up names are kept on this machine.
    """

    home_region: str
    cache: Path

    regions: tuple[str, ...]
    accounts: str
    bedrock_role_arn: str
    closed_days: str
    tags: tuple[str, ...]
    look_up: tuple[str, ...]
    max_scan_usd: Decimal
    max_scan_gb: Decimal
    athena_workgroup: str
    athena_output: str

    @property
    def max_scan_bytes(self) -> int:
        """0 for any number."""
        return int(self.max_scan_gb * 10**9)

    def listed(self) -> "Accounts":
        """The accounts that may be read.

        Raises:
            UsageError: the list cannot be used.
        """
        from tollbook.sources.aws.reach.accounts import read_accounts

        text, source = self.accounts, "TOLLBOOK_ACCOUNTS"
        if text and not text.lstrip().startswith("{"):
            source = text
            try:
                text = Path(text).read_text(encoding="utf-8")
            except (OSError, ValueError) as fault:
                raise UsageError(f"--accounts (TOLLBOOK_ACCOUNTS): cannot read {source}: {fault}.") from fault
        return read_accounts(text, source, self.bedrock_role_arn)


def aws_settings(values: Mapping[str, Any], environment: Mapping[str, str], usual_days: str = "") -> AwsSettings:
    """The settings among `values`, as `read_values` gives them.

    Args:
        usual_days: what keeps closed days where nothing is said of them.
    """
    # boto3 knows the second name only:
    # https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    home_region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    own = {setting.name: values[setting.name] for setting in AWS_SETTINGS}
    own["closed_days"] = own["closed_days"] or usual_days
    return AwsSettings(home_region=home_region, cache=cache_folder(), **own)


def cache_folder() -> Path:
    """Where closed days and looked-up names are kept on this machine."""
    return user_cache_path("tollbook", appauthor=False)


def _regions(text: str) -> tuple[str, ...]:
    found = words(text)
    if not found or any(not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", each) for each in found):
        raise ValueError(f"regions separated by commas are wanted, such as us-east-1,eu-west-1, not '{text}'")
    return tuple(dict.fromkeys(found))


def _place(text: str) -> str:
    if text != NONE and not text.startswith(("sqlite:", "s3://")):
        raise ValueError(f"sqlite:PATH, s3://BUCKET/PREFIX or none is wanted, not '{text}'")
    return text


def _tags(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(words(text)))
    # Of what Bedrock allows, what Logs Insights can be asked for; see `sources.aws.cloudwatch.insights_query`:
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (requestMetadata)
    if not found or any(not re.fullmatch(r"[A-Za-z0-9 :_@=/+.-]{1,256}", each) for each in found):
        raise ValueError(f"keys of request metadata separated by commas are wanted, such as team,app, not '{text}'")
    return found


def _look_ups(text: str) -> tuple[str, ...]:
    found = words(text)
    if text == NONE:
        return ()
    if not found or not set(found) <= set(LOOK_UPS):
        raise ValueError(f"{', '.join(LOOK_UPS)} or none is wanted, not '{text}'")
    return found


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= 1_000_000):
        raise ValueError(f"a number from 0 to 1,000,000 is wanted, not '{text}'")
    return amount


def _output(text: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/=-]*)?", text):
        raise ValueError(f"s3://BUCKET/PREFIX/ is wanted, not '{text}'")
    return text


PLACES: Final = (
    Setting(
        name="regions",
        variable="TOLLBOOK_REGIONS",
        metavar="REGIONS",
        read=_regions,
        what="regions whose log groups are read, separated by commas (default: that of AWS_REGION or the profile)",
        unset=(),
    ),
    Setting(
        name="accounts",
        variable="TOLLBOOK_ACCOUNTS",
        metavar="FILE",
        read=str,
        what="the other accounts to read and the role for each, as JSON or a file of it",
        unset="",
    ),
    Setting(
        name="bedrock_role_arn",
        variable="BEDROCK_ROLE_ARN",
        metavar="ARN",
        read=str,
        what="a role to assume for the own account",
        unset="",
    ),
    Setting(
        name="closed_days",
        variable="TOLLBOOK_CLOSED_DAYS",
        metavar="PLACE",
        read=_place,
        what="where days that are over are kept, so that they are read once: sqlite:PATH, s3://BUCKET/PREFIX or none "
        "(default: sqlite, in the user's cache folder)",
        unset="",
    ),
    Setting(
        name="tags",
        variable="TOLLBOOK_TAGS",
        metavar="KEYS",
        read=_tags,
        what="keys of request metadata that kept days tell, separated by commas; others are read anew each time",
        unset=(),
    ),
    Setting(
        name="look_up",
        variable="TOLLBOOK_LOOK_UP",
        metavar="WHAT",
        read=_look_ups,
        what="what AWS is asked beside the logs, where allowed: names of opaque model ids, metrics that tell how "
        "complete the logs are, bill (Cost Explorer, $0.01 a request; only if it is named), or none",
        default=",".join(USUAL_LOOK_UPS),
    ),
    Setting(
        name="athena_workgroup",
        variable="ATHENA_WORKGROUP",
        metavar="NAME",
        read=str,
        what="the workgroup of Athena",
        default="primary",
    ),
    Setting(
        name="athena_output",
        variable="ATHENA_OUTPUT",
        metavar="PLACE",
        read=_output,
        what="where Athena writes its results, s3://BUCKET/PREFIX/, unless the workgroup says it",
        unset="",
    ),
)
LIMITS: Final = (
    Setting(
        name="max_scan_usd",
        variable="TOLLBOOK_MAX_SCAN_USD",
        metavar="USD",
        read=_amount,
        what="dollars of AWS charges for reading above which somebody is asked first",
        default="0.50",
    ),
    Setting(
        name="max_scan_gb",
        variable="TOLLBOOK_MAX_SCAN_GB",
        metavar="GB",
        read=_amount,
        what="the same in gigabytes to be read; 0 for any number",
        default="0",
    ),
)
AWS_SETTINGS: Final = (*PLACES, *LIMITS)
