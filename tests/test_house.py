"""The house itself: its layers, its wheel, and the words of its README."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fakes.processes import unmeasured

ROOT = Path(__file__).parent.parent


def run(*words: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {**unmeasured(), **settings}
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_the_arrows_between_the_layers_point_down() -> None:
    done = run(Path(sys.executable).parent / "lint-imports", "--no-cache")
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    done = run(sys.executable, "-m", "pip", *options, ".")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("tollbook-*.whl")
    return path


def test_a_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "tollbook/spend/prices/bedrock.json" in names
    assert "tollbook/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith(("tollbook/", "tollbook-")) for name in names)


def test_a_wheel_runs_where_the_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    """Unpacked in front of the dependencies, away from the repository."""
    done = run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, wheel)
    assert done.returncode == 0, done.stderr
    program = "import sys, tollbook; from tollbook.cli import run; print(tollbook.__file__, file=sys.stderr); run()"
    log = ROOT / "tests" / "data" / "records.jsonl"
    done = run(sys.executable, "-c", program, "report", log, "--format", "csv", PYTHONPATH=str(tmp_path))
    assert done.stderr.startswith(str(tmp_path))
    assert done.stdout.count("\n") == 1 + 7


def test_the_readme_names_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z]+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_readme_shows_the_help_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text()
    said = run(sys.executable, "-m", "tollbook", "report", "--help", COLUMNS="100").stdout
    assert said.strip() in readme


def test_the_page_of_the_server_shows_its_help_as_it_is() -> None:
    said = run(sys.executable, "-m", "tollbook", "serve", "--help", COLUMNS="100").stdout
    assert said.strip() in (ROOT / "docs" / "serve.md").read_text()


def test_the_page_on_hosting_shows_the_example_as_it_is() -> None:
    for name in ("own_server.py", "guarded_server.py"):
        code = (ROOT / "examples" / name).read_text().partition("\n\n")[2]
        assert f"```python\n{code}```" in (ROOT / "docs" / "host-your-own.md").read_text()


def test_a_report_is_made_without_what_only_a_server_needs() -> None:
    log = ROOT / "tests" / "data" / "records.jsonl"
    program = (
        "import sys; from tollbook.cli import main; "
        f"main(['report', {str(log)!r}, '--format', 'csv']); "
        "sys.exit(' '.join({'mcp', 'uvicorn', 'boto3', 'pydantic', 'starlette'} & set(sys.modules)) or 0)"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr


def test_no_file_names_an_address_to_download_from() -> None:
    """A lock file carries hashes; where packages come from is the machine's affair."""
    text = (ROOT / "requirements" / "dev.txt").read_text()
    assert not re.search(r"https?://|--index|--find-links|file:", text)
    assert text.count("--hash=sha256:") > 100
    packages = (ROOT / "tests" / "conformance" / "package-lock.json").read_text()
    assert '"integrity": "sha512-' in packages
    assert not re.search(r'"resolved"|registry', packages)


def test_every_threat_that_is_listed_has_tests_of_its_number() -> None:
    listed = re.findall(r"^\| (\d+) \| ", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    folders = (ROOT / "tests" / "threats", ROOT / "tests" / "client" / "login")
    texts = [path.read_text() for folder in folders for path in folder.glob("test_*.py")]
    names = [name for text in texts for name in re.findall(r"def test_threat((?:_\d+)+)_", text)]
    tested = {number for name in names for number in name.split("_")[1:]}
    assert {f"{int(number):02}" for number in listed} == tested
