"""The same server with a login: uvicorn --app-dir examples guarded_server:app --no-proxy-headers --http h11
On AWS Lambda: python -m tollbook.hosting.runtime.lambda_loop guarded_server:app
"""

import os
from urllib.parse import urlsplit

from own_server import server

from tollbook.hosting import HostSettings, host, log_as_json
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores import open_store

log_as_json()
access, store = auth_settings_from(os.environ), open_store(os.environ.get("SESSION_STORE", "sqlite:dice.db"))
gate = Gate(access, store)
settings = HostSettings(allowed_hosts=(urlsplit(access.public_url).netloc,))
app = host(server, store, settings, authenticate=gate.authenticate, pages=gate.pages)
