"""Commands from a pipe."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.repl.typist import ROOT


def obey(commands: str, *words: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """`printf commands | tollbook connect words`"""
    return subprocess.run(
        [sys.executable, "-m", "tollbook", "connect", *words],
        input=commands,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
        env=_environment(home),
    )


def _environment(home: Path) -> dict[str, str]:
    import os

    return {**os.environ, "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home), "COLUMNS": "200"}


def test_results_go_to_standard_output_and_all_else_to_standard_error(ours: str, tmp_path: Path) -> None:
    done = obey("connect\ngreet Ann\n\n# a remark\nmulti-greet Bo\nquit\ngreet Cy\n", ours, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Hello, Ann!\nGood morning, Bo!\n"
    assert "Sending second greeting to Bo" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("history"))


def test_it_connects_by_itself_and_the_last_line_needs_no_end(ours: str, tmp_path: Path) -> None:
    done = obey("greet Ann", ours, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Hello, Ann!\n")


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        ("greet Ann\ngret Bo\ngreet Cy\n", 2),
        ("call-tool greet nam=Bo\ngreet Cy\nread-resource no://such\n", 2),
        ("read-resource no://such\ngret Bo\ngreet Cy\n", 1),
        ("call-tool get_bedrock_usage_report tz=Mars/Base\ngret Bo\ngreet Cy\n", 5),
        ("connect http://127.0.0.1:9/mcp\ngreet Bo\n", 1),
    ],
)
def test_the_first_failure_is_the_exit_code_and_the_rest_is_done_all_the_same(
    ours: str, tmp_path: Path, commands: str, code: int
) -> None:
    done = obey(commands, ours, home=tmp_path)
    assert done.returncode == code, done.stderr
    assert ("Hello, Cy!" in done.stdout) == ("Cy" in commands)


def test_nobody_is_asked(guarded: str, agency: str, tmp_path: Path) -> None:
    done = obey("list-tools\n", guarded, home=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"tollbook login {guarded}" in done.stderr
    done = obey("call-tool colour\n", agency, "--transport-era", "handshake", home=tmp_path)
    assert "Ctrl-D" not in done.stdout + done.stderr


def test_quit_ends_it_though_the_pipe_stays_open(ours: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tollbook", "connect", ours]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment(tmp_path)
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write("greet Ann\n")
        running.stdin.flush()
        assert running.stdout.readline() == "Hello, Ann!\n"
        running.stdin.write("quit\n")
        running.stdin.flush()
        assert running.wait(60) == 0


def test_commands_may_stand_in_a_file_or_nowhere(ours: str, tmp_path: Path) -> None:
    script = tmp_path / "commands"
    script.write_bytes(b"greet Ann\r\ngreet B\xf6\r\n")
    for source, shown in ((script, "Hello, Ann!\nHello, B\ufffd!\n"), (Path("/dev/null"), "")):
        with source.open() as given:
            command = [sys.executable, "-m", "tollbook", "connect", ours]
            done = subprocess.run(
                command, stdin=given, capture_output=True, check=False, timeout=60, cwd=ROOT, env=_environment(tmp_path)
            )
        assert (done.returncode, done.stdout.decode()) == (0, shown), done.stderr
