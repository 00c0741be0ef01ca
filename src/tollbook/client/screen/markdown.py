"""Markdown, where a text is Markdown: drawn without hiding anything that its writer wrote.

An own, small drawer, since rich's leaves out the addresses of images and everything in angle brackets, and paints
white on black.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from tollbook.client.screen import words
from tollbook.client.screen.grid import Grid, column, split
from tollbook.client.screen.prose import Indented, Plain, flowing, indented
from tollbook.core.text import printable

_LONGEST: Final = 60_000
"""Characters beyond which Markdown is shown as it was written: nobody looks at the bold words of a book."""
_LONGEST_RULE: Final = 40

# Each of these alone makes a text Markdown …
_FENCE: Final = re.compile(r"^ {0,3}(```|~~~)[^`]*?^ {0,3}\1", re.MULTILINE | re.DOTALL)
_DELIMITERS: Final = frozenset(" |:-")
_HEADING: Final = re.compile(r"(?:\A|\n\n|\A\n)#{1,6} [^\n]+(?:\n\n|\n?\Z)|^#{2,6} \S[^\n]*$", re.MULTILINE)
# … and of these, two.
_SIGNS: Final = (
    re.compile(r"^ *[-*+] \S", re.MULTILINE),
    re.compile(r"^ *\d{1,3}[.)] \S", re.MULTILINE),
    re.compile(r"(?<![\w*])\*\*[^\s*][^*\n]*\*\*(?![\w*])"),
    re.compile(r"(?<![\w`])`[^`\n]+`(?![\w`])"),
    re.compile(r"!?\[[^\[\]\n]{1,200}\]\([^()\s]{1,500}\)"),
    re.compile(r"^> \S", re.MULTILINE),
)
_FENCED: Final = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)


def is_markdown(text: str) -> bool:
    """Whether `text` was surely meant as Markdown. A report in aligned columns is none, whatever else it has."""
    text = text.replace("\r\n", "\n")
    if len(text) > _LONGEST or any(map(_is_aligned, _FENCED.sub("", text).split("\n"))):
        return False
    if _FENCE.search(text) or _HEADING.search(text) or _has_table(text.split("\n")):
        return True
    return sum(sign.search(text) is not None for sign in _SIGNS) >= 2


def _is_aligned(line: str) -> bool:
    line = line.strip()
    return "   " in line and not line.startswith("|")


def _has_table(lines: Sequence[str]) -> bool:
    return any("|" in above and {"|", "-"} <= set(line) <= _DELIMITERS for above, line in pairwise(lines))


def described(text: str) -> RenderableType:
    """A description, as Markdown if it is that."""
    return Markdown(text) if is_markdown(text) else Plain(flowing(text))


class Markdown:
    """A text of Markdown; as it was written, where it is long or the output is no terminal."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines, cut = words.lines(self._text)
        if cut or len(self._text) > _LONGEST or not options.is_terminal:
            yield Plain(self._text)
        else:
            tree = SyntaxTreeNode(_parser().parse("\n".join(lines)))
            yield from _Drawer(lines).blocks(tree, options.max_width)


def _parser() -> MarkdownIt:
    """CommonMark with tables, in which what would not be shown, or would become other characters, stays as it is."""
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 12}).enable(["table", "strikethrough"])
    return parser.disable(["entity", "reference"])


class _Drawer:
    def __init__(self, source: Sequence[str]) -> None:
        self._source = source

    def blocks(self, parent: SyntaxTreeNode, width: int, between: bool = True) -> Iterator[RenderableType]:
        for place, node in enumerate(parent.children):
            if place and between:
                yield Text()
            yield from self._block(node, width)

    def _block(self, node: SyntaxTreeNode, width: int) -> Iterator[RenderableType]:
        kind = node.type
        if kind in {"bullet_list", "ordered_list"}:
            yield from self._items(node, width)
        elif kind == "blockquote":
            yield Indented(Group(*self.blocks(node, width - 2)), "│ ", "│ ")
        elif kind == "table":
            yield from self._table(node, width)
        elif kind in {"fence", "code_block"}:
            info = [Text(printable(node.info.strip()), style="dim")] if node.info.strip() else []
            yield indented(Group(*info, Plain(node.content, "cyan")))
        elif kind == "hr":
            yield Text("─" * min(_LONGEST_RULE, width), style="dim")
        elif kind == "heading":
            yield _inline(node, "bold underline" if node.tag == "h1" else "bold")
        elif kind == "paragraph":
            yield _inline(node)
        else:
            yield self._as_written(node)

    def _items(self, node: SyntaxTreeNode, width: int) -> Iterator[RenderableType]:
        first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
        loose = any(child.type == "paragraph" and not child.hidden for item in node.children for child in item.children)
        for place, item in enumerate(node.children):
            mark = f"{first + place}. " if node.type == "ordered_list" else "• "
            if place and loose:
                yield Text()
            yield Indented(Group(*self.blocks(item, width - len(mark), loose)), mark, " " * len(mark))

    def _table(self, node: SyntaxTreeNode, width: int) -> Iterator[RenderableType]:
        head, *rows = [
            [_inline(cell).plain for cell in row.children] for part in node.children for row in part.children
        ]
        columns = [column(name, cells) for name, *cells in zip(head, *rows, strict=True)]
        # GFM leaves out what a row has beyond the head. An escaped bar counts too: such a table is shown as written.
        is_whole = all(line.strip().strip("|").count("|") < len(head) for line in self._lines(node))
        if is_whole and (parts := split(columns, width)):
            for place, part in enumerate(parts):
                if place:
                    yield Text()
                yield Grid(part)
        else:
            yield self._as_written(node)

    def _as_written(self, node: SyntaxTreeNode) -> RenderableType:
        return Plain("\n".join(self._lines(node)))

    def _lines(self, node: SyntaxTreeNode) -> Sequence[str]:
        start, end = node.map or (0, 0)
        return self._source[start:end]


_STYLES: Final[Mapping[str, str]] = {"em": "italic", "strong": "bold", "s": "strike"}


def _inline(node: SyntaxTreeNode, style: str = "") -> Text:
    text = Text(style=style, overflow="fold")
    for child in node.children:
        text.append_text(_span(child))
    return text


def _span(node: SyntaxTreeNode) -> Text:
    kind = node.type
    if kind in {"softbreak", "hardbreak"}:  # lines stay lines: what was no Markdown after all is not run together
        return Text("\n")
    if kind == "code_inline":
        return Text(printable(node.content), style="cyan")
    if kind == "image":
        alternative = printable(node.content) or "image"
        return Text.assemble(f"[image: {alternative}]", (_address(node, "src"), "dim"))
    if kind == "link":
        if node.info == "auto":
            return Text(printable(str(node.attrs["href"])), style="cyan")
        return _inline(node).append(_address(node, "href"), style="dim")
    if node.children:
        return _inline(node, _STYLES.get(kind, ""))
    return Text(printable(node.content))


def _address(node: SyntaxTreeNode, name: str) -> str:
    """Where a link or an image leads, which is always shown, and its title."""
    title = node.attrs.get("title")
    return printable(f" ({node.attrs[name]}" + (f' "{title}")' if title else ")"))
