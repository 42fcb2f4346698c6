"""Content on its way out: a permission to stream one run of bytes, verified before each chunk leaves."""

import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fhirmedia.core.audit_chain import RowName
from fhirmedia.core.disclosure import Outcome
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.records import Content

CHECKED_BYTES = 2**20
"""A CRC-32 covers this many bytes (the last one fewer)."""


LARGE_BYTES = 8 * 2**20
"""Of an answer with more content than this it is told when it has left."""


@dataclass(slots=True)
class ContentTicket:
    """What a Session permits to be streamed; `stream` refuses until the Session has made its disclosure durable."""

    content: Content
    record: Record
    _objects: ObjectStore = field(repr=False)
    _durable: bool = False
    row: RowName | None = None
    """The durable row that says so, which may be an earlier one."""
    _sent: int = 0
    _tell: Callable[[int, Outcome], None] = field(default=lambda _sent, _outcome: None, repr=False)
    _damaged: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def content_type(self) -> str:
        """As declared at upload."""
        return self.content.content_type

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.content.blob.size

    def disclosed(self, row: RowName, *, tell: Callable[[int, Outcome], None]) -> None:
        """Called by the Session once its disclosure is durable, in this row.

        `tell` takes how many bytes were sent and how that ended.
        """
        self._durable = True
        self.row = row
        self._tell = tell

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes `[start, stop)`; raises Failure CORRUPT before a chunk that is not what was stored."""
        if not self._durable:
            raise Failure(Category.INTERNAL, "Content was opened before its disclosure was durable.")
        async for chunk in verified(self._objects, self.content, start=start, stop=stop, damaged=self._damaged):
            yield chunk
            self._sent += len(chunk)

    async def delivery(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The parts of an answer made of what `stream` gives, on their way to the client.

        What was large, or did not leave whole, is told: outcome 0 where all of it was taken, 4 where whoever asked
        went away, 8 where the content was found to be damaged.
        """
        outcome: Outcome = "4"
        try:
            async for part in parts:
                yield part
            outcome = "0"
        except Failure:
            outcome = "8"
            raise
        finally:
            if outcome != "0" or self._sent > LARGE_BYTES:
                self._tell(self._sent, outcome)


async def verified(
    objects: ObjectStore, content: Content, *, start: int, stop: int, damaged: Callable[[], None]
) -> AsyncIterator[bytes]:
    """The bytes `[start, stop)` of a content; raises Failure CORRUPT before a chunk that is not what was stored.

    `damaged` is called before that, so that somebody counts.
    """
    try:
        async for chunk in _compared(objects, content, start=start, stop=stop):
            yield chunk
    except Failure as failure:
        if failure.category is Category.CORRUPT:
            damaged()
        raise


async def _compared(objects: ObjectStore, content: Content, *, start: int, stop: int) -> AsyncIterator[bytes]:
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
