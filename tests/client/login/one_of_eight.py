"""One process that asks a server for something, once it is told to: python -m tests.client.login.one_of_eight

It reads its order as a line of JSON, says that it is ready, and begins at the next line.
"""

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from tollbook.client.login.bearer import Bearer
from tollbook.client.login.vault import Vault
from tollbook.core.errors import TollbookError


async def ask(order: dict[str, Any]) -> dict[str, Any]:
    said: list[str] = []
    vault = Vault(Path(order["folder"]), order["secrets"], time.time, say=said.append)
    auth = Bearer(order["url"], vault, time.time, say=said.append)
    async with httpx2.AsyncClient(auth=auth, timeout=60) as http:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        try:
            status = (await http.post(order["url"], json=order["message"], headers=order["headers"])).status_code
        except TollbookError as fault:
            return {"status": 0, "said": [*said, str(fault)]}
    kept = vault.find(order["url"])
    digest = hashlib.sha256(kept.access_token.encode()).hexdigest() if kept else ""
    modules = sorted({name.partition(".")[0] for name in sys.modules} & {"keyring", "filelock", "mcp", "rich"})
    return {"status": status, "said": said, "token": digest, "modules": modules}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(json.loads(sys.stdin.readline())))), flush=True)
