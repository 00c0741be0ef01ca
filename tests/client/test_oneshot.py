"""`tollbook call` and its siblings, as scripts use them."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.shop import CREDENTIAL, EVIL, PICTURE, Program, environment, open_shop
from tests.hosting.serving import PATIENCE_S, SetClock, Stage, a_server, serving, until
from tests.hosting.wire import LOGS
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.fixture
async def url(stage: Stage) -> AsyncIterator[str]:
    async with open_shop(stage) as url:
        yield url


@pytest.fixture
def tollbook(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.mark.parametrize("era", ["auto", "handshake", "modern"])
async def test_a_call_prints_what_the_tool_says_and_nothing_else(tollbook: Program, url: str, era: str) -> None:
    done = await tollbook("call", url, "echo", "text=two words", "--transport-era", era)
    assert done == (0, "two words\n", "")


async def test_options_may_stand_between_the_arguments(tollbook: Program, url: str) -> None:
    done = await tollbook("call", "--timeout", "9", url, "--quiet", "echo", "text=a", "--json", "times=2", "tags=b")
    assert json.loads(done.out)["content"] == [{"type": "text", "text": "a a b"}]
    assert done.out.count("\n") == 1
    assert done.err == ""


async def test_arguments_come_from_the_standard_input_where_a_dash_says_so(tollbook: Program, url: str) -> None:
    done = await tollbook("call", url, "echo", "-", "times=2", stdin=b'{"text": "\xc3\xa9"}')
    assert done == (0, "é é\n", "")


async def test_tools_resources_prompts_and_the_server_itself_are_listed(tollbook: Program, url: str) -> None:
    tools, resources, prompts, info = [
        (await tollbook(command, url)).out for command in ("tools", "resources", "prompts", "info")
    ]
    assert tools.splitlines()[0] == "echo\tSays it again."
    assert "shop://picture\tpicture\n" in resources
    assert "shop://items/{number}\titem\n" in resources
    assert prompts == "hail name=… [tone=…]\tHails someone.\n"
    assert info.startswith("server: shop 7\nprotocol: 2026-07-28 (modern)\ncan: ")


async def test_one_of_them_is_told_of_or_printed(tollbook: Program, url: str) -> None:
    tool = (await tollbook("tools", url, "echo")).out
    assert tool.startswith("echo\nSays it again.\n\nAnd more.\ntakes: {")
    assert await tollbook("resources", url, "shop://list") == (0, "a,b\n1,2\n", "")
    assert await tollbook("resources", url, "shop://items/7") == (0, "item 7\n", "")
    assert await tollbook("prompts", url, "hail", "name=Ann", "tone=swift") == (0, "user: Hail Ann, swiftly.\n", "")


async def test_bytes_are_passed_on_as_bytes(tollbook: Program, url: str) -> None:
    done = await tollbook("resources", url, "shop://picture")
    assert done.out.encode("utf-8", "surrogateescape") == PICTURE


async def test_json_is_what_the_server_sent(tollbook: Program, url: str) -> None:
    tools = json.loads((await tollbook("tools", url, "--json")).out)["tools"]
    assert tools[0]["name"] == "echo"
    assert tools[0]["inputSchema"]["required"] == ["text"]
    assert "title" not in tools[0]
    assert json.loads((await tollbook("tools", url, "echo", "--json")).out) == tools[0]
    resources = json.loads((await tollbook("resources", url, "--json")).out)
    assert [each["uri"] for each in resources["resources"]] == ["shop://list", "shop://picture"]
    assert [each["uriTemplate"] for each in resources["resourceTemplates"]] == ["shop://items/{number}"]
    assert json.loads((await tollbook("prompts", url, "--json")).out)["prompts"][0]["arguments"][0]["required"] is True
    prompt = json.loads((await tollbook("prompts", url, "hail", "name=A", "--json")).out)
    assert prompt["messages"][0]["content"]["text"] == "Hail A, kindly."
    info = json.loads((await tollbook("info", url, "--json")).out)
    assert (info["info"]["name"], info["version"]) == ("shop", "2026-07-28")
    figures = json.loads((await tollbook("call", url, "figures", "--json")).out)
    assert figures["structuredContent"] == {"stars": 10**24, "text": EVIL}


async def test_no_control_character_of_a_server_is_printed(tollbook: Program, url: str) -> None:
    for words in (["evil"], ["evil", "--json"], ["figures"], ["figures", "--json"]):
        done = await tollbook("call", url, *words)
        assert done.code == 0
        assert not set(done.out) & set("\x1b\x07\u202e")
    assert "end\ttab\nsecond line\n" in (await tollbook("call", url, "evil")).out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("call URL fails", 5, "tollbook: The tool 'fails' answered with an error:\nNo stock.\n"),
        ("call URL nothing", 2, "tollbook: The server has no tool 'nothing'. It has echo, evil, figures, fails, waits"),
        ("call URL ehco text=a", 2, "tollbook: The server has no tool 'ehco'. Did you mean echo?\n"),
        ("call URL echo", 2, "tollbook: 'echo' needs text. Write text=…\n"),
        ("call URL echo text=a times=b", 2, "tollbook: times: a whole number is wanted, not 'b'.\n"),
        ("call URL", 2, "tollbook call: error: the following arguments are required: TOOL, NAME=VALUE\n"),
        ("call", 2, "tollbook call: error: the following arguments are required: TARGET, TOOL, NAME=VALUE\n"),
        ("call URL echo --nope", 2, "tollbook call: error: unrecognized arguments: --nope\n"),
        ("call URL echo --quiet --verbose", 2, "argument --verbose: not allowed with argument --quiet\n"),
        (
            "call nowhere echo",
            2,
            "tollbook: Nothing here (.mcp.json, mcp.json, .vscode/mcp.json, .cursor/mcp.json) names",
        ),
        ("call stdio:x echo --header A:b", 2, "tollbook: A process takes no headers. Leave out --header.\n"),
        ("call URL echo text=a --timeout 0", 2, "  --timeout (MCP_TIMEOUT_SECONDS): seconds from 0.1 to 86,400 are"),
        ("call URL echo text=a --header no", 2, "tollbook: A header is written as 'Name: value'; there is no colon"),
        ("prompts URL hail", 2, "tollbook: 'hail' needs name. Write name=…\n"),
        ("prompts URL hial", 2, "tollbook: The server has no prompt 'hial'. Did you mean hail?\n"),
        ("resources URL shop://none", 1, "tollbook: "),
        ("tools http://127.0.0.1:9/mcp", 1, "tollbook: Nothing listens at 127.0.0.1:9."),
        ("call stdio:no-such-program echo", 1, "tollbook: There is no program 'no-such-program'."),
        ("tools stdio:", 2, "tollbook: stdio: needs a command"),
        ("status https://u:hunter2@example.com", 2, "tollbook: An address with a user name or a password in it"),
        ("logout stdio:x", 2, "tollbook: 'x' is a process of this machine: there is nowhere to log in.\n"),
        ("login stdio:x", 2, "tollbook: 'x' is a process of this machine: there is nowhere to log in.\n"),
        ("login URL --paste --machine", 2, "argument --machine: not allowed with argument --paste\n"),
    ],
)
async def test_what_goes_wrong_is_said_on_the_standard_error_and_by_the_exit_code(
    tollbook: Program, url: str, words: str, code: int, says: str
) -> None:
    done = await tollbook(*words.replace("URL", url).split())
    assert (done.code, done.out) == (code, ""), done.err
    assert says in done.err
    assert "Traceback" not in done.err
    assert "hunter2" not in done.err


async def test_a_failed_call_is_json_too_where_json_is_asked_for(tollbook: Program, url: str) -> None:
    done = await tollbook("call", url, "fails", "--json")
    assert json.loads(done.out)["isError"] is True
    assert (done.code, done.err) == (5, "")


async def test_an_argument_that_the_tool_does_not_name_is_remarked(tollbook: Program, url: str) -> None:
    done = await tollbook("call", url, "echo", "text=a", "tmies=2")
    assert done == (0, "a\n", "'echo' names no argument 'tmies'; it is sent all the same. Did you mean times?\n")
    assert await tollbook("call", url, "echo", "text=a", "tmies=2", "--quiet") == (0, "a\n", "")


async def test_a_server_that_wants_to_know_who_asks_gets_exit_code_3(tollbook: Program, stage: Stage) -> None:
    async with open_shop(stage, needs_token=True) as url:
        done = await tollbook("call", url, "echo", "text=a")
        assert (done.code, done.out) == (3, "")
        assert done.err == (
            f"tollbook: {url} wants to know who asks. Run 'tollbook login {url}', or give a token in ACCESS_TOKEN.\n"
        )


async def test_the_token_is_sent_as_the_settings_have_it_and_never_shown(tollbook: Program, stage: Stage) -> None:
    async with open_shop(stage, needs_token=True) as url:
        call, another = ("call", url, "echo", "text=a", "--verbose"), CREDENTIAL[::-1]
        runs = [
            (await tollbook(*call, ACCESS_TOKEN=CREDENTIAL), 0),
            (await tollbook(*call, ACCESS_TOKEN=CREDENTIAL, AUTH_METHOD="lambda"), 0),
            (await tollbook(*call, ACCESS_TOKEN=CREDENTIAL, AUTH_METHOD="oauth"), 3),
            (await tollbook(*call, "--auth-method", "auto", ACCESS_TOKEN=CREDENTIAL, AUTH_METHOD="oauth"), 0),
            (await tollbook(*call, "--token", CREDENTIAL, ACCESS_TOKEN=another), 0),
            (await tollbook(*call, "--token", another, ACCESS_TOKEN=CREDENTIAL), 3),
            (await tollbook(*call, "--token", CREDENTIAL, AUTH_METHOD="oauth"), 0),
            (await tollbook(*call, "--token", "-", stdin=f"{CREDENTIAL}\n".encode()), 0),
            (await tollbook(*call, "--header", f"Authorization: Bearer {CREDENTIAL}", ACCESS_TOKEN=another), 0),
            (await tollbook(*call, "--token", f"{CREDENTIAL} x"), 2),
        ]
    assert [run.code for run, _ in runs] == [code for _, code in runs]
    assert not any(CREDENTIAL in run.err for run, _ in runs)


async def test_headers_reach_the_server(tollbook: Program, url: str) -> None:
    done = await tollbook("call", url, "sent", "--header", "X-Team: blue: green", "--header", "X-Other: 1")
    assert done == (0, "blue: green None\n", "")


async def test_a_name_in_an_mcp_json_is_a_server(tollbook: Program, url: str) -> None:
    entry = {"url": url, "headers": {"X-Team": "${TEAM}", "Authorization": "Basic ${KEY:-none}"}}
    (tollbook.folder / ".mcp.json").write_text(json.dumps({"mcpServers": {"the-shop": entry}}))
    (tollbook.folder / "other.json").write_text(json.dumps({"servers": {"the-shop": {"url": "http://127.0.0.1:9"}}}))
    assert await tollbook("call", "the-shop", "sent", TEAM="blue") == (0, "blue Basic none\n", "")
    assert (await tollbook("call", "the-shop", "sent")).err == (
        "tollbook: .mcp.json: the-shop.headers.X-Team: the variable TEAM is not set. Set it and try again.\n"
    )
    assert (await tollbook("call", "the-shop", "sent", "--config", "other.json")).code == 1


async def test_the_server_is_that_of_the_variable_where_none_is_named(tollbook: Program, url: str) -> None:
    assert (await tollbook("info", MCP_SERVER_URL=url)).out.startswith("server: shop 7\n")
    assert (await tollbook("info", url, MCP_SERVER_URL="http://127.0.0.1:9")).out.startswith("server: shop 7\n")


async def test_a_process_is_a_server(tollbook: Program) -> None:
    command = f"stdio:{sys.executable} -m tollbook serve --stdio --source {LOGS} --session-store memory"
    assert await tollbook("call", command, "greet", "name=Ann") == (0, "Hello, Ann!\n", "")


async def test_log_lines_and_progress_are_told_of_where_they_are_wanted(
    tollbook: Program, url: str, stage: Stage
) -> None:
    stage.go.set()
    assert await tollbook("call", url, "waits") == (0, "done\n", "")
    told = await tollbook("call", url, "waits", "--verbose")
    assert told.out == "done\n"
    assert "1 of 4: begun\n" in told.err
    assert (await tollbook("call", url, "waits", MCP_CLIENT_DEBUG="true")).err.startswith("server/discover")


async def test_a_server_is_told_that_nobody_is_here_to_be_asked(tollbook: Program, stage: Stage) -> None:
    clock = SetClock()
    async with serving(host(a_server(stage), MemoryStore(clock), clock=clock)) as url:
        done = await tollbook("call", url, "asks", "--transport-era", "handshake")
    assert (done.code, done.out) == (1, "")
    assert "elicitation" in done.err.lower(), done.err


@pytest.mark.parametrize("era", ["handshake", "modern"])
async def test_ctrl_c_cancels_the_call_on_the_server(tollbook: Program, url: str, stage: Stage, era: str) -> None:
    process = await tollbook.start("call", url, "waits", "--transport-era", era)
    await until(lambda: stage.entered)
    process.send_signal(signal.SIGINT)
    assert await tollbook.end(process) == (130, "", "tollbook: Interrupted; the server was told.\n")
    await until(lambda: stage.cancelled)


async def test_a_call_leaves_no_session_behind(tollbook: Program, stage: Stage) -> None:
    async with open_shop(stage, HostSettings(sessions_per_owner=1)) as url:
        for words in (["echo", "text=a"], ["fails"], ["nothing"], ["echo", "text=b"]):
            done = await tollbook("call", url, *words, "--transport-era", "handshake")
            assert "session" not in done.err
        assert done.out == "b\n"


async def test_whoever_reads_may_leave_early(tollbook: Program, url: str) -> None:
    read, write = os.pipe()
    os.close(read)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tollbook", "tools", url),
        stdout=write,
        stderr=asyncio.subprocess.PIPE,
        env=environment(tollbook.folder, {}),
    )
    os.close(write)
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_at_a_terminal_json_is_indented_and_results_are_made_for_the_eye(tollbook: Program, url: str) -> None:
    raw = await _at_a_terminal(tollbook.folder, "call", url, "echo", "text=a", "--json")
    assert '\n  "content": [\n' in raw
    tools = await _at_a_terminal(tollbook.folder, "tools", url)
    assert "\x1b[1mecho" in tools
    assert "Says it again." in tools
    assert "\x1b[31m" not in await _at_a_terminal(tollbook.folder, "call", url, "evil")


async def _at_a_terminal(folder: Path, *words: str) -> str:
    """All that a terminal of 24 lines of 80 is sent."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tollbook", *words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(folder, {"COLUMNS": "80", "LINES": "24"}),
    )
    os.close(theirs)

    def read() -> bytes:
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that nobody writes any more
                return b"".join(parts)
            parts.append(part)

    async with asyncio.timeout(6 * PATIENCE_S):
        shown = await asyncio.to_thread(read)
        await process.wait()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


async def test_only_what_a_call_needs_is_loaded(tollbook: Program, url: str) -> None:
    heavy = {
        "mcp",
        "pydantic",
        "rich",
        "prompt_toolkit",
        "keyring",
        "filelock",
        "jsonschema",
        "boto3",
        "starlette",
        "uvicorn",
    }
    program = (
        "import sys; from tollbook.cli import main; "
        f"code = main(['call', {url!r}, 'echo', 'text=a', 'times=2', 'tags=b']); "
        f"sys.exit(' '.join({heavy!r} & set(sys.modules)) or code)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(tollbook.folder, {}),
    )
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"a a b\n", b"")


async def test_the_help_lists_every_command_in_its_group(tollbook: Program) -> None:
    said = (await tollbook("--help")).out
    groups = dict(part.split(":\n", 1) for part in said.split("\n\n") if ":\n" in part)
    listed = {title: [line.split()[0] for line in text.splitlines()] for title, text in groups.items()}
    assert listed["a client for any MCP server"] == [
        *("connect", "call", "tools", "resources", "prompts", "info", "login", "logout", "status")
    ]
    assert listed["what was spent"] == ["report", "prices", "athena", "iam"]
    assert listed["a server"] == ["serve", "keys"]
    for command in ("connect", "call", "login", "report"):
        assert (await tollbook(command, "--help")).out.startswith(f"usage: tollbook {command} [-h]")


async def test_there_is_no_login_to_begin_with(tollbook: Program, url: str) -> None:
    assert await tollbook("status") == (0, "There is no login.\n", "")
    assert await tollbook("status", url) == (0, f"server: {url}\nlogin: none\n", "")
    assert await tollbook("status", url, ACCESS_TOKEN=CREDENTIAL) == (
        0,
        f"server: {url}\nlogin: the access token that was given is sent\n",
        "",
    )
    assert await tollbook("logout", url) == (0, "", f"There was no login at {url}.\n")


async def test_commands_for_the_prompt_can_come_from_a_pipe(tollbook: Program, url: str) -> None:
    done = await tollbook("connect", url, stdin=b"call-tool echo text=a\nquit\n")
    assert (done.code, done.out) == (0, "a\n")


async def test_what_was_given_for_one_server_does_not_go_along_to_another(tollbook: Program, stage: Stage) -> None:
    async with open_shop(stage, needs_token=True) as here, open_shop(stage) as there:
        commands = f"call-tool echo text=a\nconnect {there}\ncall-tool sent\n".encode()
        given = ("--token", CREDENTIAL, "--header", "X-Team: blue")
        done = await tollbook("connect", here, *given, stdin=commands)
        assert done.out == "a\nNone None\n"
        named = await tollbook("connect", *given, stdin=commands, MCP_SERVER_URL=here)
        assert named.out == done.out
        unnamed = await tollbook("connect", *given, stdin=f"connect {there}\ncall-tool sent\n".encode())
        assert unnamed.out == f"blue Bearer {CREDENTIAL}\n"
