"""Asks tollbook over MCP what Bedrock cost, as any client would.

tollbook serve --source examples/bedrock-logs.jsonl.gz --now 2026-11-22T12:00Z
python examples/ask.py http://127.0.0.1:3000/mcp
"""

import sys

import anyio
from mcp import Client


async def main(url: str) -> None:
    async def show(done: float, total: float | None, message: str | None) -> None:
        print(f"… {message or f'{done:g} of {total:g}'}", file=sys.stderr)

    async with Client(url) as client:
        print(f"Connected to {client.server_info.name}, protocol {client.protocol_version}.", file=sys.stderr)
        answer = await client.call_tool("get_bedrock_usage_report", {"days": 14}, progress_callback=show)
        for part in answer.content:
            print(part.text if part.type == "text" else getattr(part, "uri", ""))


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000/mcp"
    try:
        anyio.run(main, address)
    except* Exception as faults:
        print(f"No answer from {address}: {faults.exceptions[0]}. Is 'tollbook serve' running there?", file=sys.stderr)
        sys.exit(1)
