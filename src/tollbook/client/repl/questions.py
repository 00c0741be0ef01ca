"""What a server wants to know in the middle of a call, asked of a person: field by field, or a page to open."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from rich.text import Text

from tollbook.client.protocol import Answer, Elicitation, Json
from tollbook.client.repl.fields import Field, fields_of
from tollbook.client.screen import Screen, words
from tollbook.client.screen.prose import Indented, Plain
from tollbook.core.text import printable

_DECLINE: Final = "decline"
_MOST_FIELDS: Final = 50
_LONGEST: Final = 4000
_INDENT: Final = "  "


class Lines(Protocol):
    """Someone at a terminal."""

    async def line(self, label: str, choices: Sequence[str] = (), *, may_list: bool = False) -> str:
        """What he types after `label`, without blanks around it.

        Args:
            choices: what it may be completed to.
            may_list: whether several may stand there, with commas between them.

        Raises:
            EOFError: Ctrl-D on an empty line.
            KeyboardInterrupt: Ctrl-C.
        """


class Questions:
    """Asks a person what servers ask.

    Args:
        open_page: in his browser; False where there is none.
    """

    def __init__(self, lines: Lines, screen: Screen, open_page: Callable[[str], bool]) -> None:
        self._lines, self._screen, self._open_page = lines, screen, open_page

    async def ask(self, asked: Elicitation, who: str) -> Answer:
        """What he says. He may decline everything with Ctrl-D or `decline`, and cancel it with Ctrl-C.

        Args:
            who: asks; the address that the user knows, not what the server calls itself.
        """
        wants = "wants you to open a page" if asked.schema is None else "asks"
        self._put((f"\n{_line(who)} {wants}", "bold"), ("  Ctrl-D declines, Ctrl-C cancels", "dim"), indent="")
        self._quote(asked.message)
        try:
            content = await (self._page(asked.url or "") if asked.schema is None else self._form(asked.schema, who))
        except EOFError:
            return self._end("decline", "Declined.")
        except KeyboardInterrupt:
            return self._end("cancel", "Cancelled.")
        return Answer(action="accept", content=content)

    def _end(self, action: Any, said: str) -> Answer:
        self._put((said, "dim"))
        return Answer(action=action)

    async def _form(self, schema: Json, who: str) -> Json:
        """What he fills in. Raises EOFError if he declines."""
        fields = fields_of(schema)
        if len(fields) > _MOST_FIELDS:
            self._put((f"It has {len(fields)} fields, more than anyone would fill in.", "yellow"))
            raise EOFError
        if not fields:
            await self._agreed("Agree? [y/n]", {"y": True, "yes": True, "n": False, "no": False})
            return {}
        given: dict[str, Any] = {}
        while True:
            for field in fields:
                answer = await self._field(field, given.get(field.name, field.default))
                if answer is None:
                    given.pop(field.name, None)
                else:
                    given[field.name] = answer
            if len(fields) == 1:
                return given
            self._put(("", ""))
            for field in fields:
                value = field.written(given[field.name]) if field.name in given else "(left out)"
                self._put((f"{_line(field.title)}: ", "dim"), (_line(value), ""))
            options = {"": True, "y": True, "yes": True, "n": False, "no": False, "e": None, "edit": None}
            if await self._agreed(f"Send this to {_line(who)}? [Y/n/edit]", options):
                return given

    async def _field(self, field: Field, default: Any) -> Any:
        """Its value; None if it is left out."""
        self._describe(field)
        hint = "" if default is None else f" [{_line(field.written(default))}]"
        choices = [_line(each.value) for each in field.choices]
        choices = ["yes", "no"] if field.kind == "yes or no" else choices
        may_list = field.kind == "any of these"
        while True:
            typed = await self._lines.line(f"{_INDENT}{_line(field.title)}{hint} › ", choices, may_list=may_list)
            if not typed and default is not None:
                return default
            if not typed and not field.is_required:
                return None
            if typed == _DECLINE and typed not in choices:
                raise EOFError
            try:
                if not typed:
                    raise ValueError("This is needed. Ctrl-D declines.")
                return field.read(typed)
            except ValueError as fault:
                self._put((_line(str(fault)), "red"))

    def _describe(self, field: Field) -> None:
        facts = [field.kind, *([field.limits] if field.limits else []), "needed" if field.is_required else "optional"]
        self._put((f"\n{_line(field.title)}", "bold"), (f"  {', '.join(facts)}", "dim"))
        if field.description:
            self._quote(field.description)
        width = max((len(each.value) for each in field.choices), default=0)
        for number, each in enumerate(field.choices, 1):
            title = f"  {_line(each.title)}" if each.title != each.value else ""
            self._put((f"{number:>3} ", "dim"), (f"{_line(each.value):<{min(width, 30)}}{title}", ""))

    async def _page(self, url: str) -> None:
        """Opens a page, if he wants it. Raises EOFError if he declines."""
        host = _host(url)
        if not host or printable(url) != url:
            self._put((f"The address is not what it seems, so it is not opened: {printable(url)}", "red"))
            raise EOFError
        self._put((f"\n{url}", "bold"))
        secure = "" if url.startswith("https:") else ", without encryption"
        self._put(("It is at ", ""), (host, "bold yellow"), (f"{secure}. Open it only if you trust it.", ""))
        options = {"y": True, "yes": True, "n": False, "no": False, "s": None, "self": None}
        if await self._agreed("Open it in your browser? [y/n/self]", options) and not self._open_page(url):
            self._put(("There is no browser here. Open it yourself.", "yellow"))

    async def _agreed(self, question: str, options: Mapping[str, bool | None]) -> bool | None:
        """What he chose, unless that is False: raises EOFError then."""
        while True:
            typed = (
                await self._lines.line(f"\n{_INDENT}{question} ", [each for each in options if len(each) > 1])
            ).lower()
            if typed in options or typed == _DECLINE:
                if (chosen := options.get(typed, False)) is False:
                    raise EOFError
                return chosen

    def _put(self, *parts: tuple[str, str], indent: str = _INDENT) -> None:
        # Not `say`: what is said on standard error waits until the question is answered.
        self._screen.put(Indented(Text.assemble(*parts), indent, indent, ""))

    def _quote(self, text: str) -> None:
        """A server's own words, no line of which can look as if it were ours."""
        self._screen.put(Indented(Plain(text[:_LONGEST]), f"{_INDENT}│ ", f"{_INDENT}│ "))


def _line(text: str) -> str:
    return words.line(text, 200)


def _host(url: str) -> str:
    """The host of `url` as the network knows it: letters that look like others are shown by their codes."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # UnicodeError among them
        return ""
    # A browser takes a backslash for a slash: what follows it would not be the host.
    is_plain = parts.username is None and not re.search(r"[\\\s]", url)
    return f"{f'[{host}]' if ':' in host else host}{port}" if host and is_plain else ""
