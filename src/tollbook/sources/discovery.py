"""From what the user names to the log files behind it."""

import glob
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollbook.core.errors import SourceError, why

STDIN: Final = "-"
_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".log", ".txt", ".gz")
# Bedrock tests its permission to write with an object of this name.
_PERMISSION_CHECK: Final = "amazon-bedrock-logs-permission-check"
_HOUR: Final = re.compile(r"\d\d")


class LogFile(msgspec.Struct, frozen=True):
    """A file to read.

    Attributes:
        name: what the user knows it by.
        size: bytes, as it lies there; 0 for a stream.
        is_stream: a pipe or the standard input, which can be read only once and only from its start.
    """

    path: Path
    name: str
    size: int
    is_stream: bool


def log_files(sources: Sequence[str]) -> list[LogFile]:
    """The files behind `sources`: each a file, a folder, a glob or `-`. Named twice, a file comes once.

    Raises:
        SourceError: a source does not exist, may not be read, or holds no logs.
    """
    found: dict[Path, LogFile] = {}
    for source in sources:
        if source == STDIN:
            found[Path(STDIN)] = LogFile(Path(STDIN), "standard input", 0, True)
            continue
        for path in _paths(source):
            found.setdefault(Path(os.path.realpath(path)), _log_file(path))
    return list(found.values())


def _paths(source: str) -> list[Path]:
    if not source:
        raise SourceError("A source is empty. Name a log file, a folder of them, a glob, or - for standard input.")
    path = Path(os.path.expanduser(source))
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.exists():
            return [path]
    except (OSError, ValueError) as fault:
        raise SourceError(f"Cannot read {source}: {why(fault)}.") from fault
    if glob.has_magic(source):
        matches = sorted(Path(match) for match in glob.glob(os.path.expanduser(source), recursive=True))
        if files := [match for match in matches if match.is_file() and not _is_no_log(match)]:
            return files
        raise SourceError(f"Nothing matches {source}. Put it in quotes if your shell should leave it alone.")
    raise SourceError(
        f"There is no file or folder {source}. Name a log file, a folder of them, a glob, or - for standard input."
    )


def _is_no_log(path: Path) -> bool:
    """Whether Bedrock wrote it beside its logs: the body of a call, `HH/data/…`, or a test of its permission."""
    is_body = path.parent.name == "data" and _HOUR.fullmatch(path.parent.parent.name) is not None
    return is_body or path.name.startswith(_PERMISSION_CHECK)


def _in_folder(folder: Path) -> list[Path]:
    """The logs below `folder`, in order of their names; in an S3 delivery tree, without its `data/` bodies.

    The tree is `…/BedrockModelInvocationLogs/REGION/YYYY/MM/DD/HH/`:
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
    """
    files = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(place, name) for name in sorted(names) if name.endswith(_SUFFIXES) and not name.startswith("."))
        files += [path for path in paths if not _is_no_log(path) and path.exists()]  # a link may lead nowhere
    if not files:
        raise SourceError(f"The folder {folder} holds no logs: no file in it ends with {', '.join(_SUFFIXES)}.")
    return files


def _refuse(fault: OSError) -> None:
    raise SourceError(f"Cannot read {fault.filename}: {why(fault)}.") from fault


def _log_file(path: Path) -> LogFile:
    try:
        status = path.stat()
        if not os.access(path, os.R_OK):
            raise PermissionError
    except OSError as fault:
        raise SourceError(f"Cannot read {path}: {why(fault)}.") from fault
    return LogFile(path, str(path), status.st_size, not stat.S_ISREG(status.st_mode))
