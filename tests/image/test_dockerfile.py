"""The Dockerfile and the locks: what an engine would be told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image.installed import ROOT, instructions, said


class TestTheDockerfile:
    def test_is_one_that_a_linter_has_nothing_to_say_of(self) -> None:
        linter = Path(sys.executable).parent / "hadolint"
        done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")

    def test_does_what_these_tests_do_and_nothing_else(self) -> None:
        commands = [
            (each.stage, re.sub(r"--mount=\S+ ", "", each.words)) for each in instructions() if each.name == "RUN"
        ]
        assert commands == [
            (0, "scripts/install_image.sh environment /opt/tollbook"),
            (1, "/scripts/install_image.sh interpreter /usr/local"),
        ]
        assert said("COPY") == ["--from=build /opt/tollbook /opt/tollbook"]

    def test_is_for_any_architecture_and_for_a_user_without_rights(self) -> None:
        text = (ROOT / "Dockerfile").read_text()
        assert not re.search(r"--platform=|amd64|x86|arm64|aarch", text)
        (user,) = said("USER")
        assert all(int(part) > 0 for part in user.split(":"))

    def test_holds_no_secret(self) -> None:
        given = [each.words for each in instructions() if each.name in ("ARG", "ENV")]
        assert not re.search(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|KEY", " ".join(given), re.IGNORECASE)

    def test_is_given_what_it_copies_and_nothing_else(self) -> None:
        first, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
        assert first == "*"
        given = {line.removeprefix("!") for line in others if line.startswith("!")}
        copied = [each.words.split()[:-1] for each in instructions() if each.stage == 0 and each.name == "COPY"]
        assert {name for names in copied for name in names} == given


class TestTheLocks:
    def test_name_what_the_tests_run_with(self) -> None:
        tested = _pins("dev")
        assert _pins("image") < tested
        assert _pins("build") < tested
        assert not {name.partition("==")[0] for name in _pins("image")} & {"pip", "hatchling", "pytest", "moto"}

    def test_name_no_address(self) -> None:
        for name in ("image", "build", "emulator"):
            text = (ROOT / "requirements" / f"{name}.txt").read_text()
            assert not re.search(r"https?://|--index|--find-links|file:", text)
            assert text.count("--hash=sha256:") >= len(_pins(name)) > 0

    @pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
    def test_name_a_wheel_of_every_package_for_the_image(self, architecture: str, tmp_path: Path) -> None:
        (base,) = [each.words for each in instructions() if each.name == "ARG"]
        version = re.findall(r"=python:(3\.\d+)-slim", base)[0]
        wanted = ["--python-platform", f"{architecture}-manylinux_2_28", "--python-version", version, "--only-binary"]
        wanted += [":all:", "--require-hashes", "-r", str(ROOT / "requirements" / "image.txt")]
        uv = Path(sys.executable).parent / "uv"
        words = [uv, "pip", "install", "--dry-run", "--quiet", "--target", tmp_path / "none", *wanted]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _pins(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9.-]+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
