"""Definitions as a view: made of `profiles/` when somebody first asks, kept in memory, and searched one by one."""

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from zoneinfo import ZoneInfo

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.dates import date_range
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_types import JsonObject


class DefinitionsInMemory:
    """RecordView of the types that describe the server; they are made anew whenever `edition` gives another object."""

    def __init__(
        self,
        definitions: Callable[[], Iterable[JsonObject]],
        extractor: Extractor,
        *,
        edition: Callable[[], object] = lambda: None,
    ) -> None:
        self._definitions = definitions
        self._edition = edition
        self._made_of: object = None
        self._extractor = extractor
        self._records: dict[Key, Record] = {}
        self._index = MemoryIndex()
        self._lock = threading.Lock()

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        await self._made()
        return [self._records.get(key) for key in keys]

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        await self._made()
        return await self._index.search(query, page=page)

    async def _made(self) -> None:
        if not self._records or self._made_of is not self._edition():
            await asyncio.to_thread(self._make)

    def _make(self) -> None:
        with self._lock:
            edition = self._edition()
            if self._records and self._made_of is edition:
                return
            records: dict[Key, Record] = {}
            index = MemoryIndex()
            for resource in self._definitions():
                record = _record(resource)
                records[record.key] = record
                entries = self._extractor.entries(resource, key=record.key, last_updated_ms=record.changed_at)
                index.put(entries, record.facts)
            self._records, self._index, self._made_of = records, index, edition


def _record(resource: JsonObject) -> Record:
    """Its version tells the content, so that an ETag of one release is none of the next; its time is its `date`."""
    key = Key(str(resource["resourceType"]), str(resource["id"]))
    body = prepare(resource)
    stretch = date_range(str(resource.get("date")), zone=ZoneInfo("UTC"))
    changed_at = 0 if stretch is None else stretch[0]
    version = zlib.crc32(body.rest)
    return Record(key, version, 0, changed_at, "create", body.render(key.id, version, changed_at), Facts())
