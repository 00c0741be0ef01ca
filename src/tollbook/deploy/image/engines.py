"""The programs that build an image and take it to a registry: docker, podman and finch, told apart here alone.

Lambda takes an image for one architecture, as Docker's manifest V2, schema 2, or OCI's; it refuses an index, which is
what BuildKit makes of an image and the attestations it adds unasked:
https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
https://docs.docker.com/build/metadata/attestations/
https://github.com/aws/aws-lambda-roadmap/issues/82
"""

import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.text import printable

Tell = Callable[[str], None]
"""Takes a line of what a program says while it runs."""

ARCHITECTURES: Final[Mapping[str, str]] = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
"""What engines call a platform, by what Lambda calls the architecture."""

_ANSWERS_WITHIN_S: Final = 60
_LAST_LINES: Final = 12


class EngineTrouble(TollbookError):
    """An image cannot be built, or not be pushed."""


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """How a program is spoken to.

    Attributes:
        title: what people call it.
        asks: what fails unless it can build, each with what is then wrong and what to do.
        pushes_platform: whether a push has to say which of the image's platforms is meant.
    """

    title: str
    asks: tuple[tuple[tuple[str, ...], str], ...]
    builds: tuple[str, ...]
    pushes: tuple[str, ...] = ("push",)
    pushes_platform: bool = False


_ENGINES: Final[Mapping[str, _Words]] = {
    "docker": _Words(
        title="Docker",
        asks=(
            (
                ("version", "--format", "{{.Server.Version}}"),
                "Docker is installed, but its daemon does not answer. Start it",
            ),
            (
                ("buildx", "version"),
                "Docker is installed, but not its plugin buildx. Install that (https://docs.docker.com/go/buildx/)",
            ),
        ),
        # Whichever builder is in use, --load brings the image to where push finds it.
        builds=("buildx", "build", "--load", "--provenance=false", "--sbom=false"),
    ),
    "podman": _Words(
        title="Podman",
        asks=(
            (
                ("info", "--format", "{{.Version.Version}}"),
                "Podman is installed, but does not answer. Start its machine with 'podman machine start'",
            ),
        ),
        # https://docs.podman.io/en/latest/markdown/podman-build.1.html
        builds=("build", "--format", "docker"),
        # https://docs.podman.io/en/latest/markdown/podman-push.1.html: containers.conf may say zstd, which this
        # manifest has no name for.
        pushes=("push", "--format", "v2s2", "--compression-format", "gzip"),
    ),
    "finch": _Words(
        title="Finch",
        asks=((("info",), "Finch is installed, but does not answer. Start its machine with 'finch vm start'"),),
        # nerdctl, which it is made of, attests nothing unless asked:
        # https://github.com/containerd/nerdctl/blob/main/docs/command-reference.md#whale-nerdctl-build
        builds=("build",),
        # … and pushes this machine's platform unless told otherwise.
        pushes_platform=True,
    ),
}
ENGINES: Final = tuple(_ENGINES)
"""Their names, in the order in which they are looked for."""


class Engine:
    """One that answers."""

    def __init__(self, name: str, program: str, environment: Mapping[str, str]) -> None:
        self.name, self._program, self._environment = name, program, environment
        self._words = _ENGINES[name]

    def login(self, address: str, user: str, password: str) -> None:
        """Lets it into the registry at `address`.

        The password goes by the standard input: command lines are everybody's to read.

        Raises:
            EngineTrouble: it is not let in.
        """
        done = self._run(["login", "--username", user, "--password-stdin", address], given=password)
        said = done.stdout.splitlines()
        # https://github.com/awslabs/amazon-ecr-credential-helper: it keeps no passwords, since it makes them itself;
        # so a login that it is asked to keep is one that is not needed.
        if done.returncode != 0 and "not implemented" not in done.stdout:
            raise EngineTrouble(f"{self._words.title} was not let into {address}.", _last(said))

    def build(self, folder: Path, tag: str, architecture: str, arguments: Mapping[str, str], tell: Tell) -> None:
        """Makes the image `tag` of the Dockerfile in `folder`.

        Args:
            architecture: as Lambda names it.
            arguments: for the Dockerfile's ARGs.

        Raises:
            EngineTrouble: it failed; with the last of what it said.
        """
        platform = ARCHITECTURES[architecture]
        given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        words = [*self._words.builds, "--platform", platform, *given, "--tag", tag, str(folder)]
        code, last = self._follow(words, tell)
        if code == 0:
            return
        if any("exec format error" in line.lower() for line in last):
            short = platform.partition("/")[2]
            other = next(name for name in ARCHITECTURES if name != architecture)
            raise EngineTrouble(
                f"{self._words.title} cannot run the steps of an image for {platform} on this machine, which is of "
                f"another kind and emulates none. Install an emulator ('{self.name} run --privileged --rm "
                f"tonistiigi/binfmt --install {short}'), or deploy with --architecture {other}.",
                last,
            )
        raise EngineTrouble(f"{self._words.title} could not build the image. It said last:", last)

    def push(self, tag: str, architecture: str, tell: Tell) -> None:
        """Takes an image to the registry that its name begins with.

        Raises:
            EngineTrouble: it failed; with the last of what it said.
        """
        platform = ["--platform", ARCHITECTURES[architecture]] if self._words.pushes_platform else []
        code, last = self._follow([*self._words.pushes, *platform, tag], tell)
        if code != 0:
            raise EngineTrouble(
                f"{self._words.title} could not push the image: run the same command again. It said last:", last
            )

    def check(self) -> None:
        """Looks whether it can build.

        Raises:
            EngineTrouble: it cannot, at the moment.
        """
        for words, wrong in self._words.asks:
            if self._run(words).returncode != 0:
                raise EngineTrouble(f"{wrong}, or pass --image-uri.")

    def _run(self, words: Sequence[str], given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [self._program, *words]
        try:
            return subprocess.run(  # noqa: S603 # a program of the user's own, and no shell
                command,
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
                check=False,
                timeout=_ANSWERS_WITHIN_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return subprocess.CompletedProcess(command, 1, "")

    def _follow(self, words: Sequence[str], tell: Tell) -> tuple[int, list[str]]:
        """Runs it to its end. Its exit code, and the last lines of what it said."""
        lines = deque[str](maxlen=_LAST_LINES)
        with subprocess.Popen(  # noqa: S603 # a program of the user's own, and no shell
            [self._program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=self._environment,
        ) as process:
            assert process.stdout is not None  # noqa: S101 # it was asked for
            for line in process.stdout:
                lines.append(line)
                tell(printable(line.rstrip()))
        return process.returncode, _last(lines)


def find_engine(name: str, environment: Mapping[str, str]) -> Engine:
    """The engine to build with.

    Args:
        name: one of `ENGINES`; empty for the first that is on the PATH and answers.
        environment: where PATH is looked up, and what the engine is run with.

    Raises:
        UsageError: there is none of that name.
        EngineTrouble: none is installed, or none answers.
    """
    if name and name not in ENGINES:
        raise UsageError(f"There is no engine '{name}'. Choose one of {', '.join(ENGINES)}.")
    wanted = (name,) if name else ENGINES
    found = [(each, shutil.which(each, path=environment.get("PATH", ""))) for each in wanted]
    engines = [Engine(each, program, environment) for each, program in found if program is not None]
    if not engines:
        raise EngineTrouble(
            f"To build the image, {' or '.join(wanted)} is needed, and the PATH has none. Install one, or pass "
            "--image-uri with an image that is built."
        )
    troubles = []
    for engine in engines:
        try:
            engine.check()
        except EngineTrouble as trouble:
            troubles.append(trouble)
        else:
            return engine
    raise troubles[0]


def _last(lines: Sequence[str] | deque[str]) -> list[str]:
    return [printable(line.rstrip()) for line in list(lines)[-_LAST_LINES:]]
