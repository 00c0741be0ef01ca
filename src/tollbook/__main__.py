"""`python -m tollbook`."""

from tollbook.cli import run

run()
