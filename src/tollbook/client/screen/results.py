"""What a server answered: the result of a tool, a resource, a prompt."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from tollbook.client.protocol import Content, PromptResult, ReadResult, ResourceContents, Tool, ToolResult
from tollbook.client.screen import words
from tollbook.client.screen.markdown import Markdown, is_markdown
from tollbook.client.screen.prose import Plain, indented
from tollbook.client.screen.tables import Structured
from tollbook.core.text import json_safe

_JSON = ("application/json", "+json")


def tool_result(result: ToolResult, tool: Tool | None = None) -> RenderableType:
    """Everything in `result` that a terminal can show; what it cannot is named.

    Args:
        tool: which answered; its promise of structured content is held against it.
    """
    parts: list[RenderableType] = []
    if result.is_error:
        parts.append(Text("The tool answered with an error.", style="bold red"))
    content, structured = _said_once(result)
    parts += _blocks(content, "red" if result.is_error else "")
    if structured is not None:
        if parts:
            parts += [Text(), Text("Structured content", style="dim")]
        parts.append(Structured(structured))
    if not parts:
        parts.append(Text("The tool answered nothing.", style="dim"))
    if tool and tool.output_schema and result.structured_content is None and not result.is_error:
        parts.append(Text("The tool promises structured content, and sent none.", style="yellow"))
    return Group(*parts)


def _said_once(result: ToolResult) -> tuple[Sequence[Content], Any]:
    """The content and the structured content to show of `result`.

    Servers send structured content as text, too, for older clients; some wrap what is no object in `result`.
    Source: https://modelcontextprotocol.io/specification/2025-11-25/server/tools#structured-content
    """
    structured = result.structured_content
    others = [block for block in result.content if block.type != "text"]
    texts = [block.text or "" for block in result.content if block.type == "text"]
    if structured is None or not texts:
        return result.content, structured
    bare = structured["result"] if isinstance(structured, dict) and set(structured) == {"result"} else structured
    if not isinstance(bare, list | dict) and texts in ([bare], [words.json_line(bare, len(texts[0]) + 1)]):
        return result.content, None
    try:
        read = [_read(text) for text in texts]
        if len(read) == 1 and (read[0] == structured or read[0] == bare):
            return others, bare
        if isinstance(bare, list) and read == bare:
            return others, bare
    except RecursionError:
        pass
    return result.content, structured


def _read(text: str) -> Any:
    """`text` as JSON, if it is that."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def read_result(result: ReadResult) -> RenderableType:
    """A resource; each part under its address if there are several."""
    parts: list[RenderableType] = []
    for each in result.contents:
        if len(result.contents) > 1:
            parts += [*([Text()] if parts else []), _heading(each)]
        parts.append(_contents(each))
    return Group(*parts) if parts else Text("The resource is empty.", style="dim")


def prompt_result(result: PromptResult) -> RenderableType:
    """The messages of a prompt, each under its role."""
    parts: list[RenderableType] = []
    if result.description:
        parts.append(Text(words.line(result.description), style="dim"))
    for message in result.messages:
        role = Text(words.line(message.role, 40), style="bold cyan" if message.role == "user" else "bold magenta")
        parts += [role, indented(Group(*_blocks([message.content])))]
    return Group(*parts) if parts else Text("The prompt has no messages.", style="dim")


def _blocks(content: Sequence[Content], style: str = "") -> Iterator[RenderableType]:
    before = ""
    for block in content:
        if before and (before != block.type or block.type in {"text", "resource"}):
            yield Text()
        before = block.type
        yield _block(block, style)


def _block(block: Content, style: str) -> RenderableType:
    if block.type == "text" and block.text is not None:
        return _text(block.text, None, style)
    if block.type in {"image", "audio"} and block.data is not None:
        return _unshown(block.type, block.mime_type, block.data)
    if block.type == "resource_link" and block.uri is not None:
        return _link(block)
    if block.type == "resource" and block.resource is not None:
        return Group(_heading(block.resource), indented(_contents(block.resource)))
    return Text(f'A block of type "{words.line(block.type, 60)}", not shown; {words.ALL}', style="dim")


def _text(text: str, mime_type: str | None, style: str = "") -> RenderableType:
    kind = (mime_type or "").partition(";")[0].strip().lower()
    if kind == "text/markdown" or (not kind and not style and is_markdown(text)):
        return Markdown(text)
    if "\n" not in text and (kind.endswith(_JSON) or (not kind and text[:1] in ("{", "["))):
        return Plain(_formatted(text), style)
    return Plain(text, style)


def _formatted(text: str) -> str:
    """JSON on one line as JSON on several; anything else as it is."""
    try:
        return json_safe(msgspec.json.format(msgspec.json.encode(msgspec.json.decode(text))).decode())
    except (msgspec.DecodeError, RecursionError, ValueError, UnicodeEncodeError):
        return text


def _contents(each: ResourceContents) -> RenderableType:
    if each.text is not None:
        return _text(each.text, each.mime_type or "text/plain") if each.text else Text("(empty)", style="dim")
    if each.blob is not None:
        return _unshown("bytes", each.mime_type, each.blob)
    return Text("(empty)", style="dim")


def _heading(each: ResourceContents) -> Text:
    kind = (f"  {words.line(each.mime_type, 100)}", "dim") if each.mime_type else ""
    return Text.assemble((words.line(each.uri, 2_000), "cyan"), kind, overflow="fold")


def _link(block: Content) -> RenderableType:
    facts = [block.name or "", block.mime_type or "", "" if block.size is None else words.size(block.size)]
    name = block.title or block.name or block.uri or ""
    beside = "".join(f"  {words.line(fact, 100)}" for fact in facts if fact and fact != name)
    line = Text.assemble((words.line(name, 200), "bold"), (beside, "dim"))
    parts: list[RenderableType] = [Text(words.line(block.uri or "", 2_000), style="cyan", overflow="fold")]
    if block.description:
        parts.append(Text(words.line(block.description), style="dim"))
    return Group(line, indented(Group(*parts)))


def _unshown(kind: str, mime_type: str | None, base64: str) -> Text:
    facts = [words.line(mime_type, 100)] if mime_type else []
    return Text(f"[{kind}: {', '.join([*facts, words.size_of_base64(base64)])}]", style="magenta")
