"""How a line is read, which lines are kept, and what a form's fields take."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.client.repl.fields import fields_of
from tollbook.client.repl.history import KeptLines
from tollbook.client.repl.words import words_of


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("""call-tool report days=7 tags:='["a"]'""", ["call-tool", "report", "days=7", 'tags:=["a"]']),
        ('call-tool report tags:=["a", "b"] x=1', ["call-tool", "report", 'tags:=["a", "b"]', "x=1"]),
        ('call-tool report {"days": 7, "x": "a  b"}', ["call-tool", "report", '{"days": 7, "x": "a  b"}']),
        ('call-tool report {"days": 7', ["call-tool", "report", '{"days": 7']),
        ("""a 'b c' "d \\"e\\"" f\\ g h'i'j""", ["a", "b c", 'd "e"', "f g", "hij"]),
        ("  ", []),
        ("a\\", ["a"]),
    ],
)
def test_a_line_is_read_as_in_a_shell_but_json_may_stand_in_it(line: str, words: list[str]) -> None:
    assert [word.text for word in words_of(line)] == words


@given(st.text(max_size=60))
def test_any_line_can_be_read_and_nothing_lies_between_its_words(line: str) -> None:
    words = words_of(line)
    ends = [0, *(word.end for word in words)]
    begins = [*(word.begin for word in words), len(line)]
    assert all(end <= begin and not line[end:begin].strip() for end, begin in zip(ends, begins, strict=True))
    assert all(word.begin < word.end for word in words)


def test_a_line_with_a_credential_is_not_kept(tmp_path: Path) -> None:
    kept = KeptLines(tmp_path / "history")
    for line in (
        "call-tool x token=abc",
        'call-tool x {"password": "abc"}',
        "call-tool x api_key:='\"abc\"'",
        "call-tool x h='Authorization: Bearer abc'",
        "connect https://ann:pw@example.com/mcp",
        "connect https://example.com/callback?code=abc",
        "greet eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "greet AKIAIOSFODNN7EXAMPLE",
        "greet wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabc",
        " greet Ann",
    ):
        assert not kept.keep(line), line
    assert not (tmp_path / "history").exists()
    for line in ("greet Ann", "call-tool x max_tokens=5 postcode=12345", "auth login", "read-resource file:///a/b/c"):
        assert kept.keep(line), line
    assert not kept.keep("read-resource file:///a/b/c")


def test_two_prompts_share_a_history_and_an_old_one_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_bytes(b"\xff\n" + b"".join(b"greet %d\n" % number for number in range(2500)))
    first, second = KeptLines(file), KeptLines(file)
    assert len(first.lines) == 1000
    assert first.lines[-1] == "greet 2499"
    assert first.keep("greet first")
    assert second.keep("greet second")
    assert KeptLines(file).lines[-2:] == ("greet first", "greet second")


def test_a_history_that_cannot_be_kept_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    kept = KeptLines(tmp_path / "file" / "history")
    assert kept.keep("greet Ann")
    assert kept.lines == ("greet Ann",)
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "link").symlink_to(target)
    assert KeptLines(tmp_path / "link").keep("greet Ann")
    assert target.read_text() == ""


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string", "minLength": 2, "maxLength": 3}, "abc", "abc"),
        ({"type": "string", "format": "uri"}, "https://example.com/a", "https://example.com/a"),
        ({"type": "string", "format": "date-time"}, "2026-11-20T09:00Z", "2026-11-20T09:00Z"),
        ({"type": "integer"}, "-3", -3),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "2", 2),
        ({"type": "boolean"}, "No", False),
        ({"type": "string", "enum": ["a", "b"], "enumNames": ["Ann", "Bo"]}, "bo", "b"),
        ({"type": "string", "enum": ["2", "1"]}, "1", "1"),
        ({"type": "array", "items": {"anyOf": [{"const": "a", "title": "Ann"}]}}, "ann, a", ["a"]),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
    ],
)
def test_a_field_reads_what_is_typed(schema: dict[str, Any], typed: str, value: Any) -> None:
    (field,) = fields_of({"type": "object", "properties": {"x": schema}})
    assert field.read(typed) == value
    assert field.read(field.written(value)) == value


@pytest.mark.parametrize(
    ("schema", "typed", "wanted"),
    [
        ({"type": "string", "minLength": 2}, "a", "2 characters or more"),
        ({"type": "string", "maxLength": 2}, "abc", "2 characters or fewer"),
        ({"type": "string", "format": "email"}, "ann@", "email address"),
        ({"type": "string", "format": "uri"}, "example", "https://"),
        ({"type": "string", "format": "uri"}, "http://[", "https://"),
        ({"type": "string", "format": "date"}, "20261120", "A date"),
        ({"type": "string", "format": "date-time"}, "2026-11-20T09:00", "An instant"),
        ({"type": "integer"}, "1.5", "whole number"),
        ({"type": "integer"}, "9" * 5000, "whole number"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "number"}, "1e999", "number"),
        ({"type": "number", "minimum": 1}, "0.5", "from 1"),
        ({"type": "boolean"}, "si", "y or n"),
        ({"type": "string", "enum": ["a"]}, "0", "One of a"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}, "a, a", "2 or more"),
        ({"type": "object"}, "{", "JSON"),
    ],
)
def test_a_field_says_what_it_wants(schema: dict[str, Any], typed: str, wanted: str) -> None:
    (field,) = fields_of({"type": "object", "properties": {"x": schema}})
    with pytest.raises(ValueError, match=wanted):
        field.read(typed)


def test_a_form_that_is_not_as_it_should_be_is_read_as_far_as_it_goes() -> None:
    assert fields_of({"type": "object"}) == ()
    schema = {"properties": {"a": 1, "b": {"default": "x", "type": "integer"}, "c": {"enum": [1]}}, "required": "b"}
    b, c = fields_of(schema)
    assert (b.name, b.default, b.is_required) == ("b", None, False)
    assert (c.kind, c.choices) == ("JSON", ())
