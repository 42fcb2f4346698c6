"""Content on its way out: a permission to stream one run of bytes, verified before each chunk leaves."""

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fhirmedia.core.audit_chain import RowName
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.records import Content

CHECKED_BYTES = 2**20
"""A CRC-32 covers this many bytes (the last one fewer)."""


@dataclass(slots=True)
class ContentTicket:
    """What a Session permits to be streamed; `stream` refuses until the Session has made its disclosure durable."""

    content: Content
    record: Record
    _objects: ObjectStore = field(repr=False)
    _durable: bool = False
    row: RowName | None = None
    """The durable row that says so, which may be an earlier one."""

    @property
    def content_type(self) -> str:
        """As declared at upload."""
        return self.content.content_type

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.content.blob.size

    def disclosed(self, row: RowName | None) -> None:
        """Called by the Session once its disclosure is durable, in a row of the log of changes (None) or this one."""
        self._durable = True
        self.row = row

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes `[start, stop)`; raises Failure CORRUPT before a chunk that is not what was stored."""
        if not self._durable:
            raise Failure(Category.INTERNAL, "Content was opened before its disclosure was durable.")
        async for chunk in verified(self._objects, self.content, start=start, stop=stop):
            yield chunk


async def verified(objects: ObjectStore, content: Content, *, start: int, stop: int) -> AsyncIterator[bytes]:
    """The bytes `[start, stop)` of a content; raises Failure CORRUPT before a chunk that is not what was stored."""
    first = start // CHECKED_BYTES
    aligned = first * CHECKED_BYTES
    end = min(-(-stop // CHECKED_BYTES) * CHECKED_BYTES, content.blob.size)
    crcs = content.blob.crcs
    at = aligned
    async for chunk in objects.read(content.blob.digest, start=aligned, stop=end):
        if zlib.crc32(chunk) != crcs[at // CHECKED_BYTES]:
            raise Failure(Category.CORRUPT, "The stored content is damaged and was not sent.")
        yield chunk[max(0, start - at) : stop - at]
        at += len(chunk)
