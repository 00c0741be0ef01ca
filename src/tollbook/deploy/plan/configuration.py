"""What to paste where, so that each host finds the server that was deployed. Pure.

The forms are those of the hosts' documentation:
    https://code.claude.com/docs/en/mcp
    https://code.visualstudio.com/docs/copilot/reference/mcp-configuration
    https://cursor.com/docs/context/mcp
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

_PORT: Final = "8765"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What one host is told.

    Attributes:
        host: its name.
        where: what to do with `text`, such as the file that it belongs into.
        text: to be pasted as it stands; several lines where it is a file.
    """

    host: str
    where: str
    text: str


def configurations(name: str, outputs: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[Configuration, ...]:
    """How to reach the server of a stack from each host.

    Args:
        name: of the server in the hosts; the stack's will do.
        outputs: of the stack; without `ClientId` hosts register themselves with the issuer, or ask.
        parameters: of the stack.
    """
    return tuple(_configurations(name, outputs, parameters))


def _configurations(name: str, outputs: Mapping[str, str], parameters: Mapping[str, str]) -> Iterator[Configuration]:
    url, client = outputs["Url"], outputs.get("ClientId", "")
    scopes = [*filter(None, parameters.get("CognitoSupportedScopes", "").split(",")), *outputs["Scope"].split()]
    port = _callback_port(parameters) if client else ""
    command = [
        *("claude", "mcp", "add", "--transport", "http"),
        *(("--client-id", client) if client else ()),
        *(("--callback-port", port) if port else ()),
        *(name, url),
    ]
    yield Configuration(host="Claude Code", where="in a terminal", text=shlex.join(command))
    detail = f"; under Advanced settings the client id {client}, and no secret" if client else ""
    yield Configuration(
        host="Claude", where=f"Settings, Connectors, Add custom connector, with this address{detail}", text=url
    )
    cursor: dict[str, Any] = {"url": url}
    code: dict[str, Any] = {"type": "http", "url": url}
    if client:
        cursor["auth"] = {"CLIENT_ID": client, "scopes": scopes}
        code["oauth"] = {"clientId": client}  # from April 2026 on: https://github.com/microsoft/vscode/pull/308648
    yield Configuration(host="Cursor", where=".cursor/mcp.json", text=_json({"mcpServers": {name: cursor}}))
    yield Configuration(host="VS Code", where=".vscode/mcp.json", text=_json({"servers": {name: code}}))
    login = ["tollbook", "login", *(("--client-id", client) if client else ()), url]
    yield Configuration(
        host="tollbook",
        where="in a terminal",
        text="\n".join((shlex.join(login), shlex.join(["tollbook", "connect", url]))),
    )


def _callback_port(parameters: Mapping[str, str]) -> str:
    """A port to which a login of the app client may lead back; the usual one, if that is among them."""
    ports = re.findall(r"http://localhost:(\d+)/callback(?:,|$)", parameters.get("CallbackUrls", ""))
    if parameters.get("OwnPool") != "yes" or _PORT in ports:
        return _PORT
    return ports[0] if ports else ""


def _json(document: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
