"""What an MCP server says of itself and answers, as far as a client reads it. What a field does not know is left out.

Source: https://modelcontextprotocol.io/specification/2025-11-25/schema and
https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

HANDSHAKE_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Of the era that begins with `initialize`; the newest first."""
MODERN_VERSIONS: Final = ("2026-07-28",)
"""Of the era in which every request stands alone."""

Era = Literal["handshake", "modern"]
Json = Mapping[str, Any]

_T = TypeVar("_T")


class _Said(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A thing of the schema."""


class Annotations(_Said, frozen=True):
    """What a server says of a tool's effects. The defaults are the schema's."""

    title: str | None = None
    read_only_hint: bool = False
    destructive_hint: bool = True
    idempotent_hint: bool = False
    open_world_hint: bool = True


class Tool(_Said, frozen=True):
    name: str
    title: str | None = None
    description: str | None = None
    input_schema: Json = {}
    output_schema: Json | None = None
    annotations: Annotations | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether calling it twice does what calling it once does."""
        return self.annotations is not None and (self.annotations.read_only_hint or self.annotations.idempotent_hint)


class Resource(_Said, frozen=True):
    uri: str
    name: str = ""
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None


class ResourceTemplate(_Said, frozen=True):
    uri_template: str
    name: str = ""
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None


class PromptArgument(_Said, frozen=True):
    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False


class Prompt(_Said, frozen=True):
    name: str
    title: str | None = None
    description: str | None = None
    arguments: Sequence[PromptArgument] | None = None


class ResourceContents(_Said, frozen=True):
    """Text, or bytes in base64."""

    uri: str = ""
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None


class Content(_Said, frozen=True):
    """A block of a result or of a prompt: `type` says which of the fields it has.

    text: `text` · image, audio: `data` in base64, `mime_type` · resource: `resource` ·
    resource_link: `uri`, `name`, `title`, `description`, `mime_type`, `size`. Other types may come.
    """

    type: str
    text: str | None = None
    data: str | None = None
    mime_type: str | None = None
    resource: ResourceContents | None = None
    uri: str | None = None
    name: str | None = None
    title: str | None = None
    description: str | None = None
    size: int | None = None


class ToolResult(_Said, frozen=True):
    content: Sequence[Content] = ()
    structured_content: Any = None
    is_error: bool = False


class ReadResult(_Said, frozen=True):
    contents: Sequence[ResourceContents] = ()


class PromptMessage(_Said, frozen=True):
    role: str
    content: Content


class PromptResult(_Said, frozen=True):
    description: str | None = None
    messages: Sequence[PromptMessage] = ()


class Implementation(_Said, frozen=True):
    """A program, as it calls itself."""

    name: str
    version: str = ""
    title: str | None = None
    description: str | None = None
    website_url: str | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a server once it has answered.

    Attributes:
        info: None where it does not say who it is.
        capabilities: as it declared them: `tools`, `resources`, `prompts`, `logging`, `completions`, …
        has_session: whether it keeps one for this client.
    """

    info: Implementation | None
    capabilities: Json
    instructions: str | None
    version: str
    era: Era
    has_session: bool = False


class Elicitation(msgspec.Struct, frozen=True, kw_only=True):
    """A question that a server has for the user, in the middle of a call.

    Attributes:
        message: the question.
        schema: of what is wanted: a flat object of strings, numbers, booleans and choices; None for a page to open.
        url: that the user is asked to open; only if `schema` is None.
    """

    message: str
    schema: Json | None = None
    url: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said to an elicitation."""

    action: Literal["accept", "decline", "cancel"]
    content: Json | None = None


def read(document: Any, kind: type[_T]) -> _T:
    """`document` as a thing of the schema.

    Raises:
        Misbehaved: it is none.
    """
    from tollbook.client.trouble import Misbehaved

    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as fault:
        raise Misbehaved(f"The server's answer is not what MCP asks for: {fault}.") from fault
