"""What many tests use."""

import functools
import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import botocore.loaders
import botocore.session
import pytest

from tests.auth_servers.issuer import CANARY, PASSWORD
from tests.logs import Answer, Ask
from tollbook.cli import main
from tollbook.hosting.log import JsonLines

_SECRET: Final = re.compile(
    rf"eyJ[A-Za-z0-9_-]{{12}}|tbk_[0-9a-f]{{16}}_[0-9a-f]{{8}}|{re.escape(PASSWORD)}|{re.escape(CANARY)}"
)
"""What a token or an API key begins with, and what stands in those that the tests make."""


_LONGEST: Final = (
    "tests/conformance/test_conformance.py",
    "tests/sources/aws/test_agreement.py",
    "tests/client/login/test_eight_at_once.py",
    "tests/hosting/test_instances.py",
    "tests/conformance/test_on_lambda.py",
    "tests/test_truth.py",
    "tests/client/repl/test_session.py",
    "tests/hosting/test_memory.py",
    "tests/image/test_entry.py",
    "tests/auth_servers/test_login.py",
    "tests/deploy/test_template_linters.py",
    "tests/deploy/test_image.py",
    "tests/threats/test_client_secrets.py",
    "tests/hosting/runtime/test_instances_on_lambda.py",
    "tests/client/test_login_commands.py",
)
"""Files of half a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left alone with it at the end."""
    turns = {name: turn for turn, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: turns.get(item.nodeid.partition("::")[0], len(turns)))


@pytest.fixture(autouse=True)
def logged() -> Iterator[Callable[[], str]]:
    """All that is logged by anyone during a test, as `tollbook serve` writes it; no test may log a credential."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    root, ours = logging.getLogger(), logging.getLogger("tollbook")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    yield written.getvalue
    ours.setLevel(level)
    root.removeHandler(handler)
    assert not _SECRET.search(written.getvalue())


@pytest.fixture(autouse=True, scope="session")
def _no_server_wrote_a_credential(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All that servers in processes of their own wrote during the run is looked through at its end."""
    yield
    logs = list(tmp_path_factory.getbasetemp().rglob("instance-*.log"))
    assert not [log for log in logs if _SECRET.search(log.read_text(errors="replace"))]


@pytest.fixture(autouse=True, scope="session")
def _services_are_looked_up_once() -> Iterator[None]:
    """Each session of botocore reads anew what the services of AWS are like, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.loaders.create_loader))
        yield


@pytest.fixture(autouse=True)
def _nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No prices that were refreshed on this machine, and no days that were kept there, may change an answer."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


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
