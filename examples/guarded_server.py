"""The same server with a login: uvicorn --app-dir examples guarded_server:app --no-proxy-headers --http h11"""

import os
from urllib.parse import urlsplit

from own_server import server

from tollbook.hosting import HostSettings, host, log_as_json
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores import open_store

log_as_json()
access, store = auth_settings_from(os.environ), open_store("sqlite:dice.db")
public = urlsplit(access.public_url)
gate = Gate(access, store, path=public.path)
settings = HostSettings(path=public.path, allowed_hosts=(public.netloc,))
app = host(server, store, settings, authenticate=gate.authenticate, pages=gate.pages)
