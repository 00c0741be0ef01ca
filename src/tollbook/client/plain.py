"""What a server says, as plain text for pipes and files. Line breaks and tabs stay; what could deceive does not."""

from collections.abc import Iterable, Iterator, Sequence
from inspect import cleandoc

from tollbook.client.protocol import (
    Content,
    Implementation,
    Prompt,
    PromptResult,
    ReadResult,
    Resource,
    ResourceContents,
    ResourceTemplate,
    Server,
    Tool,
    ToolResult,
)
from tollbook.core.jsonrpc import written
from tollbook.core.text import json_safe, printable


def tool_result(result: ToolResult, _: Tool | None = None) -> str:
    """Its blocks; the structured content where there is none."""
    if not result.content and result.structured_content is not None:
        return f"{json_safe(written(result.structured_content).decode())}\n"
    return _lines(map(_content, result.content))


def read_result(result: ReadResult) -> str:
    return _lines(map(_resource, result.contents))


def prompt_result(result: PromptResult) -> str:
    return _lines(f"{_line(message.role)}: {_content(message.content)}" for message in result.messages)


def tools(tools: Sequence[Tool]) -> str:
    return _table((tool.name, tool.description or tool.title) for tool in tools)


def tool(tool: Tool) -> str:
    """All that is known of a tool."""
    schemas = {"takes": tool.input_schema, "gives": tool.output_schema}
    said = (f"{name}: {json_safe(written(schema).decode())}" for name, schema in schemas.items() if schema is not None)
    return _lines((_line(tool.name), _text(cleandoc(tool.description or tool.title or "")), *said))


def resources(resources: Sequence[Resource]) -> str:
    return _table((each.uri, each.title or each.name or each.description) for each in resources)


def templates(templates: Sequence[ResourceTemplate]) -> str:
    return _table((each.uri_template, each.title or each.name or each.description) for each in templates)


def prompts(prompts: Sequence[Prompt]) -> str:
    return _table((_signature(prompt), prompt.description or prompt.title) for prompt in prompts)


def server(server: Server) -> str:
    info = server.info or Implementation(name="?")
    rows = {
        "server": " ".join(filter(None, (info.title or info.name, info.version))),
        "protocol": f"{server.version} ({server.era})",
        "can": ", ".join(sorted(server.capabilities)),
        "instructions": server.instructions or "",
    }
    return _lines(f"{name}: {_text(value)}" for name, value in rows.items() if value)


def _signature(prompt: Prompt) -> str:
    arguments = prompt.arguments or ()
    return " ".join((prompt.name, *(f"{each.name}=…" if each.required else f"[{each.name}=…]" for each in arguments)))


def _table(rows: Iterable[tuple[str, str | None]]) -> str:
    """A line each: the name, a tab, and the first paragraph of what it is."""
    return _lines(f"{_line(name)}\t{_line(_paragraph(what or ''))}" for name, what in rows)


def _paragraph(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())


def _content(block: Content) -> str:
    if block.text is not None:
        return _text(block.text)
    if block.resource is not None:
        return _resource(block.resource)
    if block.uri is not None:
        return " ".join(filter(None, (_line(block.title or block.name or ""), f"<{_line(block.uri)}>")))
    return _held(block.type, block.mime_type, block.data)


def _resource(contents: ResourceContents) -> str:
    if contents.text is not None:
        return _text(contents.text)
    return _held(contents.uri or "resource", contents.mime_type, contents.blob)


def _held(what: str, mime_type: str | None, base64: str | None) -> str:
    return f"[{_line(what)}: {_line(mime_type or 'of no type')}, {len(base64 or '') * 3 // 4:,} bytes]"


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in _trimmed(texts))


def _trimmed(texts: Iterable[str]) -> Iterator[str]:
    return (text.removesuffix("\n") for text in texts if text)


def _text(text: str) -> str:
    """`text` on as many lines as it has, whatever they end with."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def _line(text: str) -> str:
    return printable(text)
