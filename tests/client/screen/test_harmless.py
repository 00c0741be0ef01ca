"""Whatever a server says, it says in letters: it moves no cursor, chooses no colour, hides no address."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from rich.cells import cell_len
from rich.console import RenderableType

from tests.client.screen.terminals import Terminal, as_a_file, drawn, plain, shown
from tollbook.client import screen
from tollbook.client.protocol import (
    Annotations,
    Content,
    Implementation,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptResult,
    ReadResult,
    Resource,
    ResourceContents,
    ResourceTemplate,
    Server,
    Tool,
    ToolResult,
)
from tollbook.client.screen.markdown import Markdown
from tollbook.core.text import printable

HOSTILE = (
    "\x1b[2J\x1b[31m",
    "\x1b]8;;https://evil.example\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b31m",
    "\u202eevil",
    "\u2066",
    "\ufeff",
    "\r",
    "\x08\x08",
    "\u2028",
    "[red]",
    "[link=https://evil.example]x[/link]",
    "[/]",
    ":smile:",
    "\t",
    "\n",
    "&#x202e;",
    "&#27;[31m",
    "[good](https://evil.example)",
    "<b>",
    "# ",
    "| a | b |\n|---|---|\n| c | d |",
    "```",
    "- ",
    "> ",
    "漢字",
    "e\u0301",
    "\ud800",
)
texts = some.lists(some.sampled_from(HOSTILE) | some.text(max_size=8), max_size=8).map("".join)
values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)
tables = some.lists(some.fixed_dictionaries({"id": texts, "n": some.integers(), "x": texts | some.none()}), max_size=5)
kinds = some.none() | some.sampled_from(["text/markdown", "application/json", "text/plain"]) | texts
contents = some.builds(ResourceContents, uri=texts, mime_type=kinds, text=some.none() | texts, blob=some.none() | texts)
blocks = some.builds(
    Content,
    type=some.sampled_from(["text", "image", "audio", "resource", "resource_link"]) | texts,
    text=some.none() | texts,
    data=some.none() | texts,
    mime_type=kinds,
    resource=some.none() | contents,
    uri=some.none() | texts,
    name=some.none() | texts,
    title=some.none() | texts,
    description=some.none() | texts,
    size=some.none() | some.integers(0, 10**12),
)
schemas = some.fixed_dictionaries({"properties": values}) | some.fixed_dictionaries(
    {
        "properties": some.dictionaries(
            texts,
            some.dictionaries(
                some.sampled_from(
                    [
                        "type",
                        "enum",
                        "default",
                        "description",
                        "pattern",
                        "anyOf",
                        "$ref",
                        "items",
                        "minimum",
                        "examples",
                    ]
                ),
                values,
            ),
            max_size=3,
        ),
        "required": values,
    }
)
tools = some.builds(
    Tool,
    name=texts,
    title=texts,
    description=texts,
    input_schema=schemas,
    output_schema=some.none() | schemas,
    annotations=some.none() | some.builds(Annotations, read_only_hint=some.booleans(), title=texts),
)
arguments = some.lists(some.builds(PromptArgument, name=texts, description=some.none() | texts), max_size=2)
prompts = some.builds(
    Prompt, name=texts, title=some.none() | texts, description=some.none() | texts, arguments=arguments
)
things: some.SearchStrategy[RenderableType] = some.one_of(
    some.builds(
        screen.tool_result,
        some.builds(
            ToolResult,
            content=some.lists(blocks, max_size=4),
            structured_content=values | tables,
            is_error=some.booleans(),
        ),
    ),
    some.builds(screen.read_result, some.builds(ReadResult, contents=some.lists(contents, max_size=3))),
    some.builds(
        screen.prompt_result,
        some.builds(
            PromptResult,
            description=texts,
            messages=some.lists(some.builds(PromptMessage, role=texts, content=blocks), max_size=2),
        ),
    ),
    some.builds(screen.tools, some.lists(tools, max_size=3)),
    some.builds(screen.tool, tools),
    some.builds(
        screen.resources, some.lists(some.builds(Resource, uri=texts, name=texts, description=texts), max_size=2)
    ),
    some.builds(
        screen.templates, some.lists(some.builds(ResourceTemplate, uri_template=texts, name=texts), max_size=2)
    ),
    some.builds(screen.prompts, some.lists(prompts, max_size=2)),
    some.builds(screen.prompt, prompts),
    some.builds(
        screen.server,
        some.builds(
            Server,
            info=some.none() | some.builds(Implementation, name=texts, version=texts, title=texts, website_url=texts),
            capabilities=some.dictionaries(texts, values, max_size=3),
            instructions=texts,
            version=texts,
            era=some.sampled_from(["handshake", "modern"]),
        ),
    ),
    some.builds(screen.facts, some.lists(some.tuples(texts, texts), max_size=2)),
    some.builds(screen.entries, some.lists(some.tuples(texts, texts), max_size=2)),
    some.builds(screen.history, some.lists(texts, max_size=2)),
)

STYLES = {0, 1, 2, 3, 4, 9, 31, 32, 33, 35, 36}
"""Of SGR: reset, bold, dim, italic, underlined, struck; red, green, yellow, magenta and cyan, as letters only."""


def is_harmless(written: str) -> bool:
    """Whether `written` has nothing that deceives, and no colours but ours."""
    codes = {int(code or 0) for codes in re.findall(r"\x1b\[([0-9;]*)m", written) for code in codes.split(";")}
    text = plain(written).replace("\n", "")
    return codes <= STYLES and printable(text) == text


@settings(max_examples=150, deadline=None)
@given(things)
def test_nothing_of_a_server_reaches_the_terminal_but_letters(thing: RenderableType) -> None:
    assert is_harmless(drawn(thing))


@settings(max_examples=100, deadline=None)
@given(things)
def test_nor_a_file(thing: RenderableType) -> None:
    written = as_a_file(thing)
    assert printable(written.replace("\n", "")) == written.replace("\n", "")


@settings(max_examples=100, deadline=None)
@given(things, some.sampled_from([40, 80, 120]))
@example(screen.tool_result(ToolResult(content=[], structured_content={"\x1b[2J\x1b[31m" * 2: None})), 40)
@example(screen.tool_result(ToolResult(content=[], structured_content={"k" * 28: {"a" * 28: {"b": "c" * 90}}})), 40)
def test_no_line_is_too_long_whatever_it_holds(thing: RenderableType, columns: int) -> None:
    assert max(map(cell_len, shown(thing, columns).split("\n"))) <= columns


@settings(max_examples=100, deadline=None)
@given(texts, texts, values | texts)
def test_log_lines_and_notices_are_harmless_and_one_line_each(level: str, logger: str, data: Any) -> None:
    terminal = Terminal(columns=20_000)
    running = screen.Running(terminal.screen, lambda: 0.0)
    running.shows_debug = True
    running.log(level, logger, data)
    running.notice(level)
    running.debug(logger)
    terminal.screen.warn(level)
    terminal.screen.fail(logger)
    assert is_harmless(terminal.err.written)
    assert terminal.err.written.count("\n") == 5


@settings(max_examples=150, deadline=None)
@given(
    some.lists(
        some.sampled_from(HOSTILE) | some.sampled_from(["word", "two words", "**bold**", " ", "\n\n", "1. ", "    "]),
        max_size=20,
    )
)
def test_drawing_markdown_hides_no_word(pieces: list[str]) -> None:
    text = "# T\n\n" + "".join(f"{piece}w{place} " for place, piece in enumerate(pieces))
    lost = set(re.findall(r"w[0-9]+|evil\.example", text)) - set(
        re.findall(r"w[0-9]+|evil\.example", shown(Markdown(text)))
    )
    assert not lost


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("[docs](https://evil.example/x)", "docs (https://evil.example/x)"),
        ("[https://good.example](https://evil.example)", "https://good.example (https://evil.example)"),
        ('![cat](https://evil.example/c.png "t")', '[image: cat] (https://evil.example/c.png "t")'),
        ("<https://evil.example/%E2%80%AE>", "https://evil.example/%E2%80%AE"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("a <b onclick=x>b</b>", "a <b onclick=x>b</b>"),
        ("<!-- seen -->", "<!-- seen -->"),
        ("<div>**b**</div>", "<div>b</div>"),
        ("[r]: https://evil.example", "[r]: https://evil.example"),
        ("&#x202e; &amp;", "&#x202e; &amp;"),
        (":smile: [red]r[/red]", ":smile: [red]r[/red]"),
    ],
)
def test_markdown_shows_where_it_leads(written: str, seen: str) -> None:
    assert shown(Markdown(written)) == f"{seen}\n"


def test_control_characters_are_shown_as_their_codes() -> None:
    block = Content(type="text", text="a\x1b[31mb\u202ec\td\r\ne")
    assert shown(screen.tool_result(ToolResult(content=[block]))) == "a<U+001B>[31mb<U+202E>c       d\ne\n"
