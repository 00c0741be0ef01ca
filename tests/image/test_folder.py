"""What the install steps make of a folder, and of the Python that runs it."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.hosting.wire import LOGS
from tests.image.installed import Image, step
from tollbook import __version__

_UNCHECKED_HASH: Final = 1  # https://peps.python.org/pep-0552/#specification


class TestTheInstalledFolder:
    def test_holds_no_program_but_python_and_ours(self, image: Image) -> None:
        programs = {path.name for path in (image.folder / "bin").iterdir()}
        assert programs == {"tollbook", "python", "python3", f"python3.{sys.version_info.minor}"}
        packages = {path.name.partition("-")[0] for path in image.packages.iterdir()}
        assert {"tollbook", "mcp", "boto3", "uvicorn"} <= packages
        assert not packages & {"pip", "setuptools", "wheel", "hatchling", "_pytest", "moto"}

    def test_can_be_read_by_everyone_and_changed_by_none_but_its_owner(self, image: Image) -> None:
        modes = [(path.lstat().st_mode, path.is_dir()) for path in image.folder.rglob("*") if not path.is_symlink()]
        assert all(mode & 0o022 == 0 and mode & (0o005 if is_dir else 0o004) for mode, is_dir in modes)

    def test_is_compiled_in_a_form_that_does_not_depend_on_time(self, image: Image) -> None:
        sources = list(image.packages.rglob("*.py"))
        assert len(sources) > 1000
        for source in sources:
            bytecode = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
            assert bytecode.read_bytes()[4] == _UNCHECKED_HASH

    def test_is_not_compiled_again_where_its_times_are_others(self, image: Image, tmp_path: Path) -> None:
        moved = tmp_path / "moved"
        shutil.copytree(image.packages / "tollbook", moved / "tollbook", copy_function=shutil.copyfile)
        program = f"import sys; sys.path.insert(0, {str(moved)!r}); import tollbook.core.errors"
        done = image.run("python", "-v", "-c", program, tmp=tmp_path)
        read = re.findall(rf"code object from ('?){re.escape(str(moved))}/\S+/errors\.\S+", done.stderr)
        assert read == ["'"]  # Python quotes the name of bytecode, and not that of a source

    def test_stays_as_it_is_whatever_runs_in_it(self, image: Image, tmp_path: Path) -> None:
        before = _state_of(image.folder)
        every_part = "import tollbook.app.image, tollbook.app.serve, tollbook.app.aws, tollbook.hosting.auth.authorizer"
        assert image.run("python", "-c", every_part, tmp=tmp_path).returncode == 0
        assert image.run("tollbook", "report", LOGS, tmp=tmp_path).returncode == 0
        assert _state_of(image.folder) == before

    def test_has_the_command_line(self, image: Image, tmp_path: Path) -> None:
        assert image.run("tollbook", "--version", tmp=tmp_path).stdout == f"tollbook {__version__}\n"
        done = image.run("tollbook", "report", LOGS, "--format", "json", tmp=tmp_path)
        assert json.loads(done.stdout)["totals"]["calls"] == 443


class TestThePythonOfTheImage:
    def test_is_compiled_and_left_without_pip(self, tmp_path: Path) -> None:
        """As the official image has it: its standard library without bytecode, pip in its place."""
        library, programs = tmp_path / "lib" / "python3.99", tmp_path / "bin"
        kept, gone = ["json/__init__.py", "string.py"], ["ensurepip/__init__.py", "site-packages/pip/__init__.py"]
        for name in (*kept, *gone, "idlelib/idle.py"):
            (library / name).parent.mkdir(parents=True, exist_ok=True)
            (library / name).write_text("import sys")
        programs.mkdir()
        for name in ("python3", "pip", "pip3"):
            (programs / name).touch()
        done = step("interpreter", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert [name for name in (*kept, *gone) if (library / name).exists()] == kept
        assert {path.name for path in programs.iterdir()} == {"python3"}
        compiled = {path.name.partition(".")[0]: path.read_bytes()[4] for path in library.rglob("*.pyc")}
        assert compiled == {"__init__": _UNCHECKED_HASH, "string": _UNCHECKED_HASH}


def _state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}
