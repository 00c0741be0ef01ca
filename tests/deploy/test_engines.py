"""What docker, podman and finch are told, letter by letter, and what is said of what they answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.engines import Recorder, recorder
from tollbook.core.errors import UsageError
from tollbook.deploy.image.engines import EngineTrouble, find_engine

ADDRESS = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
TAG = f"{ADDRESS}/tollbook:0f3a-arm64"


@pytest.fixture
def programs(tmp_path: Path) -> Recorder:
    return recorder(tmp_path / "bin")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


def nowhere(_: str) -> None:
    """Who does not listen."""


class TestWhichOne:
    def test_is_the_first_that_is_installed_and_answers(self, programs: Recorder) -> None:
        programs.put("finch")
        programs.put("podman")
        assert find_engine("", programs.environment).name == "podman"
        programs.put("docker")
        assert find_engine("", programs.environment).name == "docker"
        assert programs.commands == [
            "podman info --format {{.Version.Version}}",
            "docker version --format {{.Server.Version}}",
            "docker buildx version",
        ]

    def test_is_another_where_the_first_does_not_answer(self, programs: Recorder) -> None:
        programs.put("docker", version={"code": 1})
        programs.put("finch")
        assert find_engine("", programs.environment).name == "finch"
        assert programs.commands[-1] == "finch info"

    def test_is_the_one_that_was_named(self, programs: Recorder) -> None:
        programs.put("docker")
        programs.put("finch")
        assert find_engine("finch", programs.environment).name == "finch"

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ("version", "but its daemon does not answer. Start it, or pass --image-uri."),
            ("buildx_version", "but not its plugin buildx. Install that"),
        ],
    )
    def test_is_none_where_it_cannot_build(self, programs: Recorder, asked: str, says: str) -> None:
        programs.put("docker", **{asked: {"code": 1, "says": "Cannot connect to the Docker daemon"}})
        with pytest.raises(EngineTrouble) as fault:
            find_engine("", programs.environment)
        assert f"Docker is installed, {says}" in fault.value.message

    def test_is_none_where_several_are_installed_and_none_answers(self, programs: Recorder) -> None:
        programs.put("docker", version={"code": 1})
        programs.put("podman", info={"code": 125})
        with pytest.raises(EngineTrouble, match=r"Docker is installed, but its daemon does not answer\."):
            find_engine("", programs.environment)
        with pytest.raises(EngineTrouble, match=r"Podman is .* Start its machine with 'podman machine start', or pass"):
            find_engine("podman", programs.environment)

    def test_is_none_where_none_is_installed(self, programs: Recorder) -> None:
        with pytest.raises(EngineTrouble, match=r"docker or podman or finch is needed, and the PATH has none\."):
            find_engine("", programs.environment)
        with pytest.raises(EngineTrouble, match=r"podman is needed, and the PATH has none\."):
            find_engine("podman", programs.environment)

    def test_is_refused_by_a_name_that_nobody_has(self, programs: Recorder) -> None:
        with pytest.raises(UsageError, match=r"There is no engine .buildah.\. Choose one of docker, podman, finch\."):
            find_engine("buildah", programs.environment)


class TestWhatItIsTold:
    @pytest.mark.parametrize(
        ("name", "builds", "pushes"),
        [
            (
                "docker",
                "docker buildx build --load --provenance=false --sbom=false --platform linux/arm64 --build-arg IMAGE=x "
                f"--tag {TAG} FOLDER",
                f"docker push {TAG}",
            ),
            (
                "podman",
                f"podman build --format docker --platform linux/arm64 --build-arg IMAGE=x --tag {TAG} FOLDER",
                f"podman push --format v2s2 --compression-format gzip {TAG}",
            ),
            (
                "finch",
                f"finch build --platform linux/arm64 --build-arg IMAGE=x --tag {TAG} FOLDER",
                f"finch push --platform linux/arm64 {TAG}",
            ),
        ],
    )
    def test_is_one_platform_and_no_attestations(
        self, programs: Recorder, context: Path, name: str, builds: str, pushes: str
    ) -> None:
        programs.put(name)
        engine = find_engine(name, programs.environment)
        before = len(programs.commands)
        engine.build(context, TAG, "arm64", {"IMAGE": "x"}, nowhere)
        engine.push(TAG, "arm64", nowhere)
        assert programs.commands[before:] == [builds.replace("FOLDER", str(context)), pushes]

    def test_calls_the_other_architecture_by_the_engines_name_for_it(self, programs: Recorder, context: Path) -> None:
        programs.put("docker")
        find_engine("", programs.environment).build(context, TAG, "x86_64", {}, nowhere)
        assert "--platform linux/amd64 --tag" in programs.commands[-1]

    @pytest.mark.parametrize("name", ["docker", "podman", "finch"])
    def test_has_a_password_on_the_standard_input_alone(self, programs: Recorder, name: str) -> None:
        programs.put(name)
        find_engine(name, programs.environment).login(ADDRESS, "AWS", "a-very-secret-word")
        assert programs.commands[-1] == f"{name} login --username AWS --password-stdin {ADDRESS}"
        assert programs.seen[-1]["given"] == "a-very-secret-word"


class TestWhatItSays:
    def test_is_told_line_by_line_while_it_runs(self, programs: Recorder, context: Path) -> None:
        programs.put("docker", buildx_build={"says": "#1 one\n#2 \x1b[31mtwo\n#3 three"})
        told: list[str] = []
        find_engine("", programs.environment).build(context, TAG, "arm64", {}, told.append)
        assert told == ["#1 one", "#2 <U+001B>[31mtwo", "#3 three"]

    @pytest.mark.parametrize(
        ("doing", "said"),
        [
            ("buildx_build", "Docker could not build the image. It said last:"),
            ("push", "Docker could not push the image: run the same command again. It said last:"),
        ],
    )
    def test_ends_a_failure_with_its_last_lines(self, programs: Recorder, context: Path, doing: str, said: str) -> None:
        programs.put("docker", **{doing: {"code": 17, "says": "\n".join(f"line {number}" for number in range(100))}})
        engine = find_engine("", programs.environment)
        does: Callable[[], None] = lambda: engine.push(TAG, "arm64", nowhere)  # noqa: E731
        if doing == "buildx_build":
            does = lambda: engine.build(context, TAG, "arm64", {}, nowhere)  # noqa: E731
        with pytest.raises(EngineTrouble) as fault:
            does()
        assert fault.value.message == said
        assert fault.value.more == tuple(f"line {number}" for number in range(88, 100))

    def test_of_steps_that_cannot_run_here_names_the_emulator_and_the_other_architecture(
        self, programs: Recorder, context: Path
    ) -> None:
        said = "exec /bin/sh: exec format error"
        programs.put("docker", buildx_build={"code": 1, "says": said})
        with pytest.raises(EngineTrouble) as fault:
            find_engine("", programs.environment).build(context, TAG, "arm64", {}, nowhere)
        assert "cannot run the steps of an image for linux/arm64 on this machine" in fault.value.message
        assert "tonistiigi/binfmt --install arm64" in fault.value.message
        assert "--architecture x86_64" in fault.value.message

    def test_when_it_is_not_let_in_holds_no_password(self, programs: Recorder) -> None:
        programs.put("podman", login={"code": 125, "says": "Error: unauthorized"})
        with pytest.raises(EngineTrouble) as fault:
            find_engine("", programs.environment).login(ADDRESS, "AWS", "a-very-secret-word")
        assert str(fault.value) == f"Podman was not let into {ADDRESS}. Error: unauthorized"

    def test_of_a_helper_that_logs_in_by_itself_is_no_failure(self, programs: Recorder) -> None:
        programs.put("docker", login={"code": 1, "says": "Error saving credentials: … out: `not implemented`"})
        find_engine("", programs.environment).login(ADDRESS, "AWS", "a-very-secret-word")
