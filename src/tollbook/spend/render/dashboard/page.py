"""Joins the dashboard's parts, which lie beside this file, into one page."""

import re
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from tollbook.spend.answers.overview import Overview

_SCRIPTS: Final = ("dom", "format", "figures", "theme", "chart", "tables", "summary", "panels", "bridge", "page")
_ANSWERS: Final = ("forecast", "anomalies")
_UNREAD: Final = ("before", "after", "parts", "cause", "mostly", "daily_usd", "basis")
"""Fields of movers, anomalies and `_ANSWERS` that the page does not look at."""
_COMMENT: Final = re.compile(r"^\s*(//.*|/\*(?s:.*?)\*/)$", re.MULTILINE)


def html_of(overview: Overview) -> str:
    """The page with the figures of `overview` inside: a file that needs nothing else."""
    return _page(_embedded(msgspec.json.encode(_shown(msgspec.to_builtins(overview))).decode()))


def app_html() -> str:
    """The page without figures: inside an MCP Apps host, it gets them from there.

    Source: https://github.com/modelcontextprotocol/ext-apps/blob/main/specification/2026-01-26/apps.mdx
    """
    return _page("")


def _shown(document: Any) -> dict[str, Any]:
    """`document`, an overview's, without what the page does not look at: a third of it."""
    explanation, anomalies = document["explanation"] or {}, document["anomalies"] or {}
    movers = (*explanation.get("principals", ()), *explanation.get("models", ()))
    for part in (*movers, *anomalies.get("anomalies", ()), *map(document.get, _ANSWERS)):
        for field in _UNREAD if part else ():
            part.pop(field, None)
    return dict(document)


def _page(data: str) -> str:
    style, script = _part("style.css"), "".join(_part(f"{name}.js") for name in _SCRIPTS)
    before, _, rest = _part("shell.html").partition("{{style}}")
    between, _, rest = rest.partition("{{data}}")
    middle, _, after = rest.partition("{{script}}")
    return "".join((before, style, between, data, middle, script, after))


def _embedded(document: str) -> str:
    r"""`document`, a JSON text, so that nothing in it can end the element it stands in, or a line of a script.

    Source: https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    for char in "<\u2028\u2029":
        document = document.replace(char, f"\\u{ord(char):04x}")
    return document


@cache
def _part(name: str) -> str:
    """A part without what is for those who read it alone: comments on lines of their own, and indentation."""
    text = _COMMENT.sub("", resources.files(__package__).joinpath(name).read_text("utf-8"))
    return "\n".join(filter(None, map(str.strip, text.splitlines()))) + "\n"  # no text in a part spans lines
