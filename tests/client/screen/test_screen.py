"""What stands on which stream, in which characters and colours."""

import pytest
from rich.text import Text

from tests.client.screen.terminals import Terminal, plain
from tollbook.client.protocol import Content, ToolResult
from tollbook.client.screen import facts, tool_result

RESULT = tool_result(ToolResult(content=[Content(type="text", text="no")], structured_content={"a": 1}, is_error=True))


def test_answers_go_to_standard_output_and_all_else_to_standard_error() -> None:
    terminal = Terminal(is_terminal=False)
    terminal.screen.put(facts([("who", "Ann")]))
    terminal.screen.say("Connected.")
    terminal.screen.warn("The session was lost.")
    terminal.screen.fail("No such tool.")
    assert terminal.out.written == "who  Ann\n"
    assert terminal.err.written == "Connected.\n! The session was lost.\nNo such tool.\n"


def test_a_bare_text_is_no_markup() -> None:
    terminal = Terminal()
    terminal.screen.put("[red]12[/red] :smile: https://example.com")
    assert terminal.out.written == "[red]12[/red] :smile: https://example.com\n"


def test_a_terminal_has_colours() -> None:
    terminal = Terminal()
    terminal.screen.put(RESULT)
    terminal.screen.fail("No.")
    assert "\x1b[31m" in terminal.out.written
    assert "\x1b[31m" in terminal.err.written


@pytest.mark.parametrize("terminal", [Terminal(NO_COLOR="1"), Terminal(TERM="dumb"), Terminal(is_terminal=False)])
def test_there_are_no_colours_where_nobody_wants_them(terminal: Terminal) -> None:
    terminal.screen.put(RESULT)
    terminal.screen.fail("No.")
    written = terminal.out.written + terminal.err.written
    assert not any(f"\x1b[{code}m" in written for code in ("31", "1;31", "36"))
    assert plain(written).startswith("The tool answered with an error.")


def test_an_encoding_without_our_characters_gets_others_as_wide() -> None:
    terminal = Terminal(encoding="ascii")
    rows = [{"name": "Åsa", "town": "東京"}, {"name": "Bo", "town": "Ulm"}]
    terminal.screen.put(tool_result(ToolResult(structured_content={"rows": rows, "notes": ["a, b", "c"]})))
    terminal.screen.put(tool_result(ToolResult(content=[Content(type="text", text="x\n" * 5_007)])))
    written = plain(terminal.out.written)
    assert written.startswith("rows\n  name  town\n  ----------\n  ?sa   ????\n  Bo    Ulm\nnotes\n  * a, b\n  * c\n")
    assert written.endswith("x\n... 7 more lines; --json gives all\n")


def test_a_file_has_no_width() -> None:
    terminal = Terminal(is_terminal=False)
    rows = [{"name": f"row {row}", **{f"column_{n}": row * 10**9 + n for n in range(20)}} for row in range(2)]
    terminal.screen.put(tool_result(ToolResult(structured_content=rows)))
    assert len(terminal.out.written.splitlines()) == 4


def test_lines_of_a_text_stay_whole_in_a_file_even_if_a_width_is_set() -> None:
    terminal = Terminal(is_terminal=False, COLUMNS="20")
    terminal.screen.put(tool_result(ToolResult(content=[Content(type="text", text="one two " * 9 + "\nthree")])))
    assert terminal.out.written == "one two " * 9 + "\nthree\n"


def test_what_is_held_comes_afterwards_and_in_order() -> None:
    terminal = Terminal(is_terminal=False)
    with terminal.screen.held():
        terminal.screen.say("one")
        with terminal.screen.held():
            terminal.screen.say("two")
        terminal.screen.say("three")
        assert terminal.err.written == ""
    assert terminal.err.written == "one\ntwo\nthree\n"


def test_a_flood_that_is_held_keeps_its_end() -> None:
    terminal = Terminal(is_terminal=False)
    with terminal.screen.held():
        for number in range(5_000):
            terminal.screen.say(f"line {number}")
    lines = terminal.err.written.splitlines()
    assert len(lines) == 1_000
    assert lines[-1] == "line 4999"


def test_what_is_diverted_goes_where_it_is_sent_with_its_colours() -> None:
    terminal, lines = Terminal(), list[str]()
    terminal.screen.live(Text("working"))
    with terminal.screen.diverted(lines.append):
        assert terminal.above == [""]
        terminal.screen.fail("No.")
        terminal.screen.live(Text("still working"))
        assert terminal.above == [""]
    assert lines == ["\x1b[31mNo.\x1b[0m\n"]
    assert terminal.above == ["still working"]


def test_an_answer_is_not_written_into_the_live_line() -> None:
    terminal = Terminal()
    terminal.err = terminal.out
    terminal.screen = type(terminal.screen)(terminal.out, terminal.out, {"COLUMNS": "80", "TERM": "xterm"})
    terminal.screen.live(Text("working"))
    terminal.screen.put(Text("answer"))
    assert terminal.above == ["answer", "working"]
    terminal.screen.live(None)
    assert terminal.above == ["answer"]
