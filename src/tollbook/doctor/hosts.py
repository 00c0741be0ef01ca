"""How each host finds out where to log in. Pure.

They begin with the header of the server's refusal, and look at the well-known places where that has nothing; some
versions look only there. What each was seen to do stands with it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from tollbook.doctor.finding import Finding, failed, ok, unknown
from tollbook.doctor.metadata import Document, problem_with_resource

Step = Literal["header", "path", "root"]
"""`header`: where WWW-Authenticate says. `path`: RFC 9728 §3.1, with the path of the endpoint behind it. `root`: the
same without it."""

_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_SAID: Final[Mapping[Step, str]] = {
    "header": "by WWW-Authenticate",
    "path": "at the well-known place with the endpoint's path",
    "root": "at the well-known place of the whole host",
}


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A program in which people use MCP servers.

    Attributes:
        name: as its makers have it.
        steps: where it looks, in that order; the first place that answers with 200 counts.
        may_skip_header: versions of it were seen to look at the well-known places alone.
        remedy: what helps those.
        sources: where that was seen.
    """

    name: str
    steps: tuple[Step, ...] = ("header", "path", "root")
    may_skip_header: bool = False
    remedy: str = ""
    sources: tuple[str, ...]

    @property
    def check(self) -> str:
        return f"host {self.name}"


OURS: Final = "tollbook"
HOSTS: Final = (
    Host(
        name="Claude",
        sources=("https://docs.xano.com/ai-tools/mcp-builder/oauth-proxy/manual-setup",),
    ),
    Host(
        name="Claude Code",
        may_skip_header=True,
        remedy="Give the server a domain of its own (--domain-name), or set oauth.authServerMetadataUrl there.",
        sources=(
            "https://github.com/anthropics/claude-code/issues/71610",
            "https://github.com/anthropics/claude-code/issues/85563",
        ),
    ),
    Host(
        name="Cursor",
        sources=("https://github.com/latitude-dev/latitude-llm/pull/3122",),
    ),
    Host(
        name="VS Code",
        sources=("https://github.com/microsoft/vscode/issues/268210",),
    ),
    Host(
        name=OURS,
        sources=("https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization",),
    ),
)


def places(url: str, named: str | None) -> Mapping[Step, str]:
    """Where the metadata of the server at `url` is looked for.

    Args:
        named: in the header.
    """
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}"
    found: dict[Step, str] = {"header": named} if named else {}
    return {**found, "path": root + parts.path.rstrip("/"), "root": root}


def walked(host: Host, url: str, places: Mapping[Step, str], documents: Mapping[str, Document]) -> Finding:
    """Whether `host` finds the metadata of the server at `url`.

    Args:
        documents: by their addresses; those that are none are missing.
    """
    check, facts = host.check, {"sources": host.sources}
    step = _first(host.steps, places, documents)
    if step is None:
        said = f"{host.name} finds no metadata, neither by the header nor at the well-known places."
        return failed(check, said, "Serve it where WWW-Authenticate says.", **facts)
    problem = problem_with_resource(documents[places[step]], url)
    if problem is not None:
        return failed(
            check, f"{host.name} finds the metadata {_SAID[step]}, and cannot use it: {problem.said}", problem.remedy
        )
    if host.may_skip_header and step == "header":
        other = _first(host.steps[1:], places, documents)
        if other is None or problem_with_resource(documents[places[other]], url) is not None:
            said = f"{host.name} finds the metadata by WWW-Authenticate; versions of it that look elsewhere find none."
            return unknown(check, said, host.remedy, **facts)
    return ok(check, f"{host.name} finds the metadata {_SAID[step]}.", **facts)


def _first(steps: Sequence[Step], places: Mapping[Step, str], documents: Mapping[str, Document]) -> Step | None:
    return next((step for step in steps if places.get(step) in documents), None)
