"""What an image is built of: files by name, known by what they hold, wherever they lie."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tollbook.core.errors import TollbookError, UsageError, why

_PACKAGE: Final = Path(__file__).parents[2]
_CARRIED: Final = "deploy/context"
"""In an installed package: what lies around it in the repository. pyproject.toml puts it there."""
_AROUND: Final = (
    ".dockerignore",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements/build.txt",
    "requirements/image.txt",
    "scripts/install_image.sh",
)
_READABLE, _EXECUTABLE = 0o644, 0o755


class File(msgspec.Struct, frozen=True):
    """A file of a context.

    Attributes:
        content: itself, or where it lies.
    """

    content: Path | bytes
    is_executable: bool = False

    @property
    def mode(self) -> int:
        return _EXECUTABLE if self.is_executable else _READABLE

    def read(self) -> bytes:
        """All of it.

        Raises:
            UsageError: it cannot be read.
        """
        if isinstance(self.content, bytes):
            return self.content
        try:
            return self.content.read_bytes()
        except OSError as fault:
            raise UsageError(f"{self.content} cannot be read, and the image needs it: {why(fault)}.") from fault


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile and what it is given.

    Attributes:
        files: by name, with `/` between folders.
        stands_on: the content of what the image is made from, if that is one of ours too.
        left_out: names that were left out since they may be secrets.
    """

    files: Mapping[str, File]
    stands_on: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The hexadecimal SHA-256 of all names, modes and bytes, in the order of the names."""
        digest = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            whole = file.read()
            digest.update(f"{name}\0{file.mode:o}\0{len(whole)}\0".encode())
            digest.update(whole)
        digest.update(self.stands_on.encode())
        return digest.hexdigest()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder with the files, to the end of the block. All may be read by everybody, as Lambda wants it."""
        with tempfile.TemporaryDirectory(prefix="tollbook-image-") as root:
            for name, file in self.files.items():
                path = Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.read())
                path.chmod(file.mode)
            for each in Path(root).rglob("*"):
                if each.is_dir():
                    each.chmod(_EXECUTABLE)
            yield Path(root)


def tollbook_context(package: Path = _PACKAGE) -> Context:
    """What tollbook's own image is built of, from an installation of it: a wheel's, or a checkout.

    Both come to the same content where they are of the same tree.

    Args:
        package: the folder `tollbook`.

    Raises:
        TollbookError: it lacks something.
    """
    carried = package / _CARRIED
    around = carried if carried.is_dir() else package.parents[1]
    places = {name: around / name for name in _AROUND}
    for path in package.rglob("*"):
        name = path.relative_to(package)
        is_made = "__pycache__" in name.parts or any(part.startswith(".") for part in name.parts)
        if path.is_file() and not is_made and not name.as_posix().startswith(f"{_CARRIED}/"):
            places[f"src/tollbook/{name.as_posix()}"] = path
    missing = [name for name, path in places.items() if not path.is_file()]
    if missing:
        raise TollbookError(
            f"This installation of tollbook cannot build its image: {', '.join(missing)} is missing. Install the "
            "wheel, or pass --image-uri."
        )
    return Context(files={name: File(path, name.endswith(".sh")) for name, path in places.items()})
