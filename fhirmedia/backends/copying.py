"""Copies that are durable and hashed on the way: files, databases others write to, and the bytes of Binaries."""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from fhirmedia.backends.objects_files import object_place, sync_folder
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.digests import Digest, parse_digest, sha256_hex
from fhirmedia.core.errors import Category, Failure

_RUN_BYTES = 2**20
_PAGES_AT_ONCE = 2_048
_OBJECTS_AT_ONCE = 256
_THREADS = 4
_OBJECTS = "SELECT digest, size FROM blob WHERE digest > ? ORDER BY digest LIMIT ?"


class Meter(Protocol):
    """Shows how far something has come."""

    def advance(self, number: int = 1) -> None:
        """So many more are done."""


Stage = Callable[[str, int], AbstractContextManager[Meter]]
"""Makes a Meter for a stage by its title, up to a total."""


@dataclass(slots=True)
class CopiedObjects:
    """How many contents were copied, their size, and which were not because they are lost or wrong."""

    number: int = 0
    size_bytes: int = 0
    damaged: tuple[Digest, ...] = ()


def copy_file(source: Path, target: Path) -> tuple[int, str]:
    """Copy one file durably, for its owner alone; returns its size and SHA-256."""
    sha256, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source.open("rb") as given, os.fdopen(descriptor, "wb") as kept:
        while run := given.read(_RUN_BYTES):
            kept.write(run)
            sha256.update(run)
            size += len(run)
        kept.flush()
        os.fsync(kept.fileno())
    return size, sha256.hexdigest()


def hash_file(path: Path) -> tuple[int, str]:
    """The size and SHA-256 of a file, made durable first."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256")
        return file.tell(), sha256.hexdigest()


def copy_database(source: Path, target: Path, *, stage: Stage) -> None:
    """One moment of a database that others may be writing to, as a single file."""
    target.touch(mode=0o600)
    with closing(open_reader(source)) as given, closing(sqlite3.connect(target, isolation_level=None)) as kept:
        given.execute("BEGIN")
        given.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the moment: however long copying takes
        (pages,) = given.execute("PRAGMA page_count").fetchone()
        with stage(source.name, pages) as meter:
            behind = 0

            def advance(_status: int, remaining: int, total: int) -> None:
                nonlocal behind
                meter.advance(total - remaining - behind)
                behind = total - remaining

            given.backup(kept, pages=_PAGES_AT_ONCE, progress=advance, sleep=0)
        kept.execute("PRAGMA journal_mode=DELETE").fetchone()


def copy_objects(database: Path, source: Path, target: Path, *, link: bool, stage: Stage) -> CopiedObjects:
    """The contents a database describes, from one folder of objects to another, each hashed (linked ones are not).

    With `link` the two folders share the bytes where they are on one file system.
    """
    copied = CopiedObjects()
    copy_one = partial(_copy_object, source, target, link=link)
    folders: set[Path] = set()
    target.mkdir(mode=0o700)
    with closing(open_reader(database)) as connection, ThreadPoolExecutor(_THREADS, "copying") as threads:
        (total,) = connection.execute("SELECT count(*) FROM blob").fetchone()
        with stage("bytes", total) as meter:
            for batch in _batches(connection):
                wanted = {(target / object_place(digest)).parent for digest, _ in batch} - folders
                for folder in wanted:
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folders |= wanted
                for (digest, size), is_whole in zip(batch, threads.map(copy_one, batch), strict=True):
                    if is_whole:
                        copied.number += 1
                        copied.size_bytes += size
                    else:
                        copied.damaged += (digest,)
                    meter.advance()
    for folder in {*folders, *(folder.parent for folder in folders), target}:
        sync_folder(folder)
    return copied


@contextmanager
def fresh_folder(path: Path) -> Iterator[None]:
    """An empty or new folder to fill; if that fails it is as it was before.

    Raises Failure CONFLICT if something is in it, DISK_FULL or UNAVAILABLE if what is written inside cannot be.
    """
    is_new = not path.exists()
    if not is_new and (not path.is_dir() or any(path.iterdir())):
        raise Failure(Category.CONFLICT, f"{path} is not empty; name an empty or new folder.")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        yield
        sync_folder(path)
        sync_folder(path.parent)
    except BaseException as error:
        _empty(path)
        if is_new and path.exists():
            path.rmdir()
        if isinstance(error, OSError):
            raise _failure_of(error, path) from None
        raise


def _copy_object(source: Path, target: Path, row: tuple[Digest, int], *, link: bool) -> bool:
    """Copy one content; False, and nothing is left, where it is not what its name says."""
    digest, size = row
    given, kept = source / object_place(digest), target / object_place(digest)
    try:
        if link and _linked(given, kept):
            return kept.stat().st_size == size
        if copy_file(given, kept) == (size, sha256_hex(digest)):
            return True
    except FileNotFoundError:
        return False
    kept.unlink()
    return False


def _linked(given: Path, kept: Path) -> bool:
    try:
        kept.hardlink_to(given)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            return False
        raise
    return True


def _batches(connection: sqlite3.Connection) -> Iterator[Sequence[tuple[Digest, int]]]:
    last = ""
    while rows := connection.execute(_OBJECTS, (last, _OBJECTS_AT_ONCE)).fetchall():
        last = rows[-1][0]
        yield [(parse_digest(digest), size) for digest, size in rows]


def _empty(path: Path) -> None:
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            Path(folder, name).unlink()
        for name in folders:
            Path(folder, name).rmdir()


def _failure_of(error: OSError, path: Path) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(Category.DISK_FULL, f"There is not enough room for {path}; what was begun is removed.")
    return Failure(Category.UNAVAILABLE, f"{path} cannot be written ({os.strerror(error.errno or 0)}).")
