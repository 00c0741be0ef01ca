"""The servers that `gate.py` compares, each with one tool, under uvicorn: `gate_servers.py KIND PORT [STORE [SET…]]`.

`bare` and `stateless` are the SDK's own app, `hosted` is the same server behind `tollbook.hosting`, `gated` the same
again for those alone who have a token (SET are variables that say whose, as NAME=VALUE), `fastmcp` is what its name
says and needs a virtual environment of its own. Each imports what it needs and no more: its start is timed.
"""

import sys
from collections.abc import Callable
from typing import Any

import uvicorn


async def greet(name: str) -> str:
    return f"Hello, {name}!"


def the_sdks() -> Any:
    from mcp.server import MCPServer

    server: Any = MCPServer("gate", version="1", log_level="WARNING")
    server.tool()(greet)
    return server


def bare() -> Any:
    return the_sdks().streamable_http_app()


def stateless() -> Any:
    return the_sdks().streamable_http_app(stateless_http=True)


def hosted(store: str) -> Any:
    from tollbook.hosting import host, log_as_json
    from tollbook.hosting.stores import open_store

    server = the_sdks()  # which sets up a log of its own
    log_as_json("info")
    return host(server, open_store(store))


def gated(store: str, *variables: str) -> Any:
    from tollbook.hosting import host, log_as_json
    from tollbook.hosting.auth.gate import Gate
    from tollbook.hosting.auth.settings import auth_settings_from
    from tollbook.hosting.stores import open_store

    server, kept = the_sdks(), open_store(store)
    log_as_json("info")
    gate = Gate(auth_settings_from(dict(each.split("=", 1) for each in variables)), kept)
    return host(server, kept, authenticate=gate.authenticate, pages=gate.pages)


def fastmcp() -> Any:
    import fastmcp  # type: ignore[import-not-found]

    server = fastmcp.FastMCP("gate", version="1")
    server.tool(greet)
    return server.http_app()


def main() -> None:
    kind, port, *rest = sys.argv[1:]
    kinds: dict[str, Callable[..., Any]] = {each.__name__: each for each in (bare, stateless, hosted, gated, fastmcp)}
    # As `tollbook serve` has them, but for log and lifespan, which decide nothing here.
    uvicorn.run(
        kinds[kind](*rest),
        host="127.0.0.1",
        port=int(port),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
