"""Somebody's project with an MCP server of his own, as what an image is built of."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollbook import __version__
from tollbook.core.errors import UsageError
from tollbook.core.settings import module_and_name
from tollbook.deploy.image.context import Context, File
from tollbook.deploy.image.locks import check_agreement, constraints_of, requirements_of

_STEPS: Final = Path(__file__).parent / "own_server"
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
    "**/.envrc",
    "**/.aws",
    "**/.ssh",
    "**/.kube",
    "**/.netrc",
    "**/.npmrc",
    "**/.pgpass",
    "**/.pypirc",
    "**/.git-credentials",
    "**/.docker/config.json",
    "**/.dockerconfigjson",
    "**/credentials.json",
    "**/application_default_credentials.json",
    "**/secrets.json",
    "**/secrets.toml",
    "**/secrets.yaml",
    "**/secrets.yml",
    "**/*.tfstate",
    "**/*.tfstate.*",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/*.jks",
    "**/id_rsa",
    "**/id_dsa",
    "**/id_ecdsa",
    "**/id_ed25519",
)
"""What may hold secrets, in capitals or not. A line of the project's .dockerignore that names the very file, such as
`!tls/ca.pem`, brings it in all the same; one that names a folder, or has a wildcard in its last part, does not."""


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
    try:
        module = module_and_name(server).partition(":")[0]
    except ValueError as fault:
        raise UsageError(f"--app: {fault}.") from fault
    path = module.replace(".", "/")
    places = [folder / root / end for root in _ROOTS for end in (f"{path}.py", f"{path}/__init__.py")]
    if not any(place.is_file() for place in places):
        raise UsageError(
            f"--app: there is no module '{module}' in {folder} or its folder src. Name another, or another "
            "folder with --project."
        )


def _files(folder: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    """The files that go into the image, by name; names that may be of secrets are added to `left_out` instead.

    A link counts as what it leads to, within `folder` alone; it is a secret if one of the two is called so.
    """
    needless = [_Rule(pattern) for pattern in _NEEDLESS]
    secret = [_Rule(pattern, in_any_case=True) for pattern in _SECRET]
    own = list(_own_rules(folder))
    rules = [*needless, *own]
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(each for each in folders if _is_looked_into(here / each, folder, needless))
        for each in sorted(names):
            path = here / each
            name = path.relative_to(folder).as_posix()
            last = next((rule for rule in reversed(rules) if rule.is_about(name)), None)
            meant = path.resolve()
            if (last is not None and not last.brings_in) or not path.is_file() or not meant.is_relative_to(folder):
                continue
            called = {name, meant.relative_to(folder).as_posix()}
            secrets = [one for one in called if any(rule.is_about(one) for rule in secret)]
            if all(any(rule.brings_in_by_name(one) for rule in own) for one in secrets):
                yield name, path
            else:
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

    def __init__(self, line: str, *, in_any_case: bool = False) -> None:
        self.brings_in = line.startswith("!")
        pattern = line.removeprefix("!").strip().removeprefix("./").strip("/")
        self._names_a_file = not set(pattern.rpartition("/")[2]) & set("*?[")
        try:
            self._expression = re.compile(_expression(pattern), re.DOTALL | (re.IGNORECASE if in_any_case else 0))
        except re.error as fault:
            raise UsageError(f".dockerignore: '{line}' is no pattern. Mend it, or take it out.") from fault

    def is_about(self, name: str) -> bool:
        """Whether it names `name` or a folder above it."""
        return self._expression.match(name) is not None

    def brings_in_by_name(self, name: str) -> bool:
        """Whether it brings in `name`, and names that file itself without a wildcard."""
        found = self._expression.match(name) if self.brings_in and self._names_a_file else None
        return found is not None and found.end() == len(name)


_WILDCARD: Final = re.compile(r"((?<![^/])\*\*/|\*\*|\*|\?|\[[^\]]*\]|\\.)")
_ANY: Final = {"**/": "(?:.*?/)??", "**": ".*?", "*": "[^/]*?"}


def _expression(pattern: str) -> str:
    """As Go's `filepath.Match` has it, with `**` for any number of folders; a name may go on below what it matches.

    Each wildcard takes as little as it can, together with what stands between it and the next; then it is never tried
    again ((?>…), an atomic group). Nothing is lost by that: what follows matches after a shorter match if it does after
    a longer one. So a pattern costs no more than its length times the square of the name's, whatever it is.
    """
    spans = [("", [""])]  # each begins with its **, and then goes from one * to the next
    for part in _WILDCARD.split(pattern):
        if part.startswith("**"):
            spans.append((_ANY[part], [""]))
        elif part == "*":
            spans[-1][1].append(_ANY[part])
        else:
            spans[-1][1][-1] += _one(part)
    spans[-1][1][-1] += r"(?=/|\Z)"
    return "".join(f"(?>{start}{first}{''.join(f'(?>{each})' for each in rest)})" for start, (first, *rest) in spans)


def _one(part: str) -> str:
    """A part that stands for characters one by one."""
    if part == "?":
        return "[^/]"
    if part[:1] == "[":
        return f"(?!/){part}" if len(part) > 1 else re.escape(part)
    return re.escape(part[1:] if part[:1] == "\\" else part)
