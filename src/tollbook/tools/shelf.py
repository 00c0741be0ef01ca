"""Whole results, kept for whoever asked: as resources in pages, for as long as they are likely to be read."""

import gzip
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import ResourceLink

from tollbook.core.caller import current_caller
from tollbook.core.errors import StoreDown, UsageError
from tollbook.core.stores import Blobs, Clock, Record, Store
from tollbook.core.text import json_safe
from tollbook.spend.render.machine import csv_of
from tollbook.spend.sight import Sight
from tollbook.tools.document import Document
from tollbook.tools.settings import Settings

FORMATS: Final = {"json": "application/json", "csv": "text/csv"}
FIRST_PAGE: Final = "tollbook://reports/{id}.{format}"
FURTHER_PAGE: Final = "tollbook://reports/{id}/{page}.{format}"

LARGEST_PAGE: Final = 340_000
"""Bytes of a page as JSON. Compressed, it fits into a record of any store; as CSV, where odd characters take
eight letters instead of six, it still has less than 512 KB."""

_log: Final = logging.getLogger(__name__)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_PAGE: Final = re.compile(r"[1-9][0-9]{0,3}")


class PageText(str):
    """A page as it is read. `meta` says which it is, and where the next one is."""

    media_type: str
    meta: dict[str, Any]


class Kept(msgspec.Struct, frozen=True):
    """A result that was kept."""

    id: str
    pages: int
    expires: float

    def document(self) -> dict[str, Any]:
        """As the structured content has it."""
        return {
            "json_uri": _uri(self.id, "json"),
            "csv_uri": _uri(self.id, "csv"),
            "pages": self.pages,
            "expires": datetime.fromtimestamp(int(self.expires), UTC).isoformat(),
        }

    def links(self) -> Iterator[ResourceLink]:
        """The first page in each format."""
        for form, media_type in FORMATS.items():
            yield ResourceLink(
                name=f"report.{form}",
                title=f"The whole result as {form.upper()}",
                uri=_uri(self.id, form),
                description=self._description(form),
                mime_type=media_type,
            )

    def _description(self, form: str) -> str:
        if self.pages == 1:
            return "Every group, on one page."
        last = _uri(self.id, form, self.pages)
        return f"Every group, on {self.pages} pages: this one, {_uri(self.id, form, 2)} and so on, up to {last}."


def unreachable(fault: StoreDown) -> str:
    """What a client is told of a store that is down. Its own words, which name tables and paths, go to the log."""
    _log.warning("whole results cannot be reached", extra={"reason": str(fault)})
    return "whole results cannot be reached just now; ask again later"


class Shelf:
    """Results by owner and by what he saw. Whoever is another, or sees otherwise now, is told that there are none."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        blobs: Blobs | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(24),  # 192 random bits
    ) -> None:
        """
        Args:
            store: counts them.
            blobs: takes their pages; by default the store does.
        """
        self._store, self._settings, self._clock, self._new_id = store, settings, clock, new_id
        self._blobs = store if blobs is None else blobs

    async def keep(self, whole: Document, sight: Sight) -> Kept:
        """Keeps `whole`, which is what the current caller sees with `sight`.

        Raises:
            StoreDown: the store cannot be reached, or is too slow.
            UsageError: there is too much of it, or of his.
        """
        if await self._store.count(_index()) >= self._settings.most_kept:
            raise UsageError("you have as many whole results kept as you may; the oldest go after a time")
        id_, expires = self._new_id(), self._clock() + self._settings.kept_s
        values = await anyio.to_thread.run_sync(_pages, whole, id_, self._settings.most_pages)
        try:
            with anyio.fail_after(self._settings.keeping_s):
                for page, value in enumerate(values, 1):
                    await self._blobs.put(Record(_partition(sight), _key(id_, page), value, expires))
                await self._store.put(Record(_index(), id_, b"", expires))
        except TimeoutError as fault:
            limit_s = self._settings.keeping_s
            raise StoreDown(
                f"{len(values)} pages were not kept within {limit_s:g} s. Look why that is slow."
            ) from fault
        return Kept(id_, len(values), expires)

    async def read(self, id_: str, page: str, form: str) -> PageText:
        """A page of a result that belongs to the current caller, and that he would still be given.

        Raises:
            ResourceNotFoundError: he has no such page.
            ResourceError: the store cannot be reached.
        """
        record, sight = None, self._settings.sight.sight_of(current_caller())
        if _ID.fullmatch(id_) and _PAGE.fullmatch(page) and form in FORMATS:
            try:
                record = await self._blobs.get(_partition(sight), _key(id_, page))
            except StoreDown as fault:
                raise ResourceError(unreachable(fault)) from fault
        if record is None:
            raise ResourceNotFoundError(
                "There is no such page of a report. Results are kept for a time only: ask the question again."
            )
        text = gzip.decompress(record.value).decode()
        found = msgspec.json.decode(text)
        content = PageText(text if form == "json" else csv_of(found["group_by"], found["groups"]))
        content.media_type = FORMATS[form]
        content.meta = {"page": found["page"], "pages": found["pages"]}
        if found["next"]:
            content.meta["next"] = _uri(id_, form, found["page"] + 1)
        return content


def add_shelf(server: MCPServer[Any], shelf: Shelf) -> None:
    """Offers the pages on the shelf as resources."""

    @server.resource(
        FIRST_PAGE,
        name="report",
        title="Whole result of a report",
        description="Every group of a report that was asked for with get_bedrock_usage_report, whose answer links to "
        "it. The format is json or csv. JSON names the next page in `next`.",
        mime_type=FORMATS["json"],
    )
    async def first_page(id: str, format: str) -> PageText:  # noqa: A002 - named as in the URI
        return await shelf.read(id, "1", format)

    @server.resource(
        FURTHER_PAGE,
        name="report-page",
        title="Further page of a report",
        description="The second page of a report's whole result, or one after it. The format is json or csv.",
        mime_type=FORMATS["json"],
    )
    async def further_page(id: str, page: str, format: str) -> PageText:  # noqa: A002
        return await shelf.read(id, page, format)


def _pages(whole: Document, id_: str, most: int) -> list[bytes]:
    """The pages of `whole`, compressed.

    Raises:
        UsageError: there are more than `most`.
    """
    slices = list(_slices(whole))
    if len(slices) > most:
        raise UsageError(f"{len(whole['groups']):,} groups are too many. Group by less, or filter.")
    pages = []
    for page, groups in enumerate(slices, 1):
        following = _uri(id_, "json", page + 1) if page < len(slices) else None
        document = {**whole, "groups": groups, "page": page, "pages": len(slices), "next": following}
        pages.append(gzip.compress(_written(document), mtime=0))
    return pages


def _slices(whole: Document) -> Iterator[list[Any]]:
    """The groups, cut so that each slice makes a page of at most `LARGEST_PAGE` bytes; at least one slice."""
    frame = len(_written({**whole, "groups": []})) + 200  # for what tells the page
    some: list[Any] = []
    size = frame
    for group in whole["groups"]:
        length = len(_written(group)) + 1
        if some and size + length > LARGEST_PAGE:
            yield some
            some, size = [], frame
        some.append(group)
        size += length
    yield some


def _written(value: Any) -> bytes:
    return json_safe(msgspec.json.encode(value).decode()).encode()


def _partition(sight: Sight) -> str:
    """Where the results lie that the current caller got with `sight`: with another he does not find them."""
    seen = hashlib.sha256(msgspec.json.encode(sight)).hexdigest()[:32]
    return f"reports/{current_caller().owner}/{seen}"


def _key(id_: str, page: int | str) -> str:
    return f"{id_}.{page}"


def _index() -> str:
    """Where the results of a caller are counted: empty records, since a store reads what it counts."""
    return f"kept/{current_caller().owner}"


def _uri(id_: str, form: str, page: int = 1) -> str:
    place = f"{id_}/{page}" if page > 1 else id_
    return f"tollbook://reports/{place}.{form}"
