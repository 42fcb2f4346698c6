"""Where immutable bytes live, by their Digest."""

from collections.abc import AsyncIterator
from typing import Protocol

from fhirmedia.core.digests import Digest
from fhirmedia.ports.records import Blob


class ObjectStore(Protocol):
    """Bytes by Digest. Writing what is present and deleting what is absent succeed."""

    async def put(self, chunks: AsyncIterator[bytes]) -> Blob:
        """Store a stream durably (bytes, name and directory synced) and describe it; nothing is kept on failure.

        Raises Failure DISK_FULL, UNAVAILABLE; an exception of `chunks` passes through.
        """

    def read(self, digest: Digest, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, stop)` in chunks; raises Failure CORRUPT if they are absent or short."""

    async def size(self, digest: Digest) -> int | None:
        """Size in bytes, or None where absent."""

    async def delete(self, digest: Digest) -> None:
        """Remove the bytes."""

    def digests(self) -> AsyncIterator[Digest]:
        """Every Digest held, in no particular order."""
