"""Bytes on their way out of the object store: an open file, read in runs by threads that own its descriptor."""

import os
import threading
from pathlib import Path

from fhirmedia.core.errors import Category, Failure

CHECKED_BYTES = 2**20
"""Each run of this many bytes has a CRC-32 of its own."""

_AT_ONCE = 2
"""Runs read by one call: a range of a run's length that begins anywhere needs one call and no more."""


class Retrieving:
    """The bytes `[start, stop)` of a file (`stop` None: to its end), cut where runs begin.

    Calls may come from several threads, one after another; `close` may come while another is under way, and waits for
    it: nothing is ever read from a descriptor that was let go of.
    """

    def __init__(self, path: Path, start: int, stop: int | None) -> None:
        self._path = path
        self._at = start
        self._stop = stop
        self._descriptor: int | None = None
        self._ended = False
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        """Whether the file was let go of."""
        return self._ended

    def following(self) -> list[bytes]:
        """The next runs, none at the end; raises Failure CORRUPT if the file is absent, short or cannot be read."""
        with self._lock:
            if self._ended:
                return []
            try:
                if self._descriptor is None:
                    self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                return self._runs(self._descriptor)
            except FileNotFoundError:
                raise Failure(Category.CORRUPT, "The content is not in the store.") from None
            except OSError:
                raise Failure(Category.CORRUPT, "The content in the store cannot be read.") from None

    def close(self) -> None:
        """Let go of the file; nothing follows."""
        with self._lock:
            self._end()

    def _runs(self, descriptor: int) -> list[bytes]:
        stop = os.fstat(descriptor).st_size if self._stop is None else self._stop
        runs: list[bytes] = []
        while self._at < stop and len(runs) < _AT_ONCE:
            wanted = min(CHECKED_BYTES - self._at % CHECKED_BYTES, stop - self._at)
            run = os.pread(descriptor, wanted, self._at)
            if len(run) != wanted:
                raise Failure(Category.CORRUPT, "The content in the store is shorter than it was.")
            runs.append(run)
            self._at += wanted
        if self._at >= stop:
            self._end()
        return runs

    def _end(self) -> None:
        self._ended = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
