"""What many tests use."""

from pathlib import Path

import pytest

from tests.logs import Answer, Ask
from tollbook.cli import main


@pytest.fixture(autouse=True)
def _no_prices_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was refreshed on this machine may change an answer."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Calls the program with words, as `tollbook WORDS` does."""

    def program(*words: str) -> Answer:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as end:  # argparse
            code = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return program
