"""What tollbook's image is built of, by what it holds."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fakes.processes import unmeasured
from tests.image.installed import ROOT
from tollbook.core.errors import TollbookError
from tollbook.deploy.image.building import tag_of
from tollbook.deploy.image.context import Context, File, tollbook_context


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package `tollbook` as a wheel has it that was built where the image is: of nothing but the context."""
    folder, package = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site-packages")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    with tollbook_context().folder() as context:
        done = subprocess.run(
            [sys.executable, *words, "."], capture_output=True, text=True, check=False, cwd=context, env=unmeasured()
        )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("tollbook-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    return package / "tollbook"


class TestTheContent:
    def test_is_the_same_of_a_checkout_and_of_the_wheel_made_of_it(self, installed: Path) -> None:
        theirs, ours = tollbook_context(installed), tollbook_context()
        assert theirs.files.keys() == ours.files.keys()
        assert theirs.content == ours.content
        assert tag_of(ours, "arm64") == f"{ours.content[:32]}-arm64"

    def test_does_not_change_with_what_python_makes(self, installed: Path) -> None:
        before = tollbook_context(installed).content
        cache = installed / "core" / "__pycache__"
        cache.mkdir()
        (cache / "errors.cpython-313.pyc").write_bytes(b"")
        assert tollbook_context(installed).content == before

    def test_changes_with_each_name_mode_and_byte(self) -> None:
        files = {"Dockerfile": File(b"FROM scratch\n"), "a": File(b"bc")}
        same = Context(files=dict(reversed(files.items())))
        assert Context(files=files).content == same.content
        others = [
            {**files, "a": File(b"bd")},
            {**files, "a": File(b"bc", is_executable=True)},
            {"Dockerfile": files["Dockerfile"], "ab": File(b"c")},
            {"Dockerfile": files["Dockerfile"]},
        ]
        contents = {Context(files=each).content for each in (files, *others)}
        contents.add(Context(files=files, stands_on="another image").content)
        assert len(contents) == len(others) + 2


class TestTheFolder:
    def test_has_what_the_dockerfile_copies_readable_by_all(self) -> None:
        with tollbook_context().folder() as folder:
            assert (folder / "Dockerfile").read_bytes() == (ROOT / "Dockerfile").read_bytes()
            assert (folder / "src" / "tollbook" / "app" / "image.py").is_file()
            assert (folder / "src" / "tollbook" / "deploy" / "image" / "own_server" / "install.sh").is_file()
            assert not list(folder.rglob("__pycache__"))
            modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*")}
            assert modes == {0o644, 0o755}
            assert (folder / "scripts" / "install_image.sh").stat().st_mode & 0o111
        assert not folder.exists()

    def test_cannot_be_made_of_an_installation_that_lacks_something(self, installed: Path, tmp_path: Path) -> None:
        (tmp_path / "lib" / "tollbook").mkdir(parents=True)
        with pytest.raises(TollbookError, match=r"Dockerfile, LICENSE, README\.md, .* is missing\. Install the wheel"):
            tollbook_context(tmp_path / "lib" / "tollbook")
