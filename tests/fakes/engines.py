"""Stands in for docker, podman or finch: a program of that name which notes what it is told, and builds nothing.

Told to, it takes what it should push to a registry of Amazon's, as an image of one layer that nobody could run.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

_PROGRAM: Final = """#!{python}
import hashlib, json, os, pathlib, sys
here = pathlib.Path(__file__).parent
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
answers = json.loads((here / f"{{name}}.answers").read_text())
known = [key for key in answers if words[:len(key.split())] == key.split()]
said = answers[known[0]] if known else {{}}
seen = {{"program": name, "words": words, "given": sys.stdin.read()}}
folder = pathlib.Path(words[-1])
if "--tag" in words and folder.is_dir():
    seen["files"] = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    seen["modes"] = sorted({{oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_dir()}})
with (here / "seen").open("a") as notes:
    notes.write(json.dumps(seen) + "\\n")
print(said.get("says", ""))
if "push" in words[:1] and said.get("pushes"):
    import boto3
    repository, _, tag = words[-1].rpartition("/")[2].partition(":")
    blob = {{"size": 1, "digest": "sha256:" + hashlib.sha256(tag.encode()).hexdigest()}}
    media = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {{"schemaVersion": 2, "mediaType": media}}
    manifest |= {{"config": {{"mediaType": "application/vnd.docker.container.image.v1+json", **blob}}, "layers": []}}
    text = json.dumps(manifest)
    boto3.client("ecr").put_image(
        repositoryName=repository, imageTag=tag, imageManifest=text, imageManifestMediaType=media,
        imageDigest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
    )
sys.exit(said.get("code", 0))
"""


class Recorder(NamedTuple):
    """Programs that were put into a folder, which is all of the PATH.

    Attributes:
        environment: for whoever is to find them.
    """

    folder: Path
    environment: Mapping[str, str]

    def put(self, name: str, **answers: Mapping[str, Any]) -> None:
        """Puts a program there.

        Args:
            answers: by the first words that it is given, with `_` for a blank: what it `says`, its exit `code`, and
                whether it `pushes`.
        """
        known = {words.replace("_", " "): answer for words, answer in answers.items()}
        (self.folder / f"{name}.answers").write_text(json.dumps(known))
        program = self.folder / name
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(0o755)

    @property
    def seen(self) -> list[dict[str, Any]]:
        """What they were told, in order."""
        notes = self.folder / "seen"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    @property
    def commands(self) -> list[str]:
        """Their command lines."""
        return [" ".join((each["program"], *each["words"])) for each in self.seen]


def recorder(folder: Path, more: Mapping[str, str] | None = None) -> Recorder:
    """One without programs.

    Args:
        more: what the environment has besides the PATH.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Recorder(folder, {"PATH": str(folder), **(more or {})})
