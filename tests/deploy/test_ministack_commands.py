"""`tollbook deploy` and `tollbook destroy`, on a server that plays all of AWS."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.cloud import Cloud, image
from tests.fakes.ministack import go_to_ministack, ministack_server
from tests.logs import Ask
from tollbook.deploy.aws import clients

_HERE: Final = ("--image-uri", image("a"), "--no-check", "--yes")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack_server(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(autouse=True)
def cloud(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    go_to_ministack(server, monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    return Cloud(clients())


def _memory_of(cloud: Cloud, stack: str) -> Any:
    return cloud.aws("lambda").get_function(FunctionName=stack, Qualifier="live")["Configuration"]["MemorySize"]


def test_a_server_is_made_left_alone_changed_and_removed(cloud: Cloud, ask: Ask) -> None:
    before = cloud.everything()
    made = ask("deploy", "--stack", "book", *_HERE)
    assert made.code == 0, made.err
    stack = cloud.stacks.find("book")
    assert stack is not None
    assert f"The server is at {stack.outputs['Url']}" in made.out
    assert "CREATE_COMPLETE" in made.out

    again = ask("deploy", "--stack", "book", *_HERE)
    assert again.code == 0
    assert "Nothing changes in the stack 'book'." in again.out
    assert "_COMPLETE" not in again.out

    changed = ask("deploy", "--stack", "book", "--memory", "2048", "--no-check", "--yes")
    assert changed.code == 0
    assert _memory_of(cloud, "book") == 2048

    removed = ask("destroy", "--stack", "book", "--yes")
    assert removed.code == 0, removed.err
    assert {each.split()[0] for each in cloud.everything() - before} <= {"iam"}  # the role of all APIs' logs
    assert "There is nothing of 'book' to remove." in ask("destroy", "--stack", "book", "--yes").out


def test_a_file_says_the_same_for_a_team(cloud: Cloud, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "tollbook.toml").write_text(
        f'[deploy]\nstack = "team"\nimage-uri = "{image("a")}"\nmemory = 3008\nauth-method = "lambda"\n'
    )
    assert ask("deploy", "--no-check", "--yes").code == 0
    stack = cloud.stacks.find("team")
    assert stack is not None
    assert (stack.parameters["MemorySize"], stack.parameters["AuthMethod"]) == ("3008", "lambda")
    assert ask("destroy", "--yes").code == 0
    assert cloud.stacks.find("team") is None


def test_budgets_of_a_team_are_checked_and_all_of_that_goes_again(cloud: Cloud, ask: Ask, tmp_path: Path) -> None:
    before = cloud.everything()
    file = tmp_path / "tollbook.toml"
    file.write_text(
        '[deploy]\nstack = "kept"\nbudget-schedule = "rate(1 day)"\nbudget-email = "a@example.com"\n'
        "[budgets.all]\nusd = 100\n",
        encoding="utf-8",
    )
    made = ask("deploy", "--config", str(file), *_HERE)
    assert made.code == 0, made.err
    assert "budgets = {" in made.out
    stack = cloud.stacks.find("kept")
    assert stack is not None
    assert stack.parameters["TollbookBudgets"] == '{"all":{"usd":100}}'
    function = cloud.aws("lambda").get_function(FunctionName=stack.outputs["BudgetFunctionName"])["Configuration"]
    assert function["Environment"]["Variables"]["TOLLBOOK_BUDGET_TOPIC"] == stack.outputs["BudgetTopicArn"]
    removed = ask("destroy", "--stack", "kept", "--yes")
    assert removed.code == 0, removed.err
    assert {each.split()[0] for each in cloud.everything() - before} <= {"iam"}


def test_a_creation_that_fails_says_why_and_does_so_with_an_exit_code(cloud: Cloud, ask: Ask) -> None:
    assert ask("deploy", "--stack", "holder", "--login-prefix", "held", *_HERE).code == 0
    failed = ask("deploy", "--stack", "late", "--login-prefix", "held", *_HERE)
    assert failed.code == 1
    assert failed.err.startswith(
        "tollbook: The stack 'late' could not be made, and CloudFormation took everything back"
    )
    assert "UserPoolDomain (AWS::Cognito::UserPoolDomain): " in failed.err
    mended = ask("deploy", "--stack", "late", "--login-prefix", "free", *_HERE)
    assert mended.code == 0
    assert "(ROLLBACK_COMPLETE): it is deleted first." in mended.out


def test_data_that_is_kept_is_named(cloud: Cloud, ask: Ask) -> None:
    assert ask("deploy", "--stack", "kept", *_HERE).code == 0
    stack = cloud.stacks.find("kept")
    assert stack is not None
    kept = ask("destroy", "--stack", "kept", "--keep-data", "--yes")
    assert kept.code == 0
    for name in ("Bucket", "Table", "UserPoolId"):
        assert stack.outputs[name] in kept.out.partition("Stays: ")[2]


def test_without_a_terminal_and_without_a_yes_nothing_is_done(cloud: Cloud, ask: Ask) -> None:
    before = cloud.everything()
    refused = ask("deploy", "--stack", "unasked", "--image-uri", image("a"))
    assert refused.code == 2
    assert "--yes" in refused.err
    assert cloud.everything() == before


@pytest.mark.parametrize("sign", ["will be made", "works out", "CloudFormation will", "CREATE_IN_PROGRESS"])
def test_a_program_that_is_killed_is_run_again_and_goes_on(cloud: Cloud, ask: Ask, sign: str, tmp_path: Path) -> None:
    name = f"killed-{len(sign)}"
    command = [sys.executable, "-m", "tollbook", "deploy", "--stack", name, *_HERE]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=os.environ
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if sign.encode() in line:
                break
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    again = ask("deploy", "--stack", name, *_HERE)
    assert again.code == 0, again.err
    assert cloud.stacks.status(name) == "CREATE_COMPLETE"
    assert not cloud.change_sets(name)
    assert ask("destroy", "--stack", name, "--yes").code == 0


def test_what_was_begun_is_done_though_nobody_reads_on(cloud: Cloud, ask: Ask) -> None:
    assert ask("deploy", "--stack", "piped", *_HERE).code == 0
    command = [
        sys.executable,
        "-m",
        "tollbook",
        "deploy",
        "--stack",
        "piped",
        "--memory",
        "2048",
        "--no-check",
        "--yes",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=os.environ
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
    assert _memory_of(cloud, "piped") == 2048


def test_a_removal_is_looked_at_before(cloud: Cloud, ask: Ask) -> None:
    assert ask("deploy", "--stack", "looked", *_HERE).code == 0
    before = cloud.everything()
    shown = ask("destroy", "--stack", "looked", "--dry-run")
    assert (shown.code, cloud.everything()) == (0, before)
    assert shown.out.startswith("looked in eu-west-1, account 000000000000\n")
    assert "  stack looked\n" in shown.out
    refused = ask("destroy", "--stack", "looked")
    assert (refused.code, cloud.everything()) == (2, before)
    assert "--yes" in refused.err


def test_the_stack_of_an_image_is_nobodys_else(cloud: Cloud, ask: Ask) -> None:
    before = cloud.everything()
    for command in (("deploy", *_HERE), ("destroy", "--yes")):
        refused = ask(*command, "--stack", "book-bootstrap")
        assert refused.code == 2
        assert refused.err.startswith("tollbook: --stack: 'book-bootstrap' would be the stack of another one's image.")
    assert cloud.everything() == before


def test_an_image_that_was_named_can_be_unset(ask: Ask) -> None:
    assert ask("deploy", "--stack", "named", *_HERE).code == 0
    assert "The image is made" not in ask("deploy", "--stack", "named", "--dry-run").out
    assert "The image is made" in ask("deploy", "--stack", "named", "--dry-run", "--image-uri", "").out


def test_what_is_left_to_do_is_said(cloud: Cloud, ask: Ask) -> None:
    made = ask("deploy", "--stack", "todo", *_HERE, "--api-keys")
    stack = cloud.stacks.find("todo")
    assert stack is not None
    assert "'tollbook deploy --first-user EMAIL'" in made.out
    assert f"--scopes tollbook/use --session-store dynamodb:{stack.outputs['Table']}'" in made.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "rkt"), "--engine: there is no engine 'rkt'. Choose one of docker, podman, finch."),
        (("--project", "nowhere"), "--project: there is no folder nowhere."),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_at(ask: Ask, words: tuple[str, ...], said: str) -> None:
    refused = ask("deploy", *words, *_HERE)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"tollbook: {said}")
