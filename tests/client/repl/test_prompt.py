"""The prompt at a terminal, as someone who types sees it."""

import re
import socket
import stat
from pathlib import Path

import httpx2
import pytest

from tests.client.repl.typist import CTRL_C, CTRL_D, TAB, UP, Typist, typist

pytestmark = pytest.mark.usefixtures("history")


def _types(user: Typist, keys: str) -> None:
    """Types at an empty prompt, without Return."""
    user.until(lambda: user.is_prompted)
    user.press(keys)
    user.until(lambda: user.line.endswith(keys.strip()))


def test_one_may_type_before_the_server_answers(ours: str) -> None:
    with typist(ours) as user:
        user.press("help quit\r")
        user.sees("Leaves; so does Ctrl-D")
        user.sees(f"Connected to tollbook 0.1.0 at {httpx2.URL(ours).netloc.decode()}")
        user.sees("tollbook@127.0.0.1")


def test_the_prompt_stands_there_while_a_server_is_slow_and_ctrl_c_gives_it_up() -> None:
    with _Silent() as silent, typist(silent.url) as user:
        user.sees("(connecting) ›")
        user.until(lambda: user.is_prompted)
        user.press("list-tools\r")
        user.sees("Ctrl-C cancels")
        user.press(CTRL_C)
        user.sees("Cancelled.")
        user.sees("(not connected) ›")
        assert "History" not in user.does("history")


def test_a_connection_that_fails_while_a_command_waits_for_it_is_told_of_once() -> None:
    with _Silent() as silent, typist(silent.url) as user:
        user.until(lambda: user.is_prompted)
        user.press("list-tools\r")
        user.sees("Ctrl-C cancels")
        silent.close()
        user.sees("(not connected) ›")
        user.does("help quit")
        assert user.text.count("There is no connection") == 1


def test_a_server_that_is_not_there_is_told_of_above_the_prompt_once() -> None:
    with typist("http://127.0.0.1:9/mcp") as user:
        user.sees("Nothing listens at 127.0.0.1:9.")
        user.sees("127.0.0.1:9 (not connected) ›")
        assert user.text.count("Nothing listens") == 1
        user.press("list-tools\r")
        user.until(lambda: user.text.count("Nothing listens") == 2)


def test_what_is_logged_appears_while_the_tool_runs_and_what_is_typed_meanwhile_is_kept(ours: str) -> None:
    with typist(ours) as user:
        user.sees("Connected")
        user.press("multi-greet Ann\r")
        user.sees("Starting multi-greet for Ann")
        assert "Good morning" not in user.text
        user.press("help debug")
        user.sees("Good morning, Ann!")
        user.until(lambda: user.line.endswith("› help debug"))
        assert b"help debug" not in user.received.partition(b"Good morning")[0]


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(ours: str) -> None:
    with typist(ours) as user:
        user.sees("Connected")
        _types(user, "greet Nobody")
        user.press(CTRL_C)
        user.until(lambda: user.is_prompted)
        user.press(CTRL_C)
        assert user.does("greet Ann") == "Hello, Ann!"
        user.press(CTRL_D)
        assert user.leaves() == 0
        assert "Nobody" not in user.text


@pytest.mark.parametrize("word", ["quit", "exit"])
def test_quit_leaves(word: str) -> None:
    with typist() as user:
        user.until(lambda: user.is_prompted)
        user.press(f"{word}\r")
        assert user.leaves() == 0


def test_a_change_of_the_tools_is_told_of_above_a_half_typed_line(agency: str) -> None:
    with typist(agency, ERA="handshake") as user:
        user.sees("Connected")
        assert user.does("call-tool listens") == "listening"
        _types(user, "greet Al")
        httpx2.post(agency.replace("/mcp", "/ring")).raise_for_status()
        user.sees("The server's tools have changed.")
        user.until(lambda: user.line.endswith("› greet Al"))
        above = user.lines[user.lines.index("The server's tools have changed.") + 1 :]
        assert len(above) == 1


def test_completion_knows_commands_tools_arguments_and_values(agency: str) -> None:
    with typist(agency, columns=100) as user:
        user.sees("Connected")
        for typed, proposed in {
            "list-": ("list-tools", "list-resources", "list-prompts"),
            "auth lo": ("login", "logout"),
            "set-auth-method ": ("oauth", "lambda", "auto"),
            "debug o": ("on", "off"),
            "help re": ("reconnect", "read-resource"),
            "connect o": ("office",),
            "call-tool p": ("page", "paint"),
            "describe-tool ai": ("paint",),
            "call-tool paint ": ("shade=", "glossy=", "coats="),
            "call-tool paint shade=dark g": ("glossy=",),
            "call-tool paint shade=": ("light", "dark"),
            "call-tool paint glossy=": ("true", "false"),
            "call-tool paint coats=": ("1",),
            "get-prompt ad": ("advice",),
            "get-prompt advice ": ("city=", "style="),
            "get-prompt advice city=a": ("Amsterdam", "Athens"),
            "read-resource ": ("city://",),
            "read-resource city://os": ("city://Oslo",),
        }.items():
            user.until(lambda: user.is_prompted)
            user.press(typed)
            user.until(lambda: all(_is_proposed(each, user) for each in proposed))  # noqa: B023
            user.press(CTRL_C)


def _is_proposed(text: str, user: Typist) -> bool:
    """Whether `text` begins a line of the list below the prompt."""
    row = max(row for row, line in enumerate(user.lines) if "›" in line)
    return any(line.lstrip().startswith(text) for line in user.lines[row + 1 :])


def test_tab_takes_a_proposal(agency: str) -> None:
    with typist(agency) as user:
        user.sees("Connected")
        _types(user, "call-tool paint shade=da")
        user.until(lambda: _is_proposed("dark", user))
        user.press(TAB)
        user.until(lambda: user.line.endswith("shade=dark"))
        user.press(" coats:=2\r")
        user.sees("2 coats of dark")


def test_typing_does_not_wait_for_what_a_server_proposes(agency: str) -> None:
    with typist(agency) as user:
        user.sees("Connected")
        _types(user, "read-resource city://never")
        user.press(TAB)
        user.press("x")
        user.until(lambda: user.line.endswith("city://neverx"))


def test_lines_are_there_again_in_the_next_run_for_their_owner_alone(history: Path) -> None:
    with typist() as user:
        user.does("help greet")
        user.does("call-tool pay token=tbk_0123456789abcdef_0011223344556677")
        user.does("connect http://ann:hunter2@127.0.0.1:9/mcp")
        user.does(" debug on")
    assert history.read_text().split("\n")[0] == "help greet"
    assert not {"tbk_", "hunter2", "debug on"} & set(re.findall(r"tbk_|hunter2|debug on", history.read_text()))
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700
    history.write_text("help greet\n")
    history.chmod(0o644)
    with typist() as user:
        user.until(lambda: user.is_prompted)
        user.press(UP)
        user.until(lambda: user.line.endswith("› help greet"))
        user.press("\r")
        user.sees("Calls the tool greet")
        user.does("help quit")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_the_end_of_an_earlier_line_is_suggested_where_it_has_room(history: Path) -> None:
    history.parent.mkdir(parents=True)
    history.write_text(f"help connect\nhelp {'x' * 80}\n")
    with typist() as user:
        user.until(lambda: user.is_prompted)
        user.press("help c")
        user.until(lambda: user.line.endswith("› help connect"))
        user.press("\x1b[C\r")
        user.sees("Connects to a server")
        user.until(lambda: user.is_prompted)
        user.press("help x")
        user.until(lambda: user.line.endswith("› help x"))
        user.press("\x1b[Cy")
        user.until(lambda: user.line.endswith("› help xy"))


def test_a_server_that_wants_to_know_who_asks_gets_a_login_if_the_user_says_so(guarded: str) -> None:
    with typist(guarded) as user:
        user.sees("wants to know who asks. Log in now? [Y/n]")
        user.press("\r")
        user.sees("Logged in as Ann, as was asked.")
        user.sees("Connected to travel")
        assert "paint" in user.does("list-tools")
        assert user.does("auth logout") == "Logged out."
        user.until(lambda: user.is_prompted)
        user.press("call-tool paint shade=dark\r")
        user.until(lambda: user.line.endswith("[Y/n]"))
        user.press("n\r")
        user.sees("Not logged in. 'auth login' does it.")
        assert user.does("auth login") == "Logged in as Ann."
        assert user.does("call-tool paint shade=dark") == "1 coats of dark"
        assert user.does("auth refresh") == "The login holds for 60 minutes."
        assert re.findall("^(.*?)  +(.*)$", user.does("auth status"), re.MULTILINE) == [
            ("login", "Ann"),
            ("auth method", "auto"),
        ]


def test_with_a_given_token_nobody_is_asked_to_log_in(guarded: str) -> None:
    with typist() as user:
        user.does("set-auth-method lambda")
        assert "ACCESS_TOKEN" in user.does(f"connect {guarded}").replace("\n", " ")
        assert "set-auth-method oauth" in user.does("auth login").replace("\n", " ")
        assert "takes one of oauth, lambda, auto" in user.does("set-auth-method magic")


def test_debug_shows_what_goes_over_the_wire_but_no_credential(guarded: str) -> None:
    with typist(guarded, columns=200) as user:
        user.sees("[Y/n]")
        user.press("y\r")
        user.sees("Connected")
        user.does("debug on")
        assert "tools/call" in user.does("call-tool paint shade=dark")
        user.does("debug off")
        assert user.does("call-tool paint shade=light") == "1 coats of light"
        assert "let-ann-in" not in user.text


def test_a_report_of_the_original_s_command_comes_from_the_original_s_tool(ours: str) -> None:
    with typist(ours, columns=120) as user:
        user.sees("Connected")
        shown = user.does("bedrock-report eu-west-1 /aws/bedrock/modelinvocations 30")
        assert "Bedrock Daily Usage Report (Past 30 days - eu-west-1)" in shown
        assert "(Past 1 days - us-east-1)" in user.does("bedrock-report")
        assert "days: a whole number is wanted" in user.does("bedrock-report us-east-1 /x many")


def test_what_is_typed_wrongly_is_explained(ours: str) -> None:
    with typist(ours) as user:
        user.sees("Connected")
        assert user.does("discnnect").startswith("There is no command 'discnnect'. Did you mean 'disconnect'?")
        assert user.does("call-tool") == "'call-tool' needs a name: call-tool <name> [args...]"
        assert user.does("quit now").startswith("'now' is too much.")
        assert user.does("describe-tool 'greet").startswith("A quotation mark is not closed.")
        assert "no tool 'gret'. Did you mean 'greet'?" in user.does("call-tool gret name=Ann")
        assert "no prompt 'spend'." in user.does("get-prompt spend")
        assert "takes no argument" in user.does("get-prompt greeting-template nam=Ann")
        assert "stands for the standard input" in user.does("call-tool greet -")
        assert user.does("   ") == ""
        assert user.does("GREET O'Brien") == "Hello, O'Brien!"
        assert user.does('greet "Ann Lee"') == "Hello, Ann Lee!"
        assert user.does("greet") == "Hello, MCP User!"


def test_help_lists_every_command_of_the_original() -> None:
    with typist(columns=120) as user:
        shown = user.does("help")
        for usage in (
            "connect [url]", "disconnect", "terminate-session", "reconnect", "list-tools", "call-tool <name> [args...]",
            "greet [name]", "multi-greet [name]", "list-resources",
            "bedrock-report [region] [log_group] [days] [account_id]", "auth login", "auth logout", "auth status",
            "auth refresh", "set-auth-method <oauth|lambda|auto>", "debug <on|off>", "help [command]", "quit",
        ):  # fmt: skip
            assert any(line.startswith(usage) for line in shown.split("\n")), usage
        assert "tags:=" in user.does("help call-tool")
        assert user.does("help auth").count("auth l") == 2


class _Silent:
    """A server that takes connections and says nothing."""

    def __enter__(self) -> "_Silent":
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/mcp"
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._listening.close()
