"""The commands. Help, completion and what a line does are made of this table."""

from collections.abc import Sequence
from typing import Final, cast

from tollbook.client import screen
from tollbook.client.arguments import arguments_of, nearest, prompt_arguments_of, unknown_in
from tollbook.client.protocol import Prompt, PromptResult, ReadResult, ToolResult, read
from tollbook.client.repl.conversation import Conversation
from tollbook.client.repl.logins import AuthMethod
from tollbook.client.repl.table import Argument, Command, Table
from tollbook.core.errors import TollbookError, UsageError

_NOBODY: Final = "MCP User"
"""Who is greeted if no name is given, as in the original."""


class ToolFailed(TollbookError):
    """A tool answered with an error, which has been shown."""

    exit_code = 5


async def _connect(talk: Conversation, given: Sequence[str]) -> None:
    target = talk.setup.find(given[0]) if given else talk.needed_target()
    await talk.connect(target)


async def _disconnect(talk: Conversation, _: Sequence[str]) -> None:
    where = talk.where
    had_one = await talk.disconnect(ends_session=False)
    talk.screen.say(f"Disconnected from {where}." if had_one else "There is no connection.")


async def _terminate_session(talk: Conversation, _: Sequence[str]) -> None:
    if talk.connection is None:
        return talk.screen.say("There is no connection, and so no session of it.")
    ended = await talk.disconnect()
    return talk.screen.say("The session is ended." if ended else "The server keeps no session; disconnected.")


async def _list_tools(talk: Conversation, _: Sequence[str]) -> None:
    async with talk.asking("list-tools"):
        tools = await (await talk.connected()).tools()
    await talk.screen.show(screen.tools(tools))


async def _describe_tool(talk: Conversation, given: Sequence[str]) -> None:
    async with talk.asking("describe-tool"):
        tool = await talk.tool(given[0])
    await talk.screen.show(screen.tool(tool))


async def _call_tool(talk: Conversation, given: Sequence[str]) -> None:
    async with talk.asking(given[0]):
        connection, tool = await talk.connected(), await talk.tool(given[0])
        arguments = arguments_of(given[1:], tool, _no_input)
        for remark in unknown_in(arguments, tool):
            talk.screen.warn(remark)
        result = read(await connection.call_tool(tool.name, arguments), ToolResult)
    await talk.screen.show(screen.tool_result(result, tool))
    if result.is_error:
        raise ToolFailed(f"'{tool.name}' answered with an error.")


async def _greet(talk: Conversation, given: Sequence[str]) -> None:
    await _call_tool(talk, ["greet", f"name={given[0] if given else _NOBODY}"])


async def _multi_greet(talk: Conversation, given: Sequence[str]) -> None:
    await _call_tool(talk, ["multi-greet", f"name={given[0] if given else _NOBODY}"])


async def _bedrock_report(talk: Conversation, given: Sequence[str]) -> None:
    names = ("region", "log_group_name", "days", "aws_account_id")
    usual = ("us-east-1", "/aws/bedrock/modelinvocations", "1")
    values = (*given, *usual[len(given) :])
    words = [f"{name}={value}" for name, value in zip(names, values, strict=False)]
    await _call_tool(talk, ["get_bedrock_usage_report", *words])


async def _list_resources(talk: Conversation, _: Sequence[str]) -> None:
    async with talk.asking("list-resources"):
        connection = await talk.connected()
        resources, templates = await connection.resources(), await connection.templates()
    await talk.screen.show(screen.resources(resources))
    if templates:
        await talk.screen.show(screen.templates(templates))


async def _read_resource(talk: Conversation, given: Sequence[str]) -> None:
    async with talk.asking("read-resource"):
        connection = await talk.connected()
        result = read(await connection.read_resource(given[0]), ReadResult)
    await talk.screen.show(screen.read_result(result))


async def _list_prompts(talk: Conversation, _: Sequence[str]) -> None:
    async with talk.asking("list-prompts"):
        prompts = await (await talk.connected()).prompts()
    await talk.screen.show(screen.prompts(prompts))


async def _get_prompt(talk: Conversation, given: Sequence[str]) -> None:
    async with talk.asking(given[0]):
        connection = await talk.connected()
        prompt = _prompt(given[0], await connection.prompts(), talk.where)
        arguments = prompt_arguments_of(given[1:], prompt, _no_input)
        result = read(await connection.get_prompt(prompt.name, arguments), PromptResult)
    await talk.screen.show(screen.prompt_result(result))


def _prompt(name: str, prompts: Sequence[Prompt], where: str) -> Prompt:
    named = {prompt.name: prompt for prompt in prompts}
    if name in named:
        return named[name]
    near = nearest(name, named)
    guess = f" Did you mean '{near}'?" if near else ""
    raise UsageError(f"{where} has no prompt '{name}'.{guess} 'list-prompts' shows what it has.")


async def _server_info(talk: Conversation, _: Sequence[str]) -> None:
    async with talk.asking("server-info"):
        server = await (await talk.connected()).open()
    await talk.screen.show(screen.server(server))


async def _log_in(talk: Conversation, _: Sequence[str]) -> None:
    if talk.method == "lambda":
        raise UsageError("Requests carry the token that was given. 'set-auth-method oauth' makes way for a login.")
    await talk.log_in()


async def _log_out(talk: Conversation, _: Sequence[str]) -> None:
    talk.screen.say(await talk.setup.logins.log_out(talk.needed_target()))


async def _status(talk: Conversation, _: Sequence[str]) -> None:
    rows = await talk.setup.logins.status(talk.needed_target())
    await talk.screen.show(screen.facts([*rows, ("auth method", talk.method)]))


async def _refresh(talk: Conversation, _: Sequence[str]) -> None:
    talk.screen.say(await talk.setup.logins.refresh(talk.needed_target()))


async def _set_auth_method(talk: Conversation, given: Sequence[str]) -> None:
    talk.method = cast(AuthMethod, given[0])
    had_one = await talk.disconnect()
    talk.screen.say(f"The auth method is {given[0]} now.{' The next command connects anew.' if had_one else ''}")


async def _debug(talk: Conversation, given: Sequence[str]) -> None:
    talk.running.shows_debug = given[0] == "on"
    talk.screen.say(f"What goes over the wire is {'shown' if given[0] == 'on' else 'not shown'} from now on.")


async def _history(talk: Conversation, _: Sequence[str]) -> None:
    await talk.screen.show(screen.history(talk.history.lines))


async def _help(talk: Conversation, given: Sequence[str]) -> None:
    if not given:
        return await talk.screen.show(screen.entries([(each.usage, each.what) for each in COMMANDS.commands]))
    for command in COMMANDS.named(given[0]):
        talk.screen.put(screen.entries([(command.usage, command.what)]))
        for line in command.more.splitlines():
            talk.screen.say(f"  {line}")
    return None


async def _quit(talk: Conversation, _: Sequence[str]) -> None:
    talk.is_over = True


def _no_input() -> str:
    raise UsageError("'-' stands for the standard input, which commands are read from here. Give the arguments here.")


_ARGUMENTS: Final = """\
name=value is read as the schema has it; name:=value is JSON; all of them may be one JSON object.
call-tool report days=7 tags:='["a", "b"]'
call-tool report {"days": 7}"""
_NAME: Final = Argument(name="name", is_rest=True)

COMMANDS: Final = Table(
    [
        Command(
            name="connect",
            what="Connects to a server, by its address or by its name in mcp.json",
            arguments=[Argument(name="url", kind="server")],
            do=_connect,
        ),
        Command(name="disconnect", what="Disconnects; the session stays with the server", do=_disconnect),
        Command(name="terminate-session", what="Ends the session, and disconnects", do=_terminate_session),
        Command(name="reconnect", what="Disconnects and connects anew", do=_connect),
        Command(name="server-info", what="Shows who the server is and what it can do", do=_server_info),
        Command(name="list-tools", what="Lists the tools", do=_list_tools),
        Command(
            name="describe-tool",
            what="Shows a tool and its arguments",
            arguments=[Argument(name="tool", kind="tool", is_required=True)],
            do=_describe_tool,
        ),
        Command(
            name="call-tool",
            what="Calls a tool",
            more=_ARGUMENTS,
            arguments=[
                Argument(name="name", kind="tool", is_required=True),
                Argument(name="args", is_many=True),
            ],
            do=_call_tool,
        ),
        Command(name="greet", what="Calls the tool greet", arguments=[_NAME], do=_greet),
        Command(
            name="multi-greet",
            what="Calls the tool multi-greet, which tells what it does meanwhile",
            arguments=[_NAME],
            do=_multi_greet,
        ),
        Command(
            name="bedrock-report",
            what="Reports what Amazon Bedrock cost, and who spent it",
            more="Without arguments: us-east-1, /aws/bedrock/modelinvocations, 1 day, all accounts.",
            arguments=[
                Argument(name="region"),
                Argument(name="log_group"),
                Argument(name="days"),
                Argument(name="account_id"),
            ],
            do=_bedrock_report,
        ),
        Command(name="list-resources", what="Lists the resources, and templates of more", do=_list_resources),
        Command(
            name="read-resource",
            what="Shows a resource",
            arguments=[Argument(name="uri", kind="resource", is_required=True)],
            do=_read_resource,
        ),
        Command(name="list-prompts", what="Lists the prompts", do=_list_prompts),
        Command(
            name="get-prompt",
            what="Shows what a prompt says",
            arguments=[
                Argument(name="name", kind="prompt", is_required=True),
                Argument(name="args", is_many=True),
            ],
            do=_get_prompt,
        ),
        Command(name="auth login", what="Logs in at the server", do=_log_in),
        Command(name="auth logout", what="Revokes and forgets the login", do=_log_out),
        Command(name="auth status", what="Shows who is logged in, and for how long", do=_status),
        Command(name="auth refresh", what="Fetches a new access token", do=_refresh),
        Command(
            name="set-auth-method",
            what="Sends a login, the token that was given, or whichever there is",
            arguments=[Argument(name="method", is_required=True, choices=("oauth", "lambda", "auto"))],
            do=_set_auth_method,
        ),
        Command(
            name="debug",
            what="Shows what goes over the wire, without secrets",
            arguments=[Argument(name="switch", is_required=True, choices=("on", "off"))],
            do=_debug,
        ),
        Command(name="history", what="Shows what was typed", do=_history),
        Command(
            name="help",
            what="Explains the commands",
            arguments=[Argument(name="command", kind="command", is_rest=True)],
            do=_help,
        ),
        Command(name="quit", what="Leaves; so does Ctrl-D", aliases=("exit",), do=_quit),
    ]
)


async def run(talk: Conversation, line: str) -> int:
    """Does what `line` says, and says what went wrong with it; gives the exit code."""

    async def work() -> None:
        found = COMMANDS.find(line)
        if found is not None:
            command, given = found
            await command.do(talk, given)

    return await talk.report(work)
