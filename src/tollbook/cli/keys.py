"""`tollbook keys`."""

import argparse
import sys
from datetime import UTC, datetime

from tollbook.app.settings import SETTINGS
from tollbook.cli.flags import add_setting
from tollbook.core.text import printable


def keys(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "API keys, for programs that cannot log in. The server accepts those that lie in its own store."
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    created = actions.add_parser(
        "create",
        help="makes a key and prints it, this once",
        description="Makes an API key and prints it alone on the standard output. It is shown this once.",
        allow_abbrev=False,
    )
    created.set_defaults(do=_create_key)
    created.add_argument("--owner", required=True, metavar="NAME", help="whose it is; the subject of its requests")
    created.add_argument(
        "--scopes",
        metavar="SCOPES",
        help="what it allows, separated by blanks or commas (default: what the server requires) [OAUTH_REQUIRED_SCOPE]",
    )
    created.add_argument(
        "--expires",
        default="90d",
        metavar="WHEN",
        help="when it ends: 90d, 12h, or its last day in UTC as 2027-01-31; 366d at most (default: 90d)",
    )
    created.add_argument(
        "--claim",
        action="append",
        default=[],
        dest="claims",
        metavar="NAME=VALUE",
        help="what else is said of its owner, such as email=ana@example.com; may be given several times",
    )
    listed = actions.add_parser(
        "list",
        help="lists the keys",
        description="Lists the API keys: also those that were revoked or ended in the last 30 days.",
        allow_abbrev=False,
    )
    listed.set_defaults(do=_list_keys)
    listed.add_argument("--json", action="store_true", help="print a JSON array")
    revoked = actions.add_parser(
        "revoke",
        help="ends a key now",
        description="Revokes an API key: from then on, every server refuses it.",
        allow_abbrev=False,
    )
    revoked.set_defaults(do=_revoke_key)
    revoked.add_argument("key", metavar="ID", help="its id, as 'tollbook keys list' shows it")
    for action in (created, listed, revoked):
        for setting in SETTINGS:
            if setting.name == "session_store":
                add_setting(action, setting)


def _create_key(options: argparse.Namespace) -> int:
    from tollbook.app.keys import about, create_key, key_store

    store = key_store(options.session_store)
    text, key = create_key(options.owner, options.scopes, options.expires, options.claims, store)
    print(text)
    for line in about(key, store):
        print(line, file=sys.stderr)
    return 0


def _list_keys(options: argparse.Namespace) -> int:
    from tollbook.app.keys import key_store, keys_as_json, list_keys, show_keys

    store, now = key_store(options.session_store), datetime.now(UTC).timestamp()
    keys = list_keys(store)
    if options.json:
        sys.stdout.write(keys_as_json(keys, now))
    elif keys:
        from rich.console import Console

        show_keys(keys, now, Console(highlight=False, markup=False, emoji=False))
    else:
        print(f"No API key lies in {printable(store)}. 'tollbook keys create --owner NAME --scopes SCOPES' makes one.")
    return 0


def _revoke_key(options: argparse.Namespace) -> int:
    from tollbook.app.keys import key_store, revoke_key

    key = revoke_key(options.key, key_store(options.session_store))
    done = "was revoked before" if key.revoked is not None else "is revoked: no server with this store accepts it now"
    print(f"The API key {key.id} of {printable(key.owner)} {done}.")
    return 0
