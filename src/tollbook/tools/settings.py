"""What can be set about the tools."""

from decimal import Decimal
from typing import Final

import msgspec

from tollbook.sources.named import LOG_GROUP
from tollbook.tools.sight import SightRules

ALL_REGIONS: Final = "all"


class Settings(msgspec.Struct, frozen=True):
    """What whoever runs the server may decide.

    Attributes:
        region: the region asked about unless a question names one; `ALL_REGIONS` for every one.
        log_group: the CloudWatch log group that is read unless a question names one.
        text_bytes: the size of a report's text, in bytes.
        kept_s: how long a whole result can be read, in seconds.
        keeping_s: seconds that keeping it may take; an answer waits no longer, and goes without it.
        most_pages: the pages of a whole result; a longer one is not kept.
        most_kept: the whole results that one caller may have kept; beyond it, his results are not kept.
        progress_s: seconds between two notices of progress, at least.
        silence_s: seconds without a notice, at most.
        greeting_pause_s: seconds between two greetings of `multi-greet`.
        sight: who may see whose calls.
        max_scan_usd: dollars above which a question is only answered if somebody says so.
        max_scan_bytes: the same in bytes to be read; 0 for any number.
    """

    region: str = ALL_REGIONS
    log_group: str = LOG_GROUP
    text_bytes: int = 24 << 10
    kept_s: int = 24 * 60 * 60
    keeping_s: float = 20
    most_pages: int = 100
    most_kept: int = 200
    progress_s: float = 0.25
    silence_s: float = 10
    greeting_pause_s: float = 1
    sight: SightRules = SightRules()
    max_scan_usd: Decimal = Decimal("0.50")
    max_scan_bytes: int = 0
