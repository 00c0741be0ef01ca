"""Whether the server is there at all, and whose clock goes wrong. Pure, but for the answers that are handed in."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tollbook.client.status import shown
from tollbook.doctor.asking import Reply
from tollbook.doctor.finding import Finding, failed, ok, unknown

ADDRESS: Final = "address"
HEALTH: Final = "health"
CLOCK: Final = "clock"

# AWS refuses signatures that are further off, and most issuers' tokens bear no more:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
_BEARABLE_S: Final = 300


def health_of(url: str) -> str:
    """Where the server at `url` says whether it is well: beside the endpoint, below the stage of a gateway."""
    address = url.partition("?")[0]
    base, slash, _ = address.partition("//")[2].rpartition("/")
    return f"{address.partition('//')[0]}//{base if slash else address.partition('//')[2]}/healthz"


def judged_health(reply: Reply, url: str) -> Finding:
    if reply.status == 200:
        return ok(HEALTH, "It says that it is well.")
    if reply.status >= 500:
        said = f"The server answers {reply.status} when it is asked whether it is well."
        return failed(HEALTH, said, "Look into its log; on Lambda, whether the function starts (init error).")
    said = f"Nothing at {shown(health_of(url))} says whether it is well ({reply.status}), as tollbook's servers do."
    return unknown(HEALTH, said, status=reply.status)


def judged_clock(date: str | None, now: float) -> Finding:
    """Whether this machine's clock agrees with the server's.

    Args:
        date: the header Date, RFC 9110 §6.6.1.
        now: in seconds since 1970.
    """
    try:
        theirs = parsedate_to_datetime(date or "")
        off = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)).timestamp()
        is_told = abs(off) < 10**9
    except (ValueError, TypeError, OverflowError):
        off, is_told = 0.0, False
    if not is_told:
        return unknown(CLOCK, "The server does not say what time it has.")
    if abs(off) > _BEARABLE_S:
        way = "ahead of" if off > 0 else "behind"
        said = f"This machine's clock is {_span(abs(off))} {way} the server's; tokens and AWS bear five minutes."
        here = datetime.fromtimestamp(now, UTC)
        return failed(
            CLOCK, said, f"Set the clock that is wrong; here it is {here:%Y-%m-%d %H:%M} UTC.", seconds=round(off)
        )
    return ok(CLOCK, "This machine's clock agrees with the server's.", seconds=round(off))


def _span(seconds: float) -> str:
    size, unit = next(pair for pair in ((86_400, "days"), (3_600, "hours"), (60, "minutes")) if seconds >= pair[0])
    return f"{seconds / size:,.0f} {unit}"
