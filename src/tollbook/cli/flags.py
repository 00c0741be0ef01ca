"""What the commands have in common."""

import argparse
from typing import Final

from tollbook.core.settings import Setting

INTERRUPTED: Final = 130
"""The exit code: 128 + SIGINT, as shells have it."""


def add_setting(parser: argparse._ActionsContainer, setting: Setting) -> None:
    """Its flags, with their meaning, its default and its variable in the help."""
    default = "" if setting.default is None else f" (default: {setting.default})"
    parser.add_argument(
        *setting.flags,
        dest=setting.name,
        metavar=setting.metavar,
        help=f"{setting.what}{default} [{setting.variable}]".replace("%", "%%"),
    )
