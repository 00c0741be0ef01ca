"""What the answers of real servers look like, as files to look at."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from tests.client.screen.terminals import as_a_file, shown
from tollbook.client import screen
from tollbook.client.protocol import (
    Implementation,
    Prompt,
    PromptArgument,
    PromptResult,
    ReadResult,
    Resource,
    ResourceTemplate,
    Server,
    Tool,
    ToolResult,
    read,
)

HERE = Path(__file__).parent
REPORT = json.loads((HERE / "answers" / "usage_report.json").read_text())
EVERYTHING = json.loads((HERE / "answers" / "everything.json").read_text())
"""Of `tollbook serve --source examples/bedrock-logs.jsonl.gz`, and of the reference server from npm."""


def under(*titled: tuple[str, RenderableType]) -> RenderableType:
    return Group(*(part for title, thing in titled for part in (Text(f"$ {title}"), thing, Text())))


def everything() -> RenderableType:
    tools = {each["name"]: read(each, Tool) for each in EVERYTHING["tools"]}
    calls = [
        (f"call-tool {name}", screen.tool_result(read(answer, ToolResult), tools[name]))
        for name, answer in EVERYTHING["calls"].items()
    ]
    document = screen.read_result(read(EVERYTHING["architecture"], ReadResult))
    return under(
        ("list-tools", screen.tools(list(tools.values()))), *calls, ("read-resource architecture.md", document)
    )


def the_others() -> RenderableType:
    info = Implementation(
        name="books", version="1.2", title="The books", description="Says who paid.", website_url="https://example.com"
    )
    server = Server(
        info=info,
        capabilities={
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": False},
            "logging": {},
        },
        instructions="Ask for a report.\n\n- first **this**\n- then `that`",
        version="2026-07-28",
        era="modern",
    )
    resource = Resource(
        uri="https://example.com/greetings/default",
        name="greeting",
        title="Default greeting",
        description="A plain greeting. It says no more.",
        mime_type="text/plain",
        size=13,
    )
    template = ResourceTemplate(uri_template="books://reports/{id}.{format}", name="report", mime_type="text/csv")
    arguments = [PromptArgument(name="name", description="Who to greet.", required=True), PromptArgument(name="mood")]
    prompt = Prompt(name="greeting-template", title="Greeting", description="Asks for a greeting.", arguments=arguments)
    messages = {
        "description": "A greeting",
        "messages": [
            {"role": "user", "content": {"type": "text", "text": "Greet Ann,\nplease."}},
            {"role": "assistant", "content": {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}},
            {"role": "user", "content": {"type": "hologram"}},
        ],
    }
    return under(
        ("server-info", screen.server(server)),
        ("list-resources", screen.resources([resource])),
        ("list-resources --templates", screen.templates([template])),
        ("list-prompts", screen.prompts([prompt])),
        ("help greeting-template", screen.prompt(prompt)),
        ("get-prompt greeting-template", screen.prompt_result(read(messages, PromptResult))),
        ("history", screen.history(["connect", "call-tool greet name=Ann"])),
        ("auth status", screen.facts([("server", "https://example.com/mcp"), ("scopes", "books/read books/write")])),
        ("help", screen.entries([("connect [url]", "Connects."), ("bedrock-report " + "[word] " * 6, "Reports.")])),
        ("list-tools", screen.tools([])),
    )


PICTURES: dict[str, RenderableType] = {
    "report": screen.tool_result(read(REPORT["result"], ToolResult)),
    "report_tool": screen.tool(read(REPORT["tool"], Tool)),
    "everything": everything(),
    "others": the_others(),
}


def file(name: str, columns: int) -> Path:
    return HERE / "pictures" / f"{name}-{columns}.txt"


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", PICTURES)
def test_it_looks_as_it_should(name: str, columns: int) -> None:
    """After a change that is meant: `python -m tests.client.screen.test_pictures`, and look at the files it writes."""
    assert shown(PICTURES[name], columns) == file(name, columns).read_text()


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", PICTURES)
def test_no_line_is_longer_than_the_terminal_is_wide(name: str, columns: int) -> None:
    assert max(map(cell_len, shown(PICTURES[name], columns).split("\n"))) <= columns


def test_every_line_of_a_report_is_as_it_came_where_there_is_room() -> None:
    text = REPORT["result"]["content"][0]["text"]
    assert shown(PICTURES["report"], 200).startswith(text)
    assert as_a_file(PICTURES["report"]).startswith(text)


def test_a_report_loses_nothing_but_blanks_where_there_is_none() -> None:
    text = REPORT["result"]["content"][0]["text"]
    assert "".join(shown(PICTURES["report"], 80).split()).startswith("".join(text.split()))


def test_every_figure_of_structured_content_is_there_at_any_width() -> None:
    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict | list):
            return [leaf for each in (value.values() if isinstance(value, dict) else value) for leaf in leaves(each)]
        return [value if isinstance(value, str) else msgspec.json.encode(value).decode()]

    structured = REPORT["result"]["structuredContent"]
    for columns in (40, 80, 120):
        text = "".join(shown(screen.tool_result(ToolResult(structured_content=structured)), columns).split())
        numbers = [leaf for leaf in leaves(structured) if leaf.replace(".", "").isdigit()]
        assert len(numbers) > 80
        assert [leaf for leaf in numbers if leaf not in text] == []


if __name__ == "__main__":  # writes the pictures anew; look at them
    for name in PICTURES:
        for columns in (80, 120):
            file(name, columns).parent.mkdir(exist_ok=True)
            file(name, columns).write_text(shown(PICTURES[name], columns))
