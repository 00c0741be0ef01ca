"""What the client shows on a terminal.

Say what to show with one of these, each of which gives something for `Screen.show`:

    tool_result(result, tool=None)      what a tool answered: text, Markdown, tables, links
    read_result(result)                 a resource
    prompt_result(result)               a prompt, message by message
    tools(tools), tool(tool)            all in short; one with its arguments
    resources(resources), templates(templates), prompts(prompts), prompt(prompt)
    server(server)                      who it is and what it can
    facts(rows)                         key and value, a line each: `auth status`, `info`
    entries(rows)                       name and sentence, a line each: `help`
    history(commands)                   numbered lines

and show it:

    screen = Screen(sys.stdout, sys.stderr, os.environ)
    await screen.show(thing)            on standard output, through the pager if it is longer than the terminal
    screen.put(thing)                   the same without a pager, and without an event loop
    screen.pages = False                no pager from now on
    screen.say(text)                    a sentence of ours on standard error; also warn(text), fail(text)
    with screen.held(): ...             what comes meanwhile on standard error is shown afterwards
    with screen.diverted(write): ...    it is handed to `write`, as text with its colours, instead:
                                        for lines that come while a prompt stands on the terminal

While calls run:

    running = Running(screen, time.monotonic, elicit)   is the `Host` of a connection
    async with running.during("multi-greet"): ...       a live line on a terminal for as long as this takes
    running.shows_debug = True                          what goes over the wire is shown, too

`elicit` is asked with the live line gone and everything else held. Every text of a server is made harmless in
here: hand it in as it came.
"""

from tollbook.client.screen.lists import (
    entries,
    facts,
    history,
    prompt,
    prompts,
    resources,
    server,
    templates,
    tool,
    tools,
)
from tollbook.client.screen.results import prompt_result, read_result, tool_result
from tollbook.client.screen.running import Running
from tollbook.client.screen.terminal import Screen

__all__ = [
    "Running",
    "Screen",
    "entries",
    "facts",
    "history",
    "prompt",
    "prompt_result",
    "prompts",
    "read_result",
    "resources",
    "server",
    "templates",
    "tool",
    "tool_result",
    "tools",
]
