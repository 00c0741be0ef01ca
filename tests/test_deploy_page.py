"""docs/deploy.md: what it shows was printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fakes import ministack

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_its_plan_is_what_a_dry_run_without_credentials_prints(tmp_path: Path) -> None:
    found = re.search(r"^```\n\$ tollbook ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    docker = tmp_path / "docker"  # which would answer if it had to build
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    nothing = {
        "COLUMNS": "100",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    command = [sys.executable, "-m", "tollbook", *found[1].split()]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**environment, **nothing}
    )
    assert (done.stdout, done.stderr, done.returncode) == (found[2], "", 0)


def test_what_ministack_is_said_not_to_do_is_what_its_fake_says() -> None:
    assert ministack.__doc__ is not None
    (told,) = re.findall(r"^(- .*?)\n\nSources", ministack.__doc__, re.MULTILINE | re.DOTALL)
    assert told in PAGE
