"""A server of somebody's own on tollbook's image: what its Dockerfile does, done to a copy of the installed folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.auth_servers.issuer import Issuer
from tests.fakes.emulator import emulated
from tests.fakes.wheels import a_wheel
from tests.hosting.auth.asking import bearer
from tests.hosting.runtime import deployment
from tests.hosting.runtime.deployment import Table
from tests.hosting.serving import request, tool
from tests.image.installed import ROOT, Image, instructions
from tests.image.test_entry import CREDENTIALS, rest_event
from tollbook.deploy.image.context import Context, tollbook_context
from tollbook.deploy.image.project import Project, project_context

OURS: Final = ROOT / "src" / "tollbook" / "deploy" / "image" / "own_server"
DOCKERFILE: Final = OURS / "Dockerfile"
SERVER: Final = """
from dice_names import name_of
from mcp.server import MCPServer

server = MCPServer("dice")


@server.tool()
def name(number: int) -> str:
    return name_of(number)
"""
_UNCHECKED_HASH: Final = 1  # https://peps.python.org/pep-0552/#specification


class Dice(NamedTuple):
    """A project, and the folder where the wheels of its lock are."""

    project: Project
    wheels: Path


@pytest.fixture(scope="module")
def dice(tmp_path_factory: pytest.TempPathFactory) -> Dice:
    """One with a lock of two packages: the first needs the second, and tollbook's own anyio."""
    folder, wheels = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheels")
    (folder / "dice_server.py").write_text(SERVER)
    (folder / "old.py").write_text("print 'of another age'\n")
    lock = a_wheel(
        wheels,
        "dice_names",
        "1.0",
        {"dice_names.py": "from dice_core import NAMES\n\n\ndef name_of(number):\n    return NAMES[number - 1]\n"},
        needs=["dice_core==2.0", "anyio"],
        program="dice_names:name_of",
    )
    lock += a_wheel(wheels, "dice_core", "2.0", {"dice_core.py": "NAMES = ('ace', 'deuce', 'trey')\n"})
    (folder / "requirements.txt").write_text(lock)
    return Dice(Project(folder=folder, server="dice_server:server"), wheels)


def done_in(context: Context, image: Image, folder: Path, wheels: Path) -> "subprocess.CompletedProcess[str]":
    """Does the Dockerfile's steps to `image`; the project is copied to `folder`, which stands for /srv."""
    settings = {"PATH": f"{image.folder / 'bin'}:{os.defpath}", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    settings["PIP_FOLDER"] = str(_pip_beside(folder))
    with context.folder() as source:
        shutil.copytree(source / "project", folder)
        for words in (["packages", image.folder], ["code", folder]):
            done = subprocess.run(
                [str(source / "steps" / "install.sh"), *map(str, words)],
                capture_output=True,
                text=True,
                check=False,
                env=settings,
            )
            if done.returncode != 0:
                break
    return done


@pytest.fixture(scope="module")
def copied(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, to be added to."""
    folder = tmp_path_factory.mktemp("own") / "tollbook"
    shutil.copytree(image.folder, folder, symlinks=True)
    return Image(folder)


@pytest.fixture(scope="module")
def before(copied: Image) -> dict[str, int]:
    """When each file of the image was changed last, before anything was added."""
    return _times_of(copied.folder)


@pytest.fixture(scope="module")
def served(copied: Image, before: dict[str, int], dice: Dice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the project in the image that was made, where `copied` has its packages."""
    assert before
    folder = tmp_path_factory.mktemp("srv") / "project"
    done = done_in(project_context(dice.project, tollbook_context(), {}), copied, folder, dice.wheels)
    assert done.returncode == 0, done.stderr
    return folder


class TestItsDockerfile:
    def test_is_one_that_a_linter_has_nothing_to_say_of(self) -> None:
        linter = Path(sys.executable).parent / "hadolint"
        done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")

    def test_does_what_these_tests_do_and_nothing_else(self) -> None:
        does = [each for each in instructions(DOCKERFILE) if each.name in ("RUN", "COPY")]
        assert [re.sub(r"--mount=\S+ ", "", each.words) for each in does] == [
            "/steps/install.sh packages /opt/tollbook",
            "project /srv",
            "/steps/install.sh code /srv",
        ]

    def test_stands_on_the_image_and_ends_as_that_does(self) -> None:
        theirs, ours = instructions(DOCKERFILE), instructions()
        assert [each.words for each in theirs if each.name == "FROM"] == ["${BASE} AS pip", "${IMAGE}"]
        assert {each.words for each in ours if each.name == "ARG"} < {each.words for each in theirs}
        assert theirs[-1].words == next(each.words for each in ours if each.name == "USER")


class TestTheImage:
    def test_has_the_packages_of_the_lock_beside_its_own(self, copied: Image, served: Path) -> None:
        names = {path.name for path in copied.packages.iterdir()}
        assert {"dice_names.py", "dice_core.py", "tollbook", "mcp"} <= names
        assert not {path.name for path in (copied.folder / "bin").iterdir()} & {"dice_names", "pip"}

    def test_has_its_own_files_as_they_were(self, copied: Image, served: Path, before: dict[str, int]) -> None:
        """Else each would lie in the image twice."""
        after = _times_of(copied.folder)
        assert {path for path in before if after.get(path) != before[path]} == set()

    def test_is_compiled_as_the_rest_is(self, copied: Image, served: Path) -> None:
        compiled = [*copied.packages.glob("__pycache__/dice_*.pyc"), *served.glob("__pycache__/*.pyc")]
        assert sorted(path.name.partition(".")[0] for path in compiled) == ["dice_core", "dice_names", "dice_server"]
        assert {path.read_bytes()[4] for path in compiled} == {_UNCHECKED_HASH}

    def test_serves_those_who_log_in(
        self,
        copied: Image,
        served: Path,
        dice: Dice,
        emulator: Path,
        issuer: Issuer,
        a_table: Callable[[], Table],
        tmp_path: Path,
    ) -> None:
        deployed = deployment.environment_for(issuer, a_table())
        settings = copied.environment(tmp_path, {**deployed, **CREDENTIALS, "TOLLBOOK_APP": dice.project.server})
        with emulated(emulator, copied.entry, served, settings) as function:
            answered = function.invoke(rest_event(tool("name", number=3), bearer(issuer)))
            refused = function.invoke(rest_event(request("tools/list")))
        assert answered.head["statusCode"] == 200
        assert b'"trey"' in answered.content
        assert refused.head["statusCode"] == 401

    def test_is_none_where_the_lock_wants_what_the_image_has_otherwise(
        self, image: Image, dice: Dice, tmp_path: Path
    ) -> None:
        """pip says so: it is what finds out in the end, whatever was seen before."""
        folder, wheels = tmp_path / "project", tmp_path / "wheels"
        shutil.copytree(dice.project.folder, folder)
        wheels.mkdir()
        other = a_wheel(wheels, "anyio", "1.0", {"anyio.py": ""}).replace(" --hash", " ; python_version > '3' --hash")
        (folder / "requirements.txt").write_text(other)
        context = project_context(Project(folder=folder, server=dice.project.server), tollbook_context(), {})
        before = _times_of(image.folder)
        done = done_in(context, image, tmp_path / "srv", wheels)
        assert done.returncode != 0
        assert "The user requested anyio==1.0" in done.stdout
        assert "The user requested (constraint) anyio==4" in done.stdout
        assert _times_of(image.folder) == before


def _pip_beside(folder: Path) -> Path:
    """What stands for the libraries of the stage `pip`: the image has none."""
    found = importlib.util.find_spec("pip")
    assert found is not None
    assert found.origin is not None
    libraries = folder.parent / "libraries"
    shutil.copytree(Path(found.origin).parent, libraries / "python3.99" / "site-packages" / "pip")
    return libraries


def _times_of(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_ctime_ns for path in folder.rglob("*") if not path.is_dir()}
