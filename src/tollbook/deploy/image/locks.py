"""A project's lock file, as requirements with hashes: pip can install these, and check that they are what was locked.

- `uv.lock` is read by uv itself: https://docs.astral.sh/uv/concepts/projects/export/
- `pylock.toml` is made for installers to read: https://packaging.python.org/en/latest/specifications/pylock-toml/
- `requirements.txt` counts where each line has a hash: https://pip.pypa.io/en/stable/topics/secure-installs/
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tollbook.core.errors import UsageError, why

_PIN: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)[ \t]*(;[^\\\n]*)?", re.MULTILINE)
_EXPORT: Final = ("export", "--frozen", "--offline", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate")


def requirements_of(project: Path, environment: Mapping[str, str]) -> str:
    """The requirements of `project`, by its lock file: a line for each package, with its version and its hashes.

    Args:
        environment: where uv is looked up, and what it is run with.

    Raises:
        UsageError: it has no lock file, or none that can be used.
    """
    readers: Mapping[str, Callable[[Path], str]] = {
        "uv.lock": lambda path: _of_uv(path, environment),
        "pylock.toml": _of_pylock,
        "requirements.txt": _of_requirements,
    }
    for name, read in readers.items():
        path = project / name
        if path.is_file():
            try:
                return read(path)
            except (OSError, ValueError) as fault:
                raise UsageError(f"{path} cannot be read: {why(fault)}.") from fault
    raise UsageError(
        f"{project} has no lock file, so nobody could say what its image holds. Make one: 'uv lock' for a "
        "pyproject.toml; 'uv pip compile --generate-hashes requirements.in -o requirements.txt', or 'poetry export -o "
        "requirements.txt', for what else there is."
    )


def pins_of(requirements: str) -> Iterator[tuple[str, str, str]]:
    """The packages that `requirements` name: each with its version, and with the condition under which it is meant."""
    for found in _PIN.finditer(requirements):
        yield re.sub(r"[-_.]+", "-", found[1]).lower(), found[2], (found[3] or "").lstrip("; ").rstrip()


def constraints_of(requirements: str, version: str) -> str:
    """`requirements` as pip takes constraints, without hashes; and tollbook itself, of `version`."""
    lines = [f"{name}=={pin} ; {marker}" if marker else f"{name}=={pin}" for name, pin, marker in pins_of(requirements)]
    return "\n".join([*lines, f"tollbook=={version}", ""])


def check_agreement(theirs: str, ours: str, lock: str) -> None:
    """Looks whether a project is locked to the versions that tollbook's image has, of what both need.

    What stands under a condition is left to pip, which finds out in the image.

    Args:
        theirs, ours: requirements.
        lock: says what theirs were read from.

    Raises:
        UsageError: it is not; with every difference.
    """
    have: dict[str, set[str]] = {}
    for name, version, _ in pins_of(ours):
        have.setdefault(name, set()).add(version)
    others = [
        (name, version, " or ".join(sorted(have[name])))
        for name, version, marker in pins_of(theirs)
        if not marker and version not in have.get(name, {version})
    ]
    if not others:
        return
    words = " ".join(f"--upgrade-package {name}=={wanted.partition(' ')[0]}" for name, _, wanted in others)
    again = f"uv lock {words}" if lock == "uv.lock" else f"uv pip compile {words} …"
    raise UsageError(
        f"{lock} and tollbook's image need other versions of the same packages. Lock these as the image has them, for "
        f"instance with '{again}':",
        [f"{name}: {version} is locked, the image has {wanted}" for name, version, wanted in others],
    )


def _of_uv(path: Path, environment: Mapping[str, str]) -> str:
    program = shutil.which("uv", path=environment.get("PATH", ""))
    if program is None:
        raise UsageError(
            f"{path} is read by uv, and the PATH has none. Install it, or write the lock as pylock.toml or as "
            "requirements.txt with hashes."
        )
    done = subprocess.run(  # noqa: S603 # the user's own uv, and no shell
        [program, *_EXPORT, "--format", "requirements-txt", "--project", str(path.parent)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise UsageError(f"uv cannot read {path}:", done.stderr.splitlines()[-5:])
    return done.stdout


def _of_pylock(path: Path) -> str:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return "".join(_line_of(package, path) for package in document.get("packages", []))


def _line_of(package: Mapping[str, Any], path: Path) -> str:
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    hashes = [f"--hash={kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items()]
    if not (hashes and "version" in package):
        raise UsageError(
            f"{path.name} has '{package.get('name', '?')}' without wheels of a version. What is installed from a "
            "folder or a repository cannot be checked: publish it, or copy its code into the project."
        )
    marker = f" ; {package['marker']}" if "marker" in package else ""
    return " \\\n    ".join([f"{package['name']}=={package['version']}{marker}", *hashes]) + "\n"


def _of_requirements(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    logical = re.sub(r"\\\r?\n", " ", text).splitlines()
    lines = [line.strip() for line in logical if line.strip() and not line.lstrip().startswith("#")]
    bare = [line for line in lines if not line.startswith("--") and "--hash=" not in line]
    if bare:
        raise UsageError(
            f"{path} is no lock: '{bare[0]}' has no hash. Keep what you wrote as requirements.in, and make the lock of "
            f"it: 'uv pip compile --generate-hashes requirements.in -o {path.name}'."
        )
    return text
