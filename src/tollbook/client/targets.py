"""Where a server is: an address, a command that starts one, or a name for either in an `mcp.json`."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollbook.core.errors import UsageError, why
from tollbook.core.loopback import is_loopback
from tollbook.core.text import printable

CONFIG_FILES: Final = (".mcp.json", "mcp.json", ".vscode/mcp.json", ".cursor/mcp.json")
"""Where the servers of a project are named; the first file that knows a name counts.

A user's own list is none of them: what a name stands for is seen in the folder, or in the file that was named.
"""
COMMAND: Final = "stdio:"

_HTTP: Final = ("http", "streamable-http", "streamableHttp")
_STDIO: Final = ("stdio",)
_FOR_OTHERS: Final = ("ACCESS_TOKEN", "OAUTH_CLIENT_SECRET")
_NEEDED: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""What a process that a file names inherits, as from other hosts: what it needs besides stands in the file."""
_MOST_BYTES: Final = 1 << 20
_NAMES_SHOWN: Final = 12
_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2: token
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5, without what ends a line
_COMMENT: Final = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA: Final = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server: an address, or a command that starts one.

    Attributes:
        name: as the user calls it; the address where he has no other name for it.
        url: of its endpoint; None where it is a process of this machine.
        headers: to be sent with every request.
        command: the program and its words.
        environment: all variables of the process.
        folder: where the process starts; None: here.
    """

    name: str
    url: str | None = None
    headers: Mapping[str, str] = {}
    command: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    folder: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    """A server as hosts write it down; what else they write is their own."""

    type: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = {}
    command: str | None = None
    args: Sequence[str] = ()
    env: Mapping[str, str] = {}
    cwd: str | None = None


def target_of(text: str, environment: Mapping[str, str], folder: Path, config: Path | None = None) -> Target:
    """The server that a user calls `text`.

    What looks like an address is one, so that no file which happens to lie in a folder can send it elsewhere.

    Args:
        text: an address, with or without its scheme; `stdio:` and a command; or a name in an `mcp.json`.
        environment: for the variables in that file.
        folder: where the user is; `CONFIG_FILES` are looked for in it.
        config: the file to read instead; every `text` that is no whole URL is a name in it.

    Raises:
        UsageError: there is no such server, or what is written of it makes no sense.
    """
    if text.startswith(COMMAND):
        return _command(text.removeprefix(COMMAND).strip(), environment)
    if "://" in text or (config is None and (text == "localhost" or re.search(r"[:/.]", text))):
        return Target(name=text, url=url_of(text))
    return _named(text, environment, folder, config)


def url_of(text: str) -> str:
    """The address of an endpoint; without a scheme it is http on this machine, and https elsewhere.

    Raises:
        UsageError: it is none, or has parts that an endpoint's may not have.
    """
    if printable(text) != text or re.search(r"[\s\\]", text):
        raise UsageError("An address has no blanks, backslashes or invisible characters in it. Write it as a URL does.")
    whole = text if "://" in text else f"//{text}"
    if "@" in whole.partition("//")[2].partition("/")[0]:  # not shown: it may be a password
        raise UsageError(
            "An address with a user name or a password in it lies about in logs. Use ACCESS_TOKEN or --header instead."
        )
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise UsageError(f"'{text}' is no address. One looks like https://mcp.example.com/mcp.") from fault
    if parts.scheme not in ("", "http", "https"):
        raise UsageError(f"Servers are reached by http or https, not by {parts.scheme}. Write https://… instead.")
    if not host or port == 0:
        raise UsageError(f"The address '{text}' names no host. One looks like https://mcp.example.com/mcp.")
    if "#" in text:
        raise UsageError(f"The address '{text}' has a fragment, which is never sent. Leave out # and what follows.")
    return whole if parts.scheme else f"{'http' if is_loopback(host) else 'https'}:{whole}"


def header_of(text: str) -> tuple[str, str]:
    """The name and the value of a header written as `Name: value`.

    Raises:
        UsageError: it is none. The message does not show the value, which may be a secret.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise UsageError("A header is written as 'Name: value'; there is no colon in what was given.")
    return _checked_header(name.strip(), value.strip())


def names_in(folder: Path, config: Path | None = None) -> Sequence[str]:
    """The names of the servers in the files that `target_of` reads; what cannot be read names none."""
    names: dict[str, None] = {}
    for path in _files(folder, config):
        try:
            names |= dict.fromkeys(_servers_in(path))
        except UsageError:
            continue
    return list(names)


def _command(text: str, environment: Mapping[str, str]) -> Target:
    try:
        words = shlex.split(text)
    except ValueError as fault:
        raise UsageError(f"The command after {COMMAND} cannot be read: {str(fault).lower()}.") from fault
    if not words:
        raise UsageError(f"{COMMAND} needs a command, such as 'stdio:npx -y @modelcontextprotocol/server-everything'.")
    # As from a shell, without the secrets that are meant for other servers.
    inherited = {name: value for name, value in environment.items() if name not in _FOR_OTHERS}
    return Target(name=text, command=tuple(words), environment=inherited)


def _named(name: str, environment: Mapping[str, str], folder: Path, config: Path | None) -> Target:
    known: dict[str, None] = {}
    files = _files(folder, config)
    for path in files:
        servers = _servers_in(path)
        if name in servers:
            return _read(name, servers[name], path, {**environment, "workspaceFolder": str(folder.absolute())})
        known |= dict.fromkeys(servers)
    advice = f"Give a URL, '{COMMAND}COMMAND', or with --config the file that names it."
    if not files:
        raise UsageError(f"Nothing here ({', '.join(CONFIG_FILES)}) names a server '{name}'. {advice}")
    listed = ", ".join([*known][:_NAMES_SHOWN]) + (", …" if len(known) > _NAMES_SHOWN else "")
    where = " or ".join(map(str, files))
    raise UsageError(f"There is no server '{name}' in {where}, only {listed or 'an empty list'}. {advice}")


def _files(folder: Path, config: Path | None) -> Sequence[Path]:
    if config is not None:
        return [config]
    return [path for path in (folder / each for each in CONFIG_FILES) if path.is_file()]


def _servers_in(path: Path) -> Mapping[str, Any]:
    """What a file says of each server.

    Raises:
        UsageError: it cannot be read, or is no list of servers.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is longer than a list of servers is")
        # Editors let comments and a last comma stand in these files.
        text = _COMMENT.sub(lambda match: match[1] or " ", content.decode("utf-8-sig"))
        document = msgspec.json.decode(_LAST_COMMA.sub(lambda match: match[1] or "", text))
    except (OSError, ValueError) as fault:
        raise UsageError(f"Cannot read {path}: {why(fault)}.") from fault
    except RecursionError as fault:
        raise UsageError(f"Cannot read {path}: it is nested too deep.") from fault
    groups = (
        [document[key] for key in ("servers", "mcpServers") if key in document] if isinstance(document, dict) else []
    )
    if not groups or not all(isinstance(group, dict) for group in groups):
        raise UsageError(
            f'{path} is no list of servers. One looks like {{"mcpServers": {{"NAME": {{"url": "https://…"}}}}}}.'
        )
    return {name: entry for group in groups for name, entry in group.items()}


def _read(name: str, entry: Any, path: Path, variables: Mapping[str, str]) -> Target:
    """The server that an entry describes.

    Raises:
        UsageError: with the file and the key of what is wrong.
    """
    place = f"{path}: {name}"
    read = set(_Entry.__struct_fields__)
    if isinstance(entry, dict):
        entry = {key: _filled(value, f"{place}.{key}", variables) for key, value in entry.items() if key in read}
    try:
        said = msgspec.convert(entry, _Entry)
    except msgspec.ValidationError as fault:
        what, _, key = str(fault).partition(" - at `$")
        raise UsageError(f"{place}{key.rstrip('`')}: {what.replace('`', '')}.") from fault
    if (said.url is None) == (said.command is None):
        raise UsageError(f'{place}: an entry has either a "url" or a "command".')
    if said.type not in (None, *(_HTTP if said.url is not None else _STDIO)):
        kind, needs = ("http", "url") if said.url is not None else ("stdio", "command")
        raise UsageError(
            f'{place}.type: "{said.type}" is not spoken here; what has a "{needs}" is of the type "{kind}".'
        )
    if said.url is None:
        needed = {each: variables[each] for each in _NEEDED if each in variables}
        words = (said.command or "", *said.args)
        return Target(name=name, command=words, environment={**needed, **said.env}, folder=said.cwd)
    try:
        headers = dict(_checked_header(*pair) for pair in said.headers.items())
        return Target(name=name, url=url_of(said.url), headers=headers)
    except UsageError as fault:
        raise UsageError(f"{place}: {fault.message}") from fault


def _filled(value: Any, place: str, variables: Mapping[str, str]) -> Any:
    """`value` with the variables in its strings replaced by what they hold.

    Raises:
        UsageError: one is not set.
    """

    def held(match: re.Match[str]) -> str:
        name, has_default, default = match[1].removeprefix("env:").partition(":-")
        if name in variables:
            return variables[name]
        if has_default:
            return default
        if name.startswith("input:"):
            raise UsageError(f"{place}: {match[0]} is asked for by VS Code only. Write ${{env:NAME}} instead.")
        raise UsageError(f"{place}: the variable {name} is not set. Set it and try again.")

    if isinstance(value, str):
        return _VARIABLE.sub(held, value)
    if isinstance(value, list):
        return [_filled(each, f"{place}[{at}]", variables) for at, each in enumerate(value)]
    if isinstance(value, dict):
        return {key: _filled(each, f"{place}.{key}", variables) for key, each in value.items()}
    return value


def _checked_header(name: str, value: str) -> tuple[str, str]:
    if not _FIELD_NAME.fullmatch(name):
        raise UsageError(f"A header is called by letters, digits and hyphens, not '{name}'.")
    if not _FIELD_VALUE.fullmatch(value):  # not shown: it may be a secret
        raise UsageError(f"The value of the header {name} must be one line of plain characters.")
    return name, value
