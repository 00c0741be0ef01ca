"""What a user types for a tool, and what becomes of it."""

import json
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tollbook.client.arguments import arguments_of, prompt_arguments_of, unknown_in
from tollbook.client.protocol import Prompt, PromptArgument, Tool
from tollbook.core.errors import UsageError

REPORT = Tool(
    name="report",
    input_schema={
        "type": "object",
        "$defs": {
            "Tier": {"type": "string", "enum": ["flex", "priority"]},
            "Filter": {
                "type": "object",
                "properties": {"region": {"type": "string"}},
                "required": ["region"],
                "additionalProperties": False,
            },
        },
        "properties": {
            "days": {"type": "integer", "minimum": 1, "maximum": 90},
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "whole": {"type": "boolean"},
            "nothing": {"type": "null"},
            "name": {"type": "string", "minLength": 2, "maxLength": 5},
            "tag": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "ports": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            "tier": {"$ref": "#/$defs/Tier"},
            "limit": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
            "level": {"enum": [1, 2, 3]},
            "size": {"type": ["integer", "string"]},
            "filter": {"$ref": "#/$defs/Filter"},
            "either": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
            "both": {"allOf": [{"type": ["integer", "boolean"]}, {"type": ["integer", "null"]}]},
            "narrow": {"allOf": [{"type": "number"}, {"type": "integer"}]},
            "anything": {},
        },
    },
)
CLOSED = Tool(
    name="greet",
    input_schema={
        "type": "object",
        "properties": {"name": {"type": "string"}, "greeting": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    },
)


def read(*words: str, tool: Tool = REPORT, stdin: str = "") -> Mapping[str, Any]:
    return arguments_of(words, tool, lambda: stdin)


def problems(*words: str, tool: Tool = REPORT, stdin: str = "") -> Sequence[str]:
    with pytest.raises(UsageError) as caught:
        read(*words, tool=tool, stdin=stdin)
    return caught.value.more or [caught.value.message]


def with_schema(schema: Mapping[str, Any]) -> Tool:
    return Tool(name="it", input_schema=schema)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("", {}),
        ("days=7", {"days": 7}),
        ("share=.5", {"share": 0.5}),
        ("share=1e-3", {"share": 0.001}),
        ("whole=true", {"whole": True}),
        ("whole=False", {"whole": False}),
        ("nothing=null", {"nothing": None}),
        ("name=007", {"name": "007"}),
        ("name=a=b", {"name": "a=b"}),
        ("name=null", {"name": "null"}),
        ("tag=a", {"tag": ["a"]}),
        ("tag=a tag=b", {"tag": ["a", "b"]}),
        ("tag=null", {"tag": None}),
        ('tag=["a","b"]', {"tag": ["a", "b"]}),
        ("tag:=[]", {"tag": []}),
        ("ports=80 ports=443", {"ports": [80, 443]}),
        ("tier=flex", {"tier": "flex"}),
        ("limit=3", {"limit": 3}),
        ("limit=null", {"limit": None}),
        ("level=2", {"level": 2}),
        ("size=12", {"size": "12"}),
        ("size:=12", {"size": 12}),
        ('filter={"region":"eu"}', {"filter": {"region": "eu"}}),
        ("either=true", {"either": True}),
        ("either=-1", {"either": -1}),
        ("both=1", {"both": 1}),
        ("narrow=1", {"narrow": 1}),
        ("anything=7", {"anything": "7"}),
        ("anything:=7", {"anything": 7}),
        ("unheard-of=7 x:y=1", {"unheard-of": "7", "x:y": "1"}),
        ('{"days":7,"tag":["a"]}', {"days": 7, "tag": ["a"]}),
        ('{"days":7} days=8', {"days": 8}),
        ('days=8 {"days":7}', {"days": 8}),
    ],
)
def test_words_are_read_as_the_schema_has_them(words: str, arguments: Mapping[str, Any]) -> None:
    assert read(*words.split()) == arguments


def test_a_dash_stands_for_an_object_on_the_standard_input() -> None:
    assert read("-", "days=8", stdin='{"days": 7, "name": "Ann"}') == {"days": 8, "name": "Ann"}


def test_text_may_have_blanks_and_line_breaks_in_it() -> None:
    assert read("anything=two words\nand a line") == {"anything": "two words\nand a line"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("days=many", "days: a whole number is wanted, not 'many'."),
        ("days=1.5", "days: a whole number is wanted, not '1.5'."),
        ("days=", "days: a whole number is wanted, not ''."),
        ("days=٣", "days: a whole number is wanted, not '٣'."),
        ("days=0", "days: at least 1 is wanted, not 0."),
        ("days=91", "days: at most 90 is wanted, not 91."),
        ("days:=true", "days: a whole number is wanted, not true."),
        ("days:=7.5", "days: a whole number is wanted, not 7.5."),
        ("days=1 days=2", "days is given 2 times, and is no list. Give it once."),
        ("share=0", "share: more than 0 is wanted, not 0."),
        ("share=1", "share: less than 1 is wanted, not 1."),
        ("share=nan", "share: a number is wanted, not 'nan'."),
        ("share=1e999", "share: a number is wanted, not '1e999'."),
        ("whole=1", "whole: true or false is wanted, not '1'."),
        ("nothing=", "nothing: null is wanted, not ''."),
        ("name=A", "name: a length of at least 2 is wanted, not 1."),
        ("name=Ann-Marie", "name: a length of at most 5 is wanted, not 9."),
        ("tag:=[1]", "tag[0]: text is wanted, not 1."),
        ('tag:="a"', 'tag: a list or null is wanted, not "a".'),
        ("ports=80 ports=x", "ports: a list of which each is a whole number is wanted, not 'x'."),
        ("ports=1 ports=2 ports=3", "ports: a length of at most 2 is wanted, not 3."),
        ("tier=fast", 'tier: one of flex, priority is wanted, not "fast".'),
        ("limit=2", "limit: at least 3 is wanted, not 2."),
        ("limit=few", "limit: a whole number or null is wanted, not 'few'."),
        ("level=4", "level: one of 1, 2, 3 is wanted, not 4."),
        ("level=one", "level: one of 1, 2, 3 is wanted, not 'one'."),
        ("either=x", "either: a whole number or true or false is wanted, not 'x'."),
        ("both=true", "both: a whole number is wanted, not 'true'."),
        ("filter={}", "filter: missing: region."),
        ('filter={"region":"eu","x":1}', "filter: it takes only region."),
        ('filter={"region":1}', "filter.region: text is wanted, not 1."),
        ("filter=eu", "filter: a JSON object is wanted, not 'eu'."),
        ("days", "'days' is no argument. Write it as days=…, or all of them as one JSON object."),
        ("=7", "'=7' is no argument."),
        ("[7]", "'[7]' is no argument."),
        (
            "days:=seven",
            "days: JSON is wanted, not 'seven' (invalid character (byte 0)). Text has quotes after :=, none",
        ),
        ("{days", "What begins with { is not JSON"),
        ("-", "The standard input is not JSON (Input data was truncated)."),
    ],
)
def test_what_does_not_fit_is_told_with_the_name_of_the_argument(words: str, says: str) -> None:
    (said,) = problems(*words.split())
    assert said.startswith(says)


def test_several_mistakes_are_told_together() -> None:
    said = problems("days=0", "name=A", "tier=x")
    assert [line.partition(":")[0] for line in said] == ["days", "name", "tier"]


def test_an_argument_that_the_tool_does_not_take_is_refused_with_the_nearest() -> None:
    assert problems("nme=Ann", tool=CLOSED) == ["'greet' takes no argument 'nme'. Did you mean name?"]
    assert problems("NAME=Ann", tool=CLOSED) == ["'greet' takes no argument 'NAME'. Did you mean name?"]
    assert problems("name=Ann", "zzz=1", tool=CLOSED) == ["'greet' takes no argument 'zzz'. It takes name, greeting."]
    assert problems("a=1", tool=with_schema({"additionalProperties": False})) == [
        "'it' takes no argument 'a'. It takes none."
    ]
    assert problems(tool=CLOSED) == ["'greet' needs name. Write name=…"]


def test_a_misspelt_argument_that_is_needed_is_refused_even_where_others_may_be_sent() -> None:
    tool = with_schema({"properties": {"name": {"type": "string"}}, "required": ["name"]})
    assert problems("nme=Ann", tool=tool) == ["'it' takes no argument 'nme'. Did you mean name?"]


def test_others_are_sent_where_the_schema_is_open_and_that_is_remarked() -> None:
    sent = read("dayz=7", "zzz=1", tool=REPORT)
    assert sent == {"dayz": "7", "zzz": "1"}
    assert unknown_in(sent, REPORT) == [
        "'report' names no argument 'dayz'; it is sent all the same. Did you mean days?",
        "'report' names no argument 'zzz'; it is sent all the same.",
    ]
    assert unknown_in({"days": 7}, REPORT) == []


def test_the_arguments_of_prompts_are_text() -> None:
    prompt = Prompt(name="hail", arguments=[PromptArgument(name="who", required=True), PromptArgument(name="how")])
    assert prompt_arguments_of(["who=7"], prompt, str) == {"who": "7"}
    for words, says in {
        (): "'hail' needs who. Write who=…",
        ("hoo=7", "how=x"): "'hail' takes no argument 'hoo'. Did you mean who?",
        ("who:=7",): "who: text is wanted, not 7.",
        ("who=a", "zzz=1"): "'hail' takes no argument 'zzz'. It takes who, how.",
    }.items():
        with pytest.raises(UsageError) as caught:
            prompt_arguments_of(words, prompt, str)
        assert caught.value.message == says
    with pytest.raises(UsageError, match="It takes none"):
        prompt_arguments_of(["a=1"], Prompt(name="bare"), str)


def _doubling(levels: int) -> Mapping[str, Any]:
    definitions: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$defs": {**definitions, f"d{levels}": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/d0"}}}


def _nested(keyword: str, levels: int) -> Mapping[str, Any]:
    schema: Any = {}
    for _ in range(levels):
        schema = {keyword: schema if keyword == "not" else [schema]}
    return {"properties": {"a": schema}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
        {"properties": {"a": {"propertyNames": {"pattern": "^(a+)+$"}}}},
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"$ref": 7}}},
        {"$schema": 7, "properties": {"a": {"maxLength": 1}}},
        {"properties": []},
        {"required": "a", "properties": {"a": {"type": ["string", {}]}}},
        {"properties": {"a": {"type": "text"}}},
        {"properties": {"a": {"minimum": "1", "enum": 5}}},
        {"properties": {"a": 7}},
        _doubling(60),
        _nested("not", 2_000),
        _nested("anyOf", 2_000),
    ],
)
def test_a_schema_that_is_none_or_leads_on_for_ever_stops_nobody(schema: Mapping[str, Any]) -> None:
    """The server judges the arguments again; here they pass after a bounded look."""
    text = "a" * 60 + "!"
    assert set(arguments_of([f"a={text}", json.dumps({text: 1})], with_schema(schema), str)) == {"a", text}


def test_nothing_is_fetched_for_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # by which the validator would go on to fetch
        listening.setblocking(False)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/schema"
        tool = with_schema({"type": "object", "properties": {"a": {"$ref": address}}, "$schema": address})
        assert read("a=1", tool=tool) == {"a": "1"}
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"type": "object", "properties": {"b": {}}, "required": ["b"]}, {}),
        ({"type": "object", "properties": {"b": {"type": "string"}}}, {"b": 1}),
        ({"type": "object", "properties": {"b": {}}, "additionalProperties": False}, {"c": 1}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"c": 1}),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1]),
        ({"type": "array", "minItems": 1}, []),
        ({"type": "string", "enum": ["a", "b"]}, "c"),
        ({"type": "string", "minLength": 2}, "c"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 0),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 4),
        ({"type": "integer", "multipleOf": 2}, 3),
        ({"type": "integer"}, True),
        ({"type": "number"}, False),
        ({"type": "boolean"}, 1),
        ({"type": "null", "not": {}}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1),
        ({"anyOf": [{"type": "integer"}], "maximum": 3}, 4),
        (False, 1),
    ],
)
def test_the_short_way_lets_nothing_pass_that_does_not_fit(part: Any, value: Any) -> None:
    tool = with_schema({"type": "object", "properties": {"a": part}})
    assert problems(json.dumps({"a": value}), tool=tool)


def test_older_drafts_are_read_as_they_were_meant() -> None:
    draft_4 = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"a": {"type": "integer", "minimum": 1, "exclusiveMinimum": True}},
    }
    assert problems("a=1", tool=with_schema(draft_4)) == ["a: at least 1 is wanted, not 1."]
    assert read("a=2", tool=with_schema(draft_4)) == {"a": 2}


def test_the_usual_tool_is_checked_without_loading_a_validator() -> None:
    usual = {
        "type": "object",
        "properties": {"name": {"title": "Name", "type": "string"}, "n": REPORT.input_schema["properties"]["limit"]},
    }
    program = (
        "import sys\n"
        "from tollbook.client.arguments import arguments_of\n"
        "from tollbook.client.protocol import Tool\n"
        f"tool = Tool(name='it', input_schema={usual!r})\n"
        "arguments_of(['name=Ann', 'n=7'], tool, str)\n"
        "sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


_kinds = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object", "thing"])
_leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "a", "b"])
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner)
)


def _some(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _kinds | st.lists(_kinds, max_size=2),
            "title": st.just("A"),
            "minimum": st.integers(-3, 3),
            "maximum": st.floats(-3, 3),
            "exclusiveMinimum": st.integers(-3, 3),
            "minLength": st.integers(0, 2),
            "enum": st.lists(_leaves, max_size=3),
            "const": _leaves,
            "items": inner,
            "minItems": st.integers(0, 2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "required": st.lists(st.sampled_from("ab"), unique=True),
            "additionalProperties": st.booleans() | inner,
        },
    )


@given(_values, st.recursive(st.just({}) | st.booleans(), _some, max_leaves=6))
def test_what_passes_here_is_what_the_whole_of_json_schema_lets_pass(value: Any, part: Any) -> None:
    """However short the way was on which it was seen to fit."""
    schema = {"type": "object", "properties": {"a": part}}
    try:
        arguments_of([json.dumps({"a": value})], with_schema(schema), str)
        passes = True
    except UsageError:
        passes = False
    try:
        Draft202012Validator.check_schema(schema)
    except Exception:  # it is none, and judges nothing
        assert passes
    else:
        assert passes == Draft202012Validator(schema).is_valid({"a": value})
