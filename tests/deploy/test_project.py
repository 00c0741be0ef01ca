"""Somebody's project, as what the image of his server is built of."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tollbook import __version__
from tollbook.core.errors import UsageError
from tollbook.deploy.image.context import Context, File
from tollbook.deploy.image.project import Project, project_context

ROOT: Final = Path(__file__).parents[2]
HASH: Final = f"--hash=sha256:{'0' * 64}"
OURS: Final = Context(files={"requirements/image.txt": File(f"anyio==4.16.0 {HASH}\n".encode())})


def a_project(folder: Path, *names: str, ignore: str = "") -> Path:
    """A folder with a lock, a server, and files that are called as `names`."""
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(f"six==1.17.0 {HASH}\n")
    for name in ("dice.py", *names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    if ignore:
        (folder / ".dockerignore").write_text(ignore)
    return folder


def context_of(folder: Path, server: str = "dice:server") -> Context:
    return project_context(Project(folder=folder, server=server), OURS, {})


def taken(folder: Path) -> set[str]:
    """What of the project goes into the image."""
    names = {name.removeprefix("project/") for name in context_of(folder).files if name.startswith("project/")}
    return names - {"dice.py", "requirements.txt", ".dockerignore"}


class TestWhatGoesIn:
    def test_is_the_lock_our_pins_and_the_code(self, tmp_path: Path) -> None:
        context = context_of(a_project(tmp_path, "data/sides.json", "run.sh"))
        assert {"Dockerfile", "steps/install.sh", "project/dice.py", "project/data/sides.json"} <= context.files.keys()
        assert context.files["steps/lock.txt"].read() == f"six==1.17.0 {HASH}\n".encode()
        assert context.files["steps/constraints.txt"].read().decode() == f"anyio==4.16.0\ntollbook=={__version__}\n"
        assert context.files["steps/install.sh"].is_executable
        assert context.stands_on == OURS.content

    def test_is_another_content_where_a_file_or_our_image_is_another(self, tmp_path: Path) -> None:
        folder = a_project(tmp_path)
        before = context_of(folder).content
        assert context_of(folder).content == before
        newer = Context(files={**OURS.files, "Dockerfile": File(b"")})
        assert project_context(Project(folder=folder, server="dice:server"), newer, {}).content != before
        (folder / "dice.py").write_text("another")
        assert context_of(folder).content != before

    def test_is_nothing_that_only_a_developer_needs(self, tmp_path: Path) -> None:
        made = [".git/config", "pkg/__pycache__/a.pyc", ".mypy_cache/x", ".venv/bin/python", "node_modules/a/b.js"]
        folder = a_project(
            tmp_path, *made, "env-of-mine/pyvenv.cfg", "env-of-mine/lib/x.py", "pkg/a.py", "tollbook.toml"
        )
        assert taken(folder) == {"pkg/a.py"}

    @pytest.mark.parametrize(
        "ignore", ["*\n!src\n", "*\n!src/*\n", "*\n!**\n", "!src/*.key\n!src/.e?v\n!src/.ssh\n", "!SRC/.env\n"]
    )
    def test_is_no_secret_because_of_the_folder_that_it_lies_in(self, tmp_path: Path, ignore: str) -> None:
        secrets = ["src/.env", "src/server.key", "src/.ssh/config"]
        context = context_of(a_project(tmp_path, "src/a.py", *secrets, ignore=ignore))
        assert "project/src/a.py" in context.files
        assert not {f"project/{name}" for name in secrets} & context.files.keys()
        assert {"src/.env", "src/server.key"} <= set(context.left_out)

    @pytest.mark.parametrize(
        "name",
        [
            *(".envrc", ".npmrc", ".kube/config", ".docker/config.json", "infra/terraform.tfstate", "x.tfstate.backup"),
            *("secrets.toml", ".streamlit/secrets.toml", "credentials.json", ".ENV", "Server.Key", "ID_RSA"),
        ],
    )
    def test_is_nothing_that_is_known_to_hold_secrets(self, tmp_path: Path, name: str) -> None:
        folder = a_project(tmp_path, name)
        assert context_of(folder).left_out == (name,)
        (folder / ".dockerignore").write_text(f"!{name}\n")
        assert taken(folder) == {name}

    def test_is_no_secret_by_another_name(self, tmp_path: Path) -> None:
        folder = a_project(tmp_path, ".env")
        (folder / "config.txt").symlink_to(".env")
        assert context_of(folder).left_out == (".env", "config.txt")
        (folder / ".dockerignore").write_text("!config.txt\n")
        assert not taken(folder)
        (folder / ".dockerignore").write_text("!.env\n")
        assert taken(folder) == {".env", "config.txt"}

    @pytest.mark.parametrize("ignore", ["*a" * 20 + "b", "**/" * 20 + "b", "**a" * 20 + "b", "**/*a*a" * 10 + "b"])
    def test_is_found_out_soon_whatever_the_pattern(self, tmp_path: Path, ignore: str) -> None:
        name = f"{'a/' * 30}{'a' * 60}"
        folder = a_project(tmp_path, name, ignore=ignore)
        program = "import sys; from tests.deploy.test_project import taken, Path; print(*taken(Path(sys.argv[1])))"
        command = [sys.executable, "-c", program, str(folder)]
        # Tried in every way it would take years.
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
        assert done.stdout.strip() == name

    def test_is_no_secret_unless_somebody_says_so(self, tmp_path: Path) -> None:
        secrets = [".env", "conf/.env.prod", "tls/server.key", "tls/ca.pem", ".ssh/config", "id_ed25519"]
        folder = a_project(tmp_path, *secrets, "environment.py", ignore="!tls/ca.pem\n")
        context = context_of(folder)
        assert taken(folder) == {"environment.py", "tls/ca.pem"}
        assert context.left_out == (".env", ".ssh/config", "conf/.env.prod", "id_ed25519", "tls/server.key")

    @pytest.mark.parametrize(
        ("ignore", "left"),
        [
            ("# a comment\n\ndocs\n", {"a.md", "b/a.md", "b/c/x.txt"}),
            ("*.md\n", {"b/a.md", "b/c/x.txt", "docs/a.md", "docs/b.txt"}),
            ("**/*.md\n!docs/*.md\n", {"b/c/x.txt", "docs/a.md", "docs/b.txt"}),
            ("/b/\n", {"a.md", "docs/a.md", "docs/b.txt"}),
            ("*/?.md\n", {"a.md", "b/c/x.txt", "docs/b.txt"}),
            ("b/**/x.txt\n", {"a.md", "b/a.md", "docs/a.md", "docs/b.txt"}),
            ("[ab].md\n./docs/b.*", {"b/a.md", "b/c/x.txt", "docs/a.md"}),
        ],
    )
    def test_is_what_the_projects_dockerignore_leaves(self, tmp_path: Path, ignore: str, left: set[str]) -> None:
        folder = a_project(tmp_path, "a.md", "b/a.md", "b/c/x.txt", "docs/a.md", "docs/b.txt", ignore=ignore)
        assert taken(folder) == left

    def test_is_nothing_that_a_link_brings_from_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "outside.txt").write_text("somebody else's")
        folder = a_project(tmp_path / "project", "inside.txt")
        (folder / "link-out.txt").symlink_to(tmp_path / "outside.txt")
        (folder / "link-in.txt").symlink_to(folder / "inside.txt")
        (folder / "parent").symlink_to(tmp_path)
        assert taken(folder) == {"inside.txt", "link-in.txt"}
        assert context_of(folder).files["project/link-in.txt"].read() == b"inside.txt"


class TestItIsRefused:
    @pytest.mark.parametrize("server", ["dice", "dice:", ":server", "../dice:server", "dice.py:server", "dice:a.b"])
    def test_without_a_module_and_a_name(self, tmp_path: Path, server: str) -> None:
        with pytest.raises(UsageError, match=r"--app: MODULE:NAME is wanted|--app: there is no module"):
            context_of(a_project(tmp_path), server)

    def test_where_there_is_no_such_module(self, tmp_path: Path) -> None:
        with pytest.raises(
            UsageError, match=r"--app: there is no module 'cards' in .* Name another, or another folder"
        ):
            context_of(a_project(tmp_path), "cards:server")

    def test_where_a_line_of_the_dockerignore_is_no_pattern(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"\.dockerignore: '\[z-a\]' is no pattern"):
            context_of(a_project(tmp_path, ignore="[z-a]\n"))

    def test_where_a_file_is_gone_when_it_is_wanted(self, tmp_path: Path) -> None:
        context = context_of(a_project(tmp_path, "data.txt"))
        (tmp_path / "data.txt").unlink()
        with pytest.raises(UsageError, match=r"data\.txt cannot be read, and the image needs it: no such file"):
            assert context.content

    def test_where_the_lock_does_not_agree_with_the_image(self, tmp_path: Path) -> None:
        folder = a_project(tmp_path)
        (folder / "requirements.txt").write_text(f"anyio==4.1.0 {HASH}\n")
        with pytest.raises(UsageError, match=r"requirements\.txt and tollbook's image need other versions"):
            context_of(folder)

    @pytest.mark.parametrize("name", ["src/cards.py", "src/cards/__init__.py", "cards/__init__.py"])
    def test_not_for_a_module_in_a_folder_of_its_own(self, tmp_path: Path, name: str) -> None:
        assert context_of(a_project(tmp_path, name), "cards:server").files
