"""Whom one may sign in as with the development login, and what they see. They are people of the sample logs."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tollbook.hosting.dev_login import DevUser

_SCOPES: Final = ("tollbook",)

SIGHT: Final = {
    "sees_all": "group:finops",
    "sees_team": "group:leads",
    "own_calls": "role/AWSReservedSSO_*/{email}",
    "team_calls": "tag:team={team}",
}
"""What they see, as the settings of sight have it; what is set otherwise goes before it."""


def people() -> "tuple[DevUser, ...]":
    """They, in the order in which they are shown."""
    from tollbook.hosting.dev_login import DevUser  # with all that a login needs

    return (
        DevUser(
            name="ana",
            title="sees her own calls",
            claims={"email": "ana@example.com", "team": "legal"},
            scopes=_SCOPES,
        ),
        DevUser(
            name="ben",
            title="sees the calls of team growth, and his own",
            claims={"email": "ben@example.com", "team": "growth", "groups": ["leads"]},
            scopes=_SCOPES,
        ),
        DevUser(
            name="cleo",
            title="sees everything",
            claims={"email": "cleo@example.com", "groups": ["finops"]},
            scopes=_SCOPES,
        ),
    )
