"""ObjectStore in a folder: a temporary file is synced, then renamed to its Digest, then its folder is synced."""

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from fhirmedia.backends.receiving import Receiving
from fhirmedia.backends.retrieving import CHECKED_BYTES, Retrieving
from fhirmedia.backends.room import has_room
from fhirmedia.core.digests import Digest, sha256_hex
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.records import Blob

T = TypeVar("T")

_MOST_PIECES = 64
"""So many small pieces are joined: each takes more memory than it holds."""


class FileObjectStore:
    """Bytes under `folder/objects/ab/cd/<sha256>`, received under `folder/tmp` on the same file system.

    `on_broken` is called when a sync failed: what the kernel then holds of the file cannot be trusted.
    """

    def __init__(self, folder: Path, *, on_broken: Callable[[], None]) -> None:
        self._objects = folder / "objects"
        self._incoming = folder / "tmp"
        self._on_broken = on_broken
        self._known_folders: set[Path] = set()
        for path in (self._objects, self._incoming):
            path.mkdir(mode=0o700, exist_ok=True)
        if self._objects.stat().st_dev != self._incoming.stat().st_dev:
            raise Failure(Category.UNAVAILABLE, "objects/ and tmp/ of the data folder must be on one file system.")
        sync_folder(folder)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="objects")

    async def put(self, chunks: AsyncIterator[bytes]) -> Blob:
        receiving = Receiving(self._incoming / uuid4().hex)
        pending: asyncio.Future[None] | None = None
        try:
            async for run in _in_runs(chunks):
                if pending is not None:
                    await pending
                if not has_room(self._incoming, sum(map(len, run))):
                    raise _full()
                pending = asyncio.ensure_future(self._in_thread(partial(receiving.write, run)))
            if pending is not None:
                await pending
            return await self._in_thread(partial(self._keep, receiving), syncs=True)
        except BaseException:
            if pending is not None and not pending.cancel() and not pending.cancelled():
                pending.exception()
            # A thread may be writing still; whoever asked need not wait for it.
            self._threads.submit(receiving.abandon)
            raise

    async def read(self, digest: Digest, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        retrieving = Retrieving(self._path(digest), start, stop)
        loop = asyncio.get_running_loop()
        try:
            while runs := await loop.run_in_executor(self._threads, retrieving.following):
                for run in runs:
                    yield run
        finally:
            if not retrieving.ended:
                # A thread may be reading still; whoever asked need not wait for it.
                self._threads.submit(retrieving.close)

    async def size(self, digest: Digest) -> int | None:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    async def delete(self, digest: Digest) -> None:
        self._path(digest).unlink(missing_ok=True)

    async def digests(self) -> AsyncIterator[Digest]:
        for path in self._objects.glob("??/??/" + "?" * 64):
            yield Digest("sha256:" + path.name)

    async def close(self) -> None:
        """Let the threads finish."""
        self._threads.shutdown(wait=True)

    def shelves(self) -> Sequence[str]:
        return sorted(path.name for path in self._objects.iterdir())

    def on_shelf(self, shelf: str) -> Sequence[Digest]:
        return [Digest("sha256:" + path.name) for path in (self._objects / shelf).glob("??/" + "?" * 64)]

    def remove_older(self, digest: Digest, *, before: int) -> bool:
        path = self._path(digest)
        try:
            with _held(path.parent, fcntl.LOCK_EX):
                if _touched_at(path) >= before:
                    return False
                path.unlink()
        except FileNotFoundError:
            pass
        return True

    def abandon_incoming(self, *, before: int) -> int:
        removed = 0
        for path in self._incoming.iterdir():
            if _touched_at(path) < before:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _path(self, digest: Digest) -> Path:
        return self._objects / object_place(digest)

    def _keep(self, receiving: Receiving) -> Blob:
        blob = receiving.finish()
        target = self._path(blob.digest)
        if target.parent not in self._known_folders:
            # Another process may have made the folder and not yet synced it: each process syncs each name once.
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(target.parent.parent)
            sync_folder(self._objects)
            self._known_folders.add(target.parent)
        # The same bytes are replaced, too: a new name makes them young, so that nobody takes them for leftovers before
        # their record is written; the lock keeps away whoever has just found the old ones.
        with _held(target.parent, fcntl.LOCK_SH):
            os.rename(receiving.path, target)
        sync_folder(target.parent)
        return blob

    async def _in_thread(self, act: Callable[[], T], *, syncs: bool = False) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise _full() from None
            if error.errno == errno.EIO and syncs:
                self._on_broken()
            raise Failure(Category.UNAVAILABLE, "The storage cannot take the content at present.") from None


def object_place(digest: Digest) -> Path:
    """Where bytes are below `objects/`."""
    name = sha256_hex(digest)
    return Path(name[:2], name[2:4], name)


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full() -> Failure:
    return Failure(Category.DISK_FULL, "The storage is full; nothing was changed.")


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder, among all processes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _touched_at(path: Path) -> int:
    """When a file was last written or given its name, in milliseconds; the later of both."""
    state = path.stat()
    return max(state.st_mtime_ns, state.st_ctime_ns) // 1_000_000


async def _in_runs(chunks: AsyncIterator[bytes]) -> AsyncIterator[Sequence[memoryview]]:
    """Pieces as they came, as many as a checksum covers; joining them would cost more than the checksum."""
    run: list[memoryview] = []
    size = 0
    async for chunk in chunks:
        piece = memoryview(chunk)
        while size + len(piece) >= CHECKED_BYTES:
            kept = CHECKED_BYTES - size
            yield [*run, piece[:kept]]
            run, size, piece = [], 0, piece[kept:]
        if piece:
            run.append(piece)
            size += len(piece)
        if len(run) >= _MOST_PIECES:
            run = [memoryview(b"".join(run))]
    if run:
        yield run
