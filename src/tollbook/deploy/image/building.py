"""The image of a deployment: found in the registry by what it is made of, or built and taken there."""

from collections.abc import Callable, Mapping
from typing import Final

from tollbook.core.errors import TollbookError
from tollbook.deploy.image.context import Context, tollbook_context
from tollbook.deploy.image.engines import Engine, EngineTrouble, Tell
from tollbook.deploy.image.project import Project, project_context
from tollbook.deploy.image.registry import Registry

_TAG_LENGTH: Final = 32


def tag_of(context: Context, architecture: str) -> str:
    """The tag of the image that is made of `context`: the same content has the same, wherever and whenever it is made.

    Args:
        architecture: as Lambda names it.
    """
    return f"{context.content[:_TAG_LENGTH]}-{architecture}"


def built_uri(registry: Registry, context: Context, architecture: str) -> str | None:
    """The image that is made of `context`, as repository@digest, if it is in the registry.

    Raises:
        DeployError: that cannot be said.
    """
    digest = registry.digest(tag_of(context, architecture))
    return None if digest is None else f"{registry.uri}@{digest}"


def image_uri(
    registry: Registry,
    engine: Callable[[], Engine],
    context: Context,
    architecture: str,
    tell: Tell,
    arguments: Mapping[str, str] | None = None,
) -> str:
    """The image that is made of `context`, as repository@digest; it is built and pushed where it is not there yet.

    Interrupted at any point it can be run again.

    Args:
        engine: gives one; called only if there is something to build.
        architecture: as Lambda names it.
        tell: takes what the engine says, line by line.
        arguments: for the Dockerfile's ARGs; they are no part of the content.

    Raises:
        TollbookError: it cannot be found or made.
    """
    if (there := built_uri(registry, context, architecture)) is not None:
        return there
    builder = engine()
    entry = registry.entry()
    builder.login(registry.address, entry.user, entry.password)
    name = f"{registry.uri}:{tag_of(context, architecture)}"
    with context.folder() as folder:
        builder.build(folder, name, architecture, arguments or {}, tell)
    try:
        builder.push(name, architecture, tell)
    except EngineTrouble:
        # Tags are immutable: somebody else may have pushed the same meanwhile.
        if (theirs := built_uri(registry, context, architecture)) is not None:
            return theirs
        raise
    if (pushed := built_uri(registry, context, architecture)) is None:
        raise TollbookError(f"'{name}' was pushed, and Amazon ECR does not have it: run the same command again.")
    return pushed


def own_image_uri(
    registry: Registry,
    engine: Callable[[], Engine],
    project: Project,
    architecture: str,
    tell: Tell,
    environment: Mapping[str, str],
) -> str:
    """The same of somebody's own server, which stands on tollbook's image; that one is made first.

    Raises:
        TollbookError: it cannot be found or made.
    """
    ours = tollbook_context()
    context = project_context(project, ours, environment)
    if (there := built_uri(registry, context, architecture)) is not None:
        return there
    image = image_uri(registry, engine, ours, architecture, tell)
    return image_uri(registry, engine, context, architecture, tell, {"IMAGE": image})
