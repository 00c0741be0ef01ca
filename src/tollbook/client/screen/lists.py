"""What a server has, and what is known of it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from tollbook.client.protocol import Prompt, PromptArgument, Resource, ResourceTemplate, Server, Tool
from tollbook.client.screen import words
from tollbook.client.screen.arguments import Argument, arguments, left_out
from tollbook.client.screen.markdown import described
from tollbook.client.screen.prose import Pairs, Plain, indented

_MOST: Final = 1_000
_BADGES: Final = {"read-only": "green", "repeatable": "green", "may destroy": "yellow"}


def tools(tools: Sequence[Tool]) -> RenderableType:
    """A line or two for each tool."""
    rows: list[tuple[str, RenderableType]] = []
    for each in tools[:_MOST]:
        text = Text(words.first_sentence(each.description or each.title or ""))
        rows.append((words.line(each.name, 120), _badged(text, each)))
    return _listed([Pairs(rows)], len(tools), "tool")


def tool(tool: Tool) -> RenderableType:
    """All that is said of a tool."""
    title = tool.title or (tool.annotations.title if tool.annotations else None)
    parts: list[RenderableType] = [_badged(_head(tool.name, title), tool)]
    if tool.description:
        parts += [Text(), described(tool.description)]
    taken = arguments(tool.input_schema)
    if not taken:
        parts += [Text(), Text("It takes no arguments.", style="dim")]
    else:
        rows = [(each.name, _argument(each)) for each in taken]
        parts += [Text(), Text("Arguments", style="dim"), indented(Pairs(rows))]
    if rest := left_out(tool.input_schema):
        parts.append(Text(words.more(rest, "argument"), style="dim"))
    if tool.output_schema and (gives := arguments(tool.output_schema)):
        rows = [(each.name, _field(each)) for each in gives]
        parts += [Text(), Text("Structured content", style="dim"), indented(Pairs(rows, ""))]
    return Group(*parts)


def _head(name: str, title: str | None) -> Text:
    return Text.assemble((words.line(name, 200), "bold"), f"  {words.line(title, 200)}" if title else "")


def _badged(text: Text, tool: Tool) -> Text:
    text = Text().append_text(text)
    for badge in _badges(tool):
        text.append("  " if text else "").append(badge, style=_BADGES[badge])
    return text


def _badges(tool: Tool) -> Iterator[str]:
    """What the server claims. The schema calls these hints, and so nothing here rests on them."""
    if (said := tool.annotations) is None:
        return
    if said.read_only_hint:
        yield "read-only"
        return
    if said.destructive_hint:
        yield "may destroy"
    if said.idempotent_hint:
        yield "repeatable"


def _argument(each: Argument) -> RenderableType:
    line = Text.assemble((each.kind, "cyan"))
    if each.is_required:
        line.append("  required", style="yellow")
    if each.notes:
        line.append(f"  {' · '.join(each.notes)}", style="dim")
    said = [described(each.description)] if each.description else []
    limits = [Text(" · ".join(each.limits), style="dim")] if each.limits else []
    return Group(line, *said, *limits)


def _field(each: Argument) -> RenderableType:
    return Text.assemble((each.kind, "cyan"), f"  {words.first_sentence(each.description)}")


def resources(resources: Sequence[Resource]) -> RenderableType:
    """The address of each resource, and what it is below it."""
    rows = [_resource(each.uri, each, each.size) for each in resources[:_MOST]]
    return _listed(rows, len(resources), "resource")


def templates(templates: Sequence[ResourceTemplate]) -> RenderableType:
    rows = [_resource(each.uri_template, each, None) for each in templates[:_MOST]]
    return _listed(rows, len(templates), "resource template")


def _resource(uri: str, each: Resource | ResourceTemplate, size: int | None) -> RenderableType:
    facts = [each.mime_type, None if size is None else words.size(size)]
    beside = "".join(f"  {words.line(fact, 80)}" for fact in facts if fact)
    parts = [Text.assemble(words.line(each.title or each.name), (beside, "dim"))]
    if each.description:
        parts.append(Text(words.first_sentence(each.description), style="dim"))
    return Group(Text(words.line(uri, 2_000), style="bold", overflow="fold"), indented(Group(*parts)))


def prompts(prompts: Sequence[Prompt]) -> RenderableType:
    """A line or two for each prompt; its arguments in brackets where they may be left out."""
    rows: list[tuple[str, RenderableType]] = []
    for each in prompts[:_MOST]:
        text = Text(words.first_sentence(each.description or each.title or ""))
        for argument in (each.arguments or ())[:20]:
            name = words.line(argument.name, 60)
            text.append("  " if text else "").append(name if argument.required else f"[{name}]", style="cyan")
        rows.append((words.line(each.name, 120), text))
    return _listed([Pairs(rows)], len(prompts), "prompt")


def prompt(prompt: Prompt) -> RenderableType:
    """All that is said of a prompt."""
    parts: list[RenderableType] = [_head(prompt.name, prompt.title)]
    if prompt.description:
        parts += [Text(), described(prompt.description)]
    if prompt.arguments:
        rows = [(words.line(each.name, 100), _prompt_argument(each)) for each in prompt.arguments[:_MOST]]
        parts += [Text(), Text("Arguments", style="dim"), indented(Pairs(rows))]
    return Group(*parts)


def _prompt_argument(each: PromptArgument) -> RenderableType:
    line = Text("required", style="yellow") if each.required else Text("may be left out", style="dim")
    said = each.description or each.title
    return Group(line, described(said)) if said else line


def server(server: Server) -> RenderableType:
    """Who a server is and what it can."""
    info, parts = server.info, list[RenderableType]()
    if info is not None:
        version = (f"  {words.line(f'{info.name} {info.version}', 200)}", "dim")
        parts.append(Text.assemble((words.line(info.title or info.name, 200), "bold"), version))
        if info.description and info.description != info.title:
            parts.append(described(info.description))
        parts.append(Text())
    eras = {"modern": "every request stands alone", "handshake": "begins with initialize"}
    rows = [("protocol", f"MCP {server.version}, {eras[server.era]}")]
    rows.append(("session", "kept by the server" if server.has_session else "none"))
    rows.append(("offers", ", ".join(_offers(server.capabilities)) or "nothing"))
    if info is not None and info.website_url:
        rows.append(("website", info.website_url))
    parts.append(facts(rows))
    if server.instructions:
        parts += [Text(), Text("Instructions to the model", style="dim"), indented(described(server.instructions))]
    return Group(*parts)


def _offers(capabilities: Any) -> Iterator[str]:
    """`tools (listChanged)`."""
    for name, details in list(capabilities.items())[:30]:
        shown = (
            [words.line(key, 40) for key, value in details.items() if value][:8] if isinstance(details, dict) else []
        )
        yield words.line(name, 60) + (f" ({', '.join(shown)})" if shown else "")


def facts(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Keys and values."""
    return Pairs([(words.line(name, 60), Plain(words.line(value, 2_000))) for name, value in rows], "dim")


def entries(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Names, and a sentence on each."""
    return Pairs([(words.line(name, 120), Text(words.line(said, 1_000))) for name, said in rows])


def history(commands: Sequence[str]) -> RenderableType:
    """The commands, numbered from 1, the latest last."""
    wide = len(str(len(commands)))
    return Pairs([(f"{place:>{wide}}", Text(words.line(each))) for place, each in enumerate(commands, 1)], "dim")


def _listed(shown: Sequence[RenderableType], number: int, noun: str) -> RenderableType:
    if not number:
        return Text(f"The server has no {noun}s.", style="dim")
    rest = [Text(words.more(number - _MOST, noun), style="dim")] if number > _MOST else []
    return Group(*shown, *rest)
