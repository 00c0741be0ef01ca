"""Lock files of projects, read as requirements that pip can check."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tollbook.core.errors import UsageError
from tollbook.deploy.image.locks import check_agreement, constraints_of, pins_of, requirements_of

HASH: Final = f"sha256:{'0' * 64}"
WITH_UV: Final[Mapping[str, str]] = {"PATH": str(Path(sys.executable).parent), "UV_NO_CACHE": "1"}
UV_LOCK: Final = f"""
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "dice"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "six" }}]

[package.dev-dependencies]
dev = [{{ name = "wheel" }}]

[package.metadata]
requires-dist = [{{ name = "six" }}]

[package.metadata.requires-dev]
dev = [{{ name = "wheel" }}]

[[package]]
name = "six"
version = "1.17.0"
source = {{ registry = "https://packages.example/simple" }}
wheels = [{{ url = "https://packages.example/six-1.17.0-py2.py3-none-any.whl", hash = "{HASH}", size = 1 }}]

[[package]]
name = "wheel"
version = "0.45.1"
source = {{ registry = "https://packages.example/simple" }}
wheels = [{{ url = "https://packages.example/wheel-0.45.1-py3-none-any.whl", hash = "{HASH}", size = 1 }}]
"""
PROJECT: Final = """
[project]
name = "dice"
version = "1"
requires-python = ">=3.11"
dependencies = ["six"]

[dependency-groups]
dev = ["wheel"]
"""
PYLOCK: Final = f"""
lock-version = "1.0"
created-by = "a test"

[[packages]]
name = "six"
version = "1.17.0"
wheels = [
  {{ url = "https://packages.example/six-1.17.0-py2.py3-none-any.whl", hashes = {{ sha256 = "{"0" * 64}" }} }},
]

[[packages]]
name = "colorama"
version = "0.4.6"
marker = "sys_platform == 'win32'"
sdist = {{ url = "https://packages.example/colorama-0.4.6.tar.gz", hashes = {{ sha256 = "{"0" * 64}" }} }}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


class TestALock:
    def test_of_uv_is_read_by_uv_without_what_only_developers_need(self, tmp_path: Path) -> None:
        project = write(tmp_path, uv_lock=UV_LOCK, pyproject_toml=PROJECT)
        assert requirements_of(project, WITH_UV).split() == ["six==1.17.0", "\\", f"--hash={HASH}"]

    def test_of_the_standard_has_a_line_for_each_package(self, tmp_path: Path) -> None:
        assert requirements_of(write(tmp_path, pylock_toml=PYLOCK), {}) == (
            f"six==1.17.0 \\\n    --hash={HASH}\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash={HASH}\n"
        )

    def test_that_is_a_list_with_hashes_is_taken_as_it_is(self, tmp_path: Path) -> None:
        text = f"# made by a program\nsix==1.17.0 \\\n    --hash={HASH}\n"
        assert requirements_of(write(tmp_path, requirements_txt=text), {}) == text

    def test_of_uv_goes_before_the_others(self, tmp_path: Path) -> None:
        project = write(tmp_path, uv_lock=UV_LOCK, pyproject_toml=PROJECT, requirements_txt="wheel", pylock_toml="")
        assert requirements_of(project, WITH_UV).startswith("six==")


class TestItIsRefused:
    def test_where_there_is_none_with_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"has no lock file, .* Make one: 'uv lock' .*--generate-hashes"):
            requirements_of(tmp_path, {})

    @pytest.mark.parametrize("line", ["six", "six==1.17.0", "-r more.txt", "-e .", "six @ https://packages.example/x"])
    def test_where_a_line_has_no_hash(self, tmp_path: Path, line: str) -> None:
        text = f"six==1.17.0 --hash={HASH}\n{line}\n"
        with pytest.raises(UsageError) as fault:
            requirements_of(write(tmp_path, requirements_txt=text), {})
        assert f"is no lock: '{line}' has no hash. Keep what you wrote as requirements.in" in fault.value.message

    def test_where_a_package_comes_from_a_folder(self, tmp_path: Path) -> None:
        text = 'lock-version = "1.0"\n[[packages]]\nname = "mine"\ndirectory = { path = "." }\n'
        with pytest.raises(UsageError, match=r"pylock\.toml has 'mine' without wheels of a version\."):
            requirements_of(write(tmp_path, pylock_toml=text), {})

    def test_where_it_is_broken(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"pylock\.toml cannot be read: "):
            requirements_of(write(tmp_path, pylock_toml="["), {})
        with pytest.raises(UsageError, match=r"uv cannot read .*uv\.lock:"):
            requirements_of(write(tmp_path, uv_lock="[", pyproject_toml=PROJECT), WITH_UV)

    def test_where_it_takes_a_uv_that_is_not_there(self, tmp_path: Path) -> None:
        project = write(tmp_path, uv_lock=UV_LOCK, pyproject_toml=PROJECT)
        with pytest.raises(UsageError, match=r"uv\.lock is read by uv, and the PATH has none\. Install it, or"):
            requirements_of(project, {"PATH": str(tmp_path)})


class TestAgreement:
    OURS: Final = f"anyio==4.16.0 \\\n    --hash={HASH}\nuvloop==1.0 ; sys_platform != 'win32' \\\n    --hash={HASH}\n"

    def test_is_wanted_of_what_both_need(self) -> None:
        check_agreement(f"AnyIO==4.16.0 --hash={HASH}\nsix==1.17.0 --hash={HASH}\n", self.OURS, "uv.lock")

    def test_is_missed_before_anything_is_built(self) -> None:
        theirs = f"AnyIO==4.11.0 --hash={HASH}\nuvloop==0.9 --hash={HASH}\n"
        with pytest.raises(UsageError) as fault:
            check_agreement(theirs, self.OURS, "uv.lock")
        assert "'uv lock --upgrade-package anyio==4.16.0 --upgrade-package uvloop==1.0'" in fault.value.message
        assert fault.value.more == (
            "anyio: 4.11.0 is locked, the image has 4.16.0",
            "uvloop: 0.9 is locked, the image has 1.0",
        )

    def test_of_what_stands_under_a_condition_is_left_to_pip(self) -> None:
        check_agreement(f"anyio==4.11.0 ; sys_platform == 'win32' --hash={HASH}\n", self.OURS, "requirements.txt")

    def test_is_kept_by_constraints_that_name_everything_in_the_image(self) -> None:
        assert constraints_of(self.OURS, "0.1.0").splitlines() == [
            "anyio==4.16.0",
            "uvloop==1.0 ; sys_platform != 'win32'",
            "tollbook==0.1.0",
        ]

    def test_counts_every_package_that_the_image_has(self) -> None:
        text = (Path(__file__).parents[2] / "requirements" / "image.txt").read_text()
        assert len(list(pins_of(text))) == text.count("==") - text.count("'=='") - text.count(" == ") > 50
