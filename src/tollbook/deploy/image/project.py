"""Somebody's project with an MCP server of his own, as what an image is built of."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollbook import __version__
from tollbook.core.errors import UsageError
from tollbook.deploy.image.context import Context, File
from tollbook.deploy.image.locks import check_agreement, constraints_of, requirements_of

_STEPS: Final = Path(__file__).parent / "own_server"
_SERVER: Final = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
_ROOTS: Final = (".", "src")
"""The folders of a project that its modules are looked for in; `tollbook.app.own_server` does the same."""

_NEEDLESS: Final = (
    "**/.git",
    "**/.hg",
    "**/.venv",
    "**/venv",
    "**/__pycache__",
    "**/*.pyc",
    "**/.*_cache",
    "**/.tox",
    "**/.nox",
    "**/.coverage*",
    "**/node_modules",
    "**/*.egg-info",
    "**/.DS_Store",
    "**/.idea",
    "**/.vscode",
    "dist",
    "build",
    "tollbook.toml",
)
_SECRET: Final = (
    "**/.env",
    "**/.env.*",
    "**/.aws",
    "**/.ssh",
    "**/.netrc",
    "**/.pypirc",
    "**/.git-credentials",
    "**/.dockerconfigjson",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/id_rsa",
    "**/id_ecdsa",
    "**/id_ed25519",
)
"""What may hold secrets. `!NAME` in the project's .dockerignore brings one in all the same."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """One to deploy.

    Attributes:
        folder: where its lock file and its code are.
        server: MODULE:NAME, an `MCPServer` or a function that makes one.
    """

    folder: Path
    server: str


def project_context(project: Project, ours: Context, environment: Mapping[str, str]) -> Context:
    """What the image of `project` is built of; its Dockerfile's argument IMAGE is that of `ours`.

    Raises:
        UsageError: there is no such server, no lock file, or one that does not agree with our image's.
    """
    folder = project.folder.resolve()
    _check_server(project.server, folder)
    pins = ours.files["requirements/image.txt"].read().decode()
    lock = requirements_of(folder, environment)
    names = [name for name in ("uv.lock", "pylock.toml", "requirements.txt") if (folder / name).is_file()]
    check_agreement(lock, pins, names[0])
    files = {
        "Dockerfile": File(_STEPS / "Dockerfile"),
        "steps/install.sh": File(_STEPS / "install.sh", is_executable=True),
        "steps/lock.txt": File(lock.encode()),
        "steps/constraints.txt": File(constraints_of(pins, __version__).encode()),
    }
    left_out: list[str] = []
    for name, path in _files(folder, left_out):
        files[f"project/{name}"] = File(path, is_executable=os.access(path, os.X_OK))
    return Context(files=files, stands_on=ours.content, left_out=tuple(sorted(left_out)))


def _check_server(server: str, folder: Path) -> None:
    found = _SERVER.fullmatch(server)
    if found is None:
        raise UsageError(f"--app: MODULE:NAME is wanted, such as my_server:server, not '{server}'.")
    path = found[1].replace(".", "/")
    places = [folder / root / end for root in _ROOTS for end in (f"{path}.py", f"{path}/__init__.py")]
    if not any(place.is_file() for place in places):
        raise UsageError(
            f"--app: there is no module '{found[1]}' in {folder} or its folder src. Name another, or another "
            "folder with --project."
        )


def _files(folder: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    """The files that go into the image, by name; names that may be of secrets are added to `left_out` instead.

    A link counts as what it leads to, within `folder` alone.
    """
    needless = [_Rule(pattern) for pattern in _NEEDLESS]
    rules = [*needless, *(_Rule(pattern, may_be_secret=True) for pattern in _SECRET), *_own_rules(folder)]
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(each for each in folders if _is_looked_into(here / each, folder, needless))
        for each in sorted(names):
            path = here / each
            name = path.relative_to(folder).as_posix()
            last = next((rule for rule in reversed(rules) if rule.is_about(name)), None)
            if last is None or last.brings_in:
                if path.is_file() and path.resolve().is_relative_to(folder):
                    yield name, path
            elif last.may_be_secret:
                left_out.append(name)


def _is_looked_into(path: Path, folder: Path, needless: Sequence["_Rule"]) -> bool:
    # A virtual environment, whatever it is called: https://docs.python.org/3/library/venv.html
    is_environment = (path / "pyvenv.cfg").is_file()
    return not is_environment and not any(rule.is_about(path.relative_to(folder).as_posix()) for rule in needless)


def _own_rules(folder: Path) -> Iterator["_Rule"]:
    path = folder / ".dockerignore"
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip() and not line.startswith("#"):
                yield _Rule(line.strip())


class _Rule:
    """A line of a .dockerignore: https://docs.docker.com/build/concepts/context/#dockerignore-files"""

    def __init__(self, line: str, *, may_be_secret: bool = False) -> None:
        self.brings_in, self.may_be_secret = line.startswith("!"), may_be_secret
        pattern = line.removeprefix("!").strip().removeprefix("./").strip("/")
        # Whatever is in a folder that it names, it names too.
        try:
            self._expression = re.compile(f"{_expression(pattern)}(/.*)?", re.DOTALL)
        except re.error as fault:
            raise UsageError(f".dockerignore: '{line}' is no pattern. Mend it, or take it out.") from fault

    def is_about(self, name: str) -> bool:
        return self._expression.fullmatch(name) is not None


def _expression(pattern: str) -> str:
    """As Go's `filepath.Match` has it, with `**` for any number of folders."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]*\]|\\.)", pattern)
    meant = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        meant.get(part) or (part if part[:1] == "[" else re.escape(part[1:] if part[:1] == "\\" else part))
        for part in parts
    )
