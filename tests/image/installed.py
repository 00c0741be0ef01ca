"""What the image holds, installed in a clean folder by the image's own steps; no engine builds it here."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.fakes.processes import unmeasured

ROOT: Final = Path(__file__).parents[2]
STEPS: Final = ROOT / "scripts" / "install_image.sh"
_FOLDER: Final = "/opt/tollbook"


class Instruction(NamedTuple):
    """A line of the Dockerfile; `stage` counts from 0, and is -1 before the first."""

    stage: int
    name: str
    words: str


def instructions(dockerfile: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """All of the image's Dockerfile, or of another."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Instruction] = []
    for line in filter(None, text.splitlines()):
        name, _, words = line.partition(" ")
        stage = (found[-1].stage if found else -1) + (name == "FROM")
        found.append(Instruction(stage, name, " ".join(words.split())))
    return found


def said(name: str) -> list[str]:
    """What an instruction says wherever it stands in the last stage."""
    last = instructions()[-1].stage
    return [each.words for each in instructions() if (each.stage, each.name) == (last, name)]


class Image(NamedTuple):
    """An installed one.

    Attributes:
        folder: stands for the image's /opt/tollbook.
    """

    folder: Path

    @property
    def packages(self) -> Path:
        return next(self.folder.glob("lib/python3.*/site-packages"))

    @property
    def entry(self) -> list[str]:
        """The ENTRYPOINT."""
        (words,) = said("ENTRYPOINT")
        program, *others = json.loads(words)
        return [str(self.folder / "bin" / program), *others]

    def environment(self, tmp: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """That of a container.

        Args:
            tmp: stands for the image's /tmp.
            more: what is set where it is started.
        """
        pairs = [pair.partition("=") for words in said("ENV") for pair in words.split()]
        places = {_FOLDER: str(self.folder), "$PATH": os.defpath, "/tmp": str(tmp)}  # noqa: S108
        own = {name: _replaced(value, places) for name, _, value in pairs}
        return {**own, **(more or {})}

    def run(self, *words: str | Path, tmp: Path) -> "subprocess.CompletedProcess[str]":
        """Runs a program of the image to its end."""
        program, *others = words
        command = [str(self.folder / "bin" / program), *map(str, others)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp, env=self.environment(tmp), timeout=120
        )


def _replaced(text: str, places: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)


def step(name: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Does a step of the installation."""
    environment = {**unmeasured(), "PYTHON": sys.executable}
    return subprocess.run([str(STEPS), name, str(folder)], capture_output=True, text=True, check=False, env=environment)
