"""What a tool answered, as its reader wants it."""

from typing import Any

import msgspec
import pytest

from tests.client.screen.terminals import as_a_file, drawn, shown
from tollbook.client.protocol import Content, ReadResult, ResourceContents, Tool, ToolResult
from tollbook.client.screen import read_result, tool, tool_result
from tollbook.client.screen.markdown import is_markdown


def text(*written: str, structured: Any = None, is_error: bool = False) -> ToolResult:
    content = [Content(type="text", text=each) for each in written]
    return ToolResult(content=content, structured_content=structured, is_error=is_error)


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def deep(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = {"in": [value]}
    return value


PEOPLE = [{"name": "Ann", "calls": 1200, "usd": "1.5"}, {"name": "Bo", "calls": 7, "usd": "12.25"}]
TABLE = """\
name  calls    usd
──────────────────
Ann    1200   1.5
Bo        7  12.25
"""


def test_a_list_of_like_objects_is_a_table_with_its_numbers_on_the_right() -> None:
    assert shown(tool_result(text(structured=PEOPLE))) == TABLE


def test_an_object_is_keys_and_values_with_what_is_deeper_below() -> None:
    value = {"who": "Ann", "is_admin": True, "team": None, "tags": ["a", "b"], "window": {"since": 1, "until": 2}}
    value |= {"people": PEOPLE, "notes": ["one, two", "three"], "nothing": [], "empty": ""}
    assert (
        shown(tool_result(text(structured=value)))
        == """\
who       Ann
is_admin  true
team      null
tags      a, b
window    since=1, until=2
people
  name  calls    usd
  ──────────────────
  Ann    1200   1.5
  Bo        7  12.25
notes
  • one, two
  • three
nothing   []
empty     ""
"""
    )


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column_again() -> None:
    rows = [{"name": f"row {row}", **{f"price_in_{n}": row * 10**7 + n for n in range(6)}} for row in range(1, 3)]
    assert (
        shown(tool_result(text(structured=rows)), 40)
        == """\
         price_    price_    price_
name       in_0      in_1      in_2
───────────────────────────────────
row 1  10000000  10000001  10000002
row 2  20000000  20000001  20000002

         price_    price_    price_
name       in_3      in_4      in_5
───────────────────────────────────
row 1  10000003  10000004  10000005
row 2  20000003  20000004  20000005
"""
    )


def test_objects_that_make_no_table_stand_one_below_the_other() -> None:
    rows = [{"a": 1, "b": {"c": [{"d": 1}]}}, {"e": 2}]
    assert shown(tool_result(text(structured=rows))) == "• a  1\n  b\n    c\n      • d  1\n\n• e  2\n"


@pytest.mark.parametrize(
    ("structured", "texts"),
    [
        ({"a": 1}, ['{"a": 1}']),
        ({"a": 1}, ['{\n  "a": 1\n}']),
        ({"result": PEOPLE}, [as_json(PEOPLE)]),
        ({"result": PEOPLE}, [as_json(each) for each in PEOPLE]),
        ({"result": PEOPLE}, [as_json({"result": PEOPLE})]),
        ({"result": "Hello, Ann!"}, ["Hello, Ann!"]),
        ({"result": 7}, ["7"]),
    ],
)
def test_what_is_said_twice_is_shown_once(structured: Any, texts: list[str]) -> None:
    seen = shown(tool_result(text(*texts, structured=structured)))
    assert "Structured content" not in seen
    assert "{" not in seen
    for word in ("Ann", "Bo", "1200", "Hello, Ann!", "7"):
        if word in as_json(structured):
            assert seen.count(word) == 1


def test_a_text_that_is_wrapped_as_structured_content_stays_a_text() -> None:
    written = "# Title\n\nSome **bold**."
    assert shown(tool_result(text(written, structured={"result": written}))) == "Title\n\nSome bold.\n"


def test_what_is_not_the_same_is_shown_beside_the_text() -> None:
    seen = shown(tool_result(text("Two people.", structured={"people": 2})))
    assert seen == "Two people.\n\nStructured content\npeople  2\n"


def test_json_on_one_line_is_shown_on_several() -> None:
    assert shown(tool_result(text('{"a":[1,"\u202e"]}'))) == '{\n  "a": [\n    1,\n    "\\u202e"\n  ]\n}\n'


def test_an_error_is_said_and_red() -> None:
    seen = drawn(tool_result(text("No such region.", is_error=True)))
    assert seen == "\x1b[1;31mThe tool answered with an error.\x1b[0m\n\x1b[31mNo such region.\x1b[0m\n"


def test_a_tool_that_keeps_its_promise_is_not_reproached() -> None:
    promises = Tool(name="t", output_schema={"type": "object"})
    reproach = "The tool promises structured content, and sent none."
    assert reproach in shown(tool_result(text("x"), promises))
    assert reproach not in shown(tool_result(text("x", structured={"x": 1}), promises))
    assert reproach not in shown(tool_result(text("x", is_error=True), promises))
    assert reproach not in shown(tool_result(text("x"), Tool(name="t")))


def test_an_answer_with_nothing_in_it_says_so() -> None:
    assert shown(tool_result(ToolResult())) == "The tool answered nothing.\n"
    assert shown(read_result(ReadResult())) == "The resource is empty.\n"


def test_what_a_terminal_cannot_show_is_named_with_its_type_and_size() -> None:
    image = Content(type="image", mime_type="image/png", data="AAAA" * 4000)
    blob = Content(type="resource", resource=ResourceContents(uri="x://y", mime_type="a/b", blob="AAA="))
    seen = shown(tool_result(ToolResult(content=[image, blob, Content(type="hologram")])))
    assert seen == (
        "[image: image/png, 12.0 KB]\n\nx://y  a/b\n  [bytes: a/b, 2 B]\n\n"
        'A block of type "hologram", not shown; --json gives all\n'
    )


def test_several_parts_of_a_resource_stand_under_their_addresses() -> None:
    parts = [
        ResourceContents(uri="x://1", text="one"),
        ResourceContents(uri="x://2", text="*two*", mime_type="text/plain"),
    ]
    assert shown(read_result(ReadResult(contents=parts))) == "x://1\none\n\nx://2  text/plain\n*two*\n"
    assert shown(read_result(ReadResult(contents=parts[:1]))) == "one\n"


def test_a_resource_is_markdown_if_it_says_so() -> None:
    part = ResourceContents(uri="x://1", text="a *b* c", mime_type="text/markdown; charset=utf-8")
    assert drawn(read_result(ReadResult(contents=[part]))) == "a \x1b[3mb\x1b[0m c\n"
    assert as_a_file(read_result(ReadResult(contents=[part]))) == "a *b* c\n"


MARKDOWN = (
    "# Title\n\nText",
    "Text\n\n## Part\nMore",
    "Look:\n```\ncode\n```\n",
    "| a | b |\n|---|--:|\n| 1 | 2 |",
    "a | b\n--|--\n1 | 2",
    "- **bold** one\n- two",
    "See [docs](https://example.com) and `code`.",
    "1. `one`\n2. two",
)
NO_MARKDOWN = (
    "Hello, Ann!",
    "2025-04-06: Requests=8330, Input=1818253\n2025-04-07: Requests=4669, Input=936299",
    "--- Daily Totals ---\nall: 5\n\n--- Notes ---\nnone",
    "name      calls   cost\n## Ann     12      $3\n- Bo       **7**   $1",
    "# a comment\nkey: value\n# another\nother: value",
    "- one\n- two",
    "3 * 4 * 5 ** 2 ** 1",
    "C:\\dir\\*.txt and snake_case_name and [x]",
    "Title\n-----\nrow",
    "a | b\nc | d",
    "$ ls | wc -l\n12",
)


@pytest.mark.parametrize("written", MARKDOWN)
def test_it_is_markdown(written: str) -> None:
    assert is_markdown(written)


@pytest.mark.parametrize("written", NO_MARKDOWN)
def test_it_is_no_markdown_and_stays_as_it_is(written: str) -> None:
    assert not is_markdown(written)
    assert shown(tool_result(text(written))) == f"{written}\n"


def test_markdown_is_drawn() -> None:
    written = (
        "# Report\n\nSome **bold**, *slanted* and `code`.\nA new line.\n\n1. one\n2. two\n   - deeper\n\n> said\n\n"
        "```sh\nls  -l\n```\n\n| name | calls |\n|---|--:|\n| Ann | 12 |\n\n---\n"
    )
    assert (
        shown(tool_result(text(written)))
        == """\
Report

Some bold, slanted and code.
A new line.

1. one
2. two
   • deeper

│ said

  sh
  ls  -l

name  calls
───────────
Ann      12

────────────────────────────────────────
"""
    )


@pytest.mark.parametrize("columns", [20, 79, 80])
def test_a_table_of_markdown_that_does_not_fit_stays_as_it_was_written(columns: int) -> None:
    written = f"|{'|'.join(['123456789'] * 40)}|\n|{'---|' * 40}\n|{'|'.join(['2'] * 40)}|"
    assert "".join(shown(tool_result(text(written)), columns).split()) == "".join(written.split())


def test_a_long_text_is_cut_and_says_so() -> None:
    seen = shown(tool_result(text("line\n" * 8_211)))
    assert seen.count("line\n") == 5_000
    assert seen.endswith("line\n… 3,211 more lines; --json gives all\n")
    assert "cut after" in shown(tool_result(text("x" * 3_000_000)))[-60:]
    seen = shown(tool_result(text(("y" * 999 + "\n") * 3_000)))
    assert 390_000 < seen.count("y") < 400_000
    assert seen.endswith("… 2,600 more lines; --json gives all\n")


def test_a_long_table_is_cut_and_says_so() -> None:
    seen = shown(tool_result(text(structured=[{"n": n, "m": n} for n in range(1, 100_001)])))
    assert "\n500  500\n" in seen
    assert seen.endswith("\n… 99,500 more rows; --json gives all\n")


def test_deep_and_broad_values_are_cut_and_say_so() -> None:
    seen = shown(tool_result(text(structured=deep(400))))
    assert "core" not in seen
    assert len(seen) < 2_000
    assert "nested too deeply" in shown(tool_result(text(structured={"a": deep(100_000)})))
    broad = {str(n): {str(m): list(range(100)) for m in range(100)} for n in range(1_000)}
    seen = shown(tool_result(text(structured=broad)))
    assert seen.count("\n") < 20_000
    assert seen.endswith("more keys; --json gives all\n")
    many = {"texts": ["line\n" * 1_000] * 1_000}
    assert shown(tool_result(text(structured=many))).count("\n") < 20_000


def test_hours_are_not_spent_on_a_text_that_was_made_to_waste_them() -> None:
    """Each of these took minutes with an expression that looks again from every character."""
    for piece in ("[", "|", "`", "**a", "```a\n", "- ", " ", "|-", "> ", "*a "):
        for tail in ("", "x", "\n" + piece * 20_000 + "x"):
            is_markdown((piece * 60_000)[:35_000] + tail)


def test_arguments_are_said_in_words() -> None:
    schema = {
        "$defs": {"Mood": {"type": "string", "enum": ["glad", "sad"]}},
        "properties": {
            "name": {"type": "string", "description": "Who."},
            "mood": {"$ref": "#/$defs/Mood", "default": "glad", "description": "How it feels."},
            "times": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
            "least": {"type": "number", "minimum": 0.5},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
            "either": {"type": ["string", "integer"], "maxLength": 5, "pattern": "^a"},
            "endless": {"$ref": "#/properties/endless"},
            "within": {"type": "array", "items": {"$ref": "#/properties/within"}},
            "odd": True,
        },
        "required": ["name"],
    }
    assert (
        shown(tool(Tool(name="greet", input_schema=schema)))
        == """\
greet

Arguments
  name     string  required
           Who.
  mood     string  one of glad, sad · default glad
           How it feels.
  times    integer  default 1 · 1 to 9
  least    number  at least 0.5
  tags     array of string  one of a, b
  day      string or null  default null
  either   string or integer
           at most 5 characters · matching ^a
  endless  any
  within   array of array of array of array of array of any
  odd      any
"""
    )
