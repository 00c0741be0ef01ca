"""People of the sample logs, as an issuer describes them, and a server that tells them apart."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.tools.desk import QUICK, SAMPLE, ruled
from tollbook.core.caller import Caller

ISSUER = "https://login.example.com"
SESSION = "role/AWSReservedSSO_Dev_0a1b2c3d4e5f6789/{}@example.com"
OWN = "role/AWSReservedSSO_*/{email}"
RULED = ruled(
    QUICK,
    SEES_ALL="group:finops",
    SEES_TEAM="scope:team",
    OWN_CALLS=OWN,
    TEAM_CALLS="tag:team={custom:team}",
)


def person(
    name: str,
    *scopes: str,
    issuer: str = ISSUER,
    client: str = "desk",
    team: str | None = None,
    claims: Mapping[str, object] | None = None,
    **more: object,
) -> Caller:
    """Someone whose session in AWS is named by his e-mail address; with more claims, by name or as they are called."""
    said = {"sub": name, "email": f"{name}@example.com", "custom:team": team, **(claims or {}), **more}
    return Caller(name, client, issuer, frozenset(scopes), said, 1_795_392_000.0)


ANA, BEN = person("ana"), person("ben")
BOSS = person("boss", claims={"cognito:groups": ["staff", "finops"]})
LEAD = person("lea", "team", team="search")
NOBODY = person("nix", email="")


def lines_of_sample(keep: Callable[[str], bool]) -> list[str]:
    """The lines of the sample that are kept, in order."""
    return [line for line in gzip.decompress(Path(SAMPLE).read_bytes()).decode().splitlines() if keep(line)]


def is_anas(line: str) -> bool:
    return "AWSReservedSSO_Dev_0a1b2c3d4e5f6789/ana@example.com" in line
