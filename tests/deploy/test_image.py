"""The image of a deployment: taken from the registry if it is there, built and pushed if it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.registries import Repository
from tests.deploy.registries import ecr as ecr
from tests.deploy.registries import repository as repository
from tests.fakes.engines import Recorder, recorder
from tollbook.deploy.image.building import built_uri, image_uri, own_image_uri, tag_of
from tollbook.deploy.image.context import Context, File, tollbook_context
from tollbook.deploy.image.engines import Engine, EngineTrouble, find_engine
from tollbook.deploy.image.project import Project

CONTEXT = Context(files={"Dockerfile": File(b"FROM scratch\n"), "steps/run.sh": File(b"#!/bin/sh\n", True)})
TAG = tag_of(CONTEXT, "arm64")


@pytest.fixture
def programs(tmp_path: Path, repository: Repository) -> Recorder:
    return recorder(tmp_path / "bin", repository.environment)


def an_engine(programs: Recorder) -> Callable[[], Engine]:
    return lambda: find_engine("", programs.environment)


def no_engine() -> Engine:
    raise AssertionError("There is nothing to build.")


def nowhere(_: str) -> None:
    """Who does not listen."""


class TestAnImageThatIsNotThere:
    def test_is_built_pushed_and_named_by_its_digest(self, programs: Recorder, repository: Repository) -> None:
        programs.put("docker", push={"pushes": True})
        uri = image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere, {"IMAGE": "x"})
        assert uri == f"{repository.registry.uri}@{repository.registry.digest(TAG)}"
        login, build, push = programs.seen[-3:]
        name = f"{repository.registry.uri}:{TAG}"
        assert login["words"][-1] == repository.registry.address
        assert login["given"] == repository.registry.entry().password
        assert build["files"] == ["Dockerfile", "steps/run.sh"]
        assert build["modes"] == ["0o755"]
        assert build["words"][build["words"].index("--build-arg") + 1] == "IMAGE=x"
        assert build["words"][-3:-1] == ["--tag", name]
        assert not Path(build["words"][-1]).exists()
        assert push["words"][-1] == name

    def test_is_built_once(self, programs: Recorder, repository: Repository) -> None:
        programs.put("docker", push={"pushes": True})
        first = image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere)
        assert image_uri(repository.registry, no_engine, CONTEXT, "arm64", nowhere) == first
        assert built_uri(repository.registry, CONTEXT, "arm64") == first
        assert built_uri(repository.registry, CONTEXT, "x86_64") is None

    def test_is_pushed_the_next_time_where_that_was_interrupted(
        self, programs: Recorder, repository: Repository
    ) -> None:
        programs.put("docker", push={"code": 1, "says": "connection reset"})
        with pytest.raises(EngineTrouble, match="could not push the image: run the same command again"):
            image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere)
        programs.put("docker", push={"pushes": True})
        assert "@sha256:" in image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere)

    def test_is_anothers_where_he_was_quicker(self, programs: Recorder, repository: Repository) -> None:
        """Tags are immutable: whoever comes second is refused."""
        programs.put("docker", push={"code": 1, "says": "tag already exists", "pushes": True})
        uri = image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere)
        assert uri == built_uri(repository.registry, CONTEXT, "arm64")

    def test_is_missed_where_the_engine_says_that_it_pushed(self, programs: Recorder, repository: Repository) -> None:
        programs.put("docker")
        with pytest.raises(Exception, match="was pushed, and Amazon ECR does not have it"):
            image_uri(repository.registry, an_engine(programs), CONTEXT, "arm64", nowhere)


class TestAServerOfSomebodysOwn:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        folder = tmp_path / "dice"
        folder.mkdir()
        (folder / "dice.py").write_text("server = None\n")
        (folder / "requirements.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
        return Project(folder=folder, server="dice:server")

    def test_stands_on_tollbooks_image(self, programs: Recorder, repository: Repository, project: Project) -> None:
        programs.put("docker", push={"pushes": True})
        to = repository.registry
        uri = own_image_uri(to, an_engine(programs), project, "arm64", nowhere, programs.environment)
        ours = built_uri(to, tollbook_context(), "arm64")
        builds = [each for each in programs.seen if "--tag" in each["words"]]
        assert len(builds) == 2
        assert "src/tollbook/app/on_lambda.py" in builds[0]["files"]
        assert builds[1]["words"][builds[1]["words"].index("--build-arg") + 1] == f"IMAGE={ours}"
        assert {"Dockerfile", "project/dice.py", "steps/lock.txt"} <= set(builds[1]["files"])
        assert uri != ours

    def test_is_built_once(self, programs: Recorder, repository: Repository, project: Project) -> None:
        programs.put("docker", push={"pushes": True})
        to = repository.registry
        first = own_image_uri(to, an_engine(programs), project, "arm64", nowhere, programs.environment)
        assert own_image_uri(to, no_engine, project, "arm64", nowhere, programs.environment) == first
        (project.folder / "dice.py").write_text("server = 1\n")
        again = len(programs.seen)
        assert own_image_uri(to, an_engine(programs), project, "arm64", nowhere, programs.environment) != first
        assert len([each for each in programs.seen[again:] if "--tag" in each["words"]]) == 1
