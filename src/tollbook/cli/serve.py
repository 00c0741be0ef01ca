"""`tollbook serve`."""

import argparse

from tollbook.app.settings import GROUPS, SETTINGS
from tollbook.cli.flags import add_setting


def serve(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Serves the report to MCP clients, over HTTP at http://127.0.0.1:3000/mcp or with --stdio."
    parser.epilog = "Each setting can be given by its variable in the environment too; a flag goes before it."
    parser.set_defaults(do=_serve)
    parser.add_argument("--stdio", action="store_true", help="serve one local host on the standard input and output")
    for title, settings in GROUPS.items():
        group = parser.add_argument_group(title)
        for setting in settings:
            add_setting(group, setting)


def _serve(options: argparse.Namespace) -> int:
    from tollbook.app.serve import serve, serve_stdio

    flags = {setting.name: getattr(options, setting.name) for setting in SETTINGS}
    (serve_stdio if options.stdio else serve)(flags)
    return 0
