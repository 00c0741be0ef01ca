"""What is seen while a call runs. The clock is the test's; the terminal is pyte's."""

import pytest

from tests.client.screen.terminals import Terminal
from tollbook.client.protocol import Answer, Elicitation
from tollbook.client.screen import Running
from tollbook.client.screen.running import Progress, live_line

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_slow_call_says_what_it_does_and_for_how_long_and_leaves_nothing() -> None:
    terminal, clock = Terminal(), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("greet"):
        clock.now += 0.4
        running.draw()
        assert terminal.above == [""]
        clock.now += 2.6
        running.draw()
        assert terminal.above == ["⠋ greet  3 s · Ctrl-C cancels"]
    assert terminal.above == [""]


async def test_a_call_that_fails_leaves_nothing_either() -> None:
    terminal, clock = Terminal(), Clock()
    running = Running(terminal.screen, clock)

    async def fails() -> None:
        async with running.during("greet"):
            running.progress(1, 2, None)
            assert terminal.above != [""]
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await fails()
    assert terminal.above == [""]


async def test_log_lines_stand_above_the_live_line() -> None:
    terminal, clock = Terminal(), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("multi-greet"):
        running.progress(1, 4, "First")
        running.log("info", "greeter", "Hello,\nAnn!")
        running.log("warning", None, {"left": 3, "of": ["a"]})
        running.notice("The stream was resumed.")
        clock.now += 1
        running.progress(2, 4, "Second")
        assert terminal.above == [
            "info    greeter  Hello, Ann!",
            'warning {"left":3,"of":["a"]}',
            "The stream was resumed.",
            f"multi-greet  {'━' * 9}{'─' * 10}   50 %  Second  1 s · Ctrl-C cancels",
        ]
    assert terminal.above == [
        "info    greeter  Hello, Ann!",
        'warning {"left":3,"of":["a"]}',
        "The stream was resumed.",
    ]


async def test_levels_have_their_colours() -> None:
    terminal = Terminal()
    running = Running(terminal.screen, Clock())
    for level, colour in (("debug", "2"), ("info", "36"), ("warning", "33"), ("error", "31"), ("alert", "1;31")):
        running.log(level, None, "x")
        assert f"\x1b[{colour}m{level:<7}" in terminal.err.written


async def test_a_log_line_of_any_length_is_cut() -> None:
    terminal = Terminal(is_terminal=False)
    running = Running(terminal.screen, Clock())
    running.log("info", "x" * 5_000, "y" * 50_000)
    running.log("info", None, ["z" * 50_000])
    assert [len(line) for line in terminal.err.written.splitlines()] == [8 + 60 + 2 + 1_000, 8 + 1_000]


async def test_a_flood_of_progress_draws_seldom_but_its_latest_is_known() -> None:
    terminal, clock = Terminal(), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("x"):
        for done in range(10_000):
            running.progress(done, 10_000, None)
        assert terminal.err.written.count("%") == 1
        running.draw()
        assert "99 %" in terminal.above[-1]


async def test_where_there_is_no_terminal_there_are_lines_now_and_then() -> None:
    terminal, clock = Terminal(is_terminal=False), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("report"):
        for done in range(12):
            running.progress(done, 12, f"page {done}")
            clock.now += 1
        running.log("info", None, "read")
    assert terminal.err.written.splitlines() == [
        "report: 0 %  page 0",
        "report: 41 %  page 5",
        "report: 83 %  page 10",
        "info    read",
    ]
    assert "\x1b" not in terminal.err.written


async def test_a_dumb_terminal_gets_lines_too() -> None:
    terminal = Terminal(TERM="dumb")
    running = Running(terminal.screen, Clock())
    async with running.during("report"):
        running.progress(1, None, None)
    assert terminal.err.written == "report: 1\n"


async def test_nothing_moves_while_the_user_is_asked() -> None:
    terminal, clock = Terminal(), Clock()
    asked = Elicitation(message="Sure?")

    async def elicit(question: Elicitation) -> Answer:
        assert question is asked
        assert terminal.above == [""]
        running.log("info", None, "meanwhile")
        clock.now += 5
        running.draw()
        running.progress(2, 3, None)
        assert terminal.above == [""]
        return Answer(action="accept")

    running = Running(terminal.screen, clock, elicit)
    async with running.during("x"):
        running.progress(1, 3, None)
        assert "33 %" in terminal.above[0]
        assert (await running.elicit(asked)).action == "accept"
        assert terminal.above[0] == "info    meanwhile"
        assert "66 %" in terminal.above[1]


async def test_without_anybody_to_ask_a_question_is_declined() -> None:
    assert (await Running(Terminal().screen, Clock()).elicit(Elicitation(message="Sure?"))).action == "decline"


async def test_what_goes_over_the_wire_is_shown_when_wanted() -> None:
    terminal = Terminal(is_terminal=False)
    running = Running(terminal.screen, Clock())
    running.debug("POST tools/call")
    running.shows_debug = True
    running.debug("200 in 12 ms")
    assert terminal.err.written == "200 in 12 ms\n"


async def test_a_call_within_a_call_gives_the_line_back() -> None:
    terminal, clock = Terminal(), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("outer"):
        async with running.during("inner"):
            clock.now += 1
            running.draw()
            assert "inner" in terminal.above[0]
        running.draw()
        assert "outer" in terminal.above[0]
    running.progress(1, 2, "late")
    assert terminal.above == [""]


@pytest.mark.parametrize("room", [10, 20, 40, 79, 119])
@pytest.mark.parametrize(
    "progress",
    [
        None,
        Progress(1, 2, "a message that is much too long for a line of eighty columns, and wide: " + "漢" * 40),
        Progress(5, None, None),
        Progress(1e300, 0, "x"),
        Progress(-5, -1, "x"),
        Progress(9, 2, "x"),
    ],
)
def test_the_live_line_fits(room: int, progress: Progress | None) -> None:
    line = live_line("get_bedrock_usage_report", 3_725, progress, room)
    assert line is not None
    assert line.cell_len <= room
    assert room < 40 or line.plain.endswith("Ctrl-C cancels")
    assert "\n" not in line.plain


def test_what_is_known_of_the_way_is_said() -> None:
    def said(progress: Progress, seconds: float = 65) -> str:
        line = live_line("x", seconds, progress, 119)
        assert line is not None
        return line.plain.replace("━", "").replace("─", "").replace("x", "", 1).strip()

    tail = "  1 m 05 s · Ctrl-C cancels"
    assert said(Progress(1, 3, "page 1")) == f"33 %  page 1{tail}"
    assert said(Progress(3, 3, None)) == f"100 %{tail}"
    assert said(Progress(9, 3, None)) == f"100 %{tail}"
    assert said(Progress(1234, None, "rows")) == f"1,234  rows{tail}"
    assert said(Progress(2.5, 0, None)) == f"2.5{tail}"


async def test_where_only_ascii_is_spoken_the_line_is_ascii() -> None:
    terminal, clock = Terminal(encoding="ascii"), Clock()
    running = Running(terminal.screen, clock)
    async with running.during("x"):
        clock.now += 1
        running.draw()
        assert terminal.above == ["- x  1 s - Ctrl-C cancels"]
        running.progress(1, 2, None)
        assert terminal.above == ["x  =========----------   50 %  1 s - Ctrl-C cancels"]
