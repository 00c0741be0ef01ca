"""What a person sees: the sign-in page, and the page that says why there is none."""

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from tollbook.core import loopback
from tollbook.core.text import printable
from tollbook.hosting.dev_login.metadata import SIGN_IN
from tollbook.hosting.dev_login.tickets import Asked
from tollbook.hosting.dev_login.users import DevUser

_LONGEST_SHOWN: Final = 80
_LONGEST_HOST: Final = 300  # longer than any: its end says whose it is

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f4f4f1; --card: #fff; --text: #1b1d1f; --quiet: #5b6167; --line: #d9dbd6; --strong: #84898f;
  --accent: #0b5d4e; --tint: #e3f0ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121415; --card: #1c1f21; --text: #eceeec; --quiet: #a3abb0; --line: #33383b; --strong: #7b848a;
    --accent: #74d3bb; --tint: #1d3a34;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  min-height: 100vh; padding: 1.5rem 1rem; display: grid; align-content: center; justify-content: center;
  grid-template-columns: minmax(0, 27rem); background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
main {
  padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
  box-shadow: 0 1px 2px #0000000d, 0 8px 32px #0000000d;
}
h1 { font-size: 1.375rem; line-height: 1.25; font-weight: 650; margin-bottom: .5rem; }
form { margin: 1.5rem 0; display: grid; gap: .625rem; }
button {
  display: flex; align-items: center; gap: .875rem; width: 100%; min-height: 3rem; padding: .75rem .875rem;
  font: inherit; text-align: start; color: inherit; background: none; cursor: pointer;
  border: 1px solid var(--strong); border-radius: .625rem;
}
button:hover { border-color: var(--accent); background: var(--tint); }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.initial {
  flex: none; width: 2.5rem; height: 2.5rem; display: grid; place-items: center; border-radius: 50%;
  background: var(--tint); color: var(--accent); font-weight: 650;
}
button:hover .initial { background: var(--card); }
.who { min-width: 0; }
.name, .title { display: block; }
.name { font-weight: 600; }
.title, dt, .note { color: var(--quiet); font-size: .875rem; }
.deny { justify-content: center; border-color: var(--line); color: var(--quiet); }
dl { padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: .875rem; }
dd { margin-bottom: .625rem; }
.note { margin-top: .625rem; }
@media (max-width: 24rem) { main { padding: 1.5rem 1.125rem; } }
@media (forced-colors: active) { .initial { border: 1px solid; } }
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_SIGN_IN: Final = """<h1 id="who">Who are you?</h1>
<p>A program that calls itself <strong><bdi>{client}</bdi></strong> asks to use {resource} for you.</p>
<form method="post" action="{action}" aria-labelledby="who">
<input type="hidden" name="pending" value="{pending}">
{users}
<button class="deny" name="deny" value="yes">Deny</button>
</form>
<dl>
{asks}<dt>Sends you back to</dt>
<dd><bdi>{back}</bdi></dd>
</dl>
<p class="note">No password is asked for: this login proves nothing. It is here to try things out, on this machine
only.</p>"""

_USER: Final = """<button name="user" value="{name}">
<span class="initial" aria-hidden="true">{initial}</span>
<span class="who"><span class="name"><bdi>{name}</bdi></span> <span class="title">{title}</span></span>
</button>"""

_ASKS: Final = """<dt>Asks for</dt>
<dd>{scopes}</dd>
"""

_STOPPED: Final = """<h1>This sign-in cannot go on</h1>
<p>{why}</p>
<p class="note">You can close this page.</p>"""

_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def sign_in(asked: Asked, pending: str, resource: str, users: Sequence[DevUser]) -> HTMLResponse:
    """Asks who somebody is and whether he agrees.

    Args:
        pending: what his answer is known by.
    """
    client = _shown(asked.client_name) or "no name"
    body = _SIGN_IN.format(
        client=client,
        resource=_shown(urlsplit(resource).netloc),
        action=SIGN_IN,
        pending=html.escape(pending),
        users="\n".join(map(_button, users)),
        asks=_ASKS.format(scopes=_shown(", ".join(asked.scopes), 1000)) if asked.scopes else "",
        back=_shown(_back(asked.redirect_uri), _LONGEST_HOST),
    )
    return _response(200, f"Sign in for {client}", body, urlsplit(asked.redirect_uri).scheme)


def stopped(status: int, why: str) -> HTMLResponse:
    """Says why a sign-in cannot go on."""
    return _response(status, "Sign-in", _STOPPED.format(why=_shown(why, 1000)))


def _button(user: DevUser) -> str:
    return _USER.format(name=html.escape(user.name), initial=_shown(user.name[:1].upper()), title=_shown(user.title))


def _back(redirect_uri: str) -> str:
    """Where that is, in words."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in ("http", "https"):
        return f"a program on this machine, by a {parts.scheme}: link"
    host = parts.netloc.removesuffix(f":{parts.port}")
    return f"{parts.netloc}, on this machine" if host in loopback.NAMES else parts.netloc


def _shown(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """`text` as HTML that shows it and does nothing else."""
    cut = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return html.escape(printable(cut))


def _response(status: int, title: str, body: str, redirect_scheme: str = "https") -> HTMLResponse:
    # Chromium asks form-action of the redirect that follows a form too, and of those that follow that one: wherever
    # the client sends its user in the end must be allowed. https://github.com/w3c/webappsec-csp/issues/8
    targets = " ".join(dict.fromkeys(("'self'", "http:", "https:", f"{redirect_scheme}:")))
    style = f"'sha256-{_HASH}'"
    headers = {
        "content-security-policy": (
            f"default-src 'none'; style-src {style}; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
        ),
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        # Under no-referrer a form would be posted with an Origin of null, which the host refuses.
        # https://fetch.spec.whatwg.org/#append-a-request-origin-header
        "referrer-policy": "same-origin",
        "cache-control": "no-store",
    }
    return HTMLResponse(_PAGE.format(title=title, style=_STYLE, body=body), status, headers)
