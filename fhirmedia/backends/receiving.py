"""Bytes on their way into the object store: a temporary file, and every checksum the archive keeps of it."""

import hashlib
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

from fhirmedia.core.digests import Digest
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.records import Blob


class Receiving:
    """A temporary file at `path`, made by the first call that needs it.

    Calls may come from several threads, one after another; `abandon` may come while another is under way, and waits
    for it: nothing is ever written to a descriptor that was let go of.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._crcs: list[int] = []
        self._size = 0

    def write(self, run: Sequence[memoryview]) -> None:
        """Append one run, in pieces; every run but the last is as long as a CRC-32 covers. Raises OSError."""
        with self._lock:
            descriptor, crc = self._open(), 0
            for piece in run:
                self._sha256.update(piece)
                self._sha1.update(piece)
                crc = zlib.crc32(piece, crc)
                self._size += len(piece)
                left = piece
                while left:
                    left = left[os.write(descriptor, left) :]
            self._crcs.append(crc)

    def finish(self) -> Blob:
        """Sync and close the file, and describe it. Raises OSError."""
        with self._lock:
            os.fsync(self._open())
            self._close()
        digest = Digest("sha256:" + self._sha256.hexdigest())
        return Blob(digest, self._size, self._sha1.digest(), tuple(self._crcs))

    def abandon(self) -> None:
        """Close the file and remove it; what is asked of it later is refused."""
        with self._lock:
            self._ended = True
            self._close()
            self.path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._ended:
            raise Failure(Category.UNAVAILABLE, "The upload was given up.")
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
