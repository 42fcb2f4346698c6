"""Signed statements of where each audit log ended, one JSON line each, in one file for all processes of a folder."""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhirmedia.core.audit_chain import Head
from fhirmedia.core.clock import Clock

Sign = Callable[[bytes], str]
"""Makes a signature of a statement, as text without quotation marks or backslashes."""

FIRST = "0" * 64
"""What the first line names as the line before it."""

_LONGEST_LINE = 65_536
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """At `time` (milliseconds UTC) a log ended with this head; `previous` is the SHA-256 of the line before."""

    head: Head
    time: int
    previous: str

    def statement(self) -> bytes:
        """What is signed."""
        stated = {
            "log_id": self.head.log_id,
            "sequence": self.head.sequence,
            "head": self.head.hash.hex(),
            "time": self.time,
            "previous": self.previous,
        }
        return _encode(stated)

    def line(self, signature: str) -> bytes:
        """The statement with its signature as the last member."""
        return self.statement()[:-1] + b',"signature":' + _encode(signature) + b"}"


def parse_checkpoint(line: bytes) -> tuple[Checkpoint, str]:
    """A line as its Checkpoint and signature; raises ValueError unless it is, to the byte, one that we write."""
    try:
        stated = json.loads(line)
        signature = stated["signature"]
        head = Head(stated["log_id"], stated["sequence"], bytes.fromhex(stated["head"]))
        checkpoint = Checkpoint(head, stated["time"], stated["previous"])
        if checkpoint.line(signature) == line:
            return checkpoint, signature
    except (KeyError, TypeError, AttributeError):
        pass
    raise ValueError("not a checkpoint")


class Checkpoints:
    """The Witness of every log of a folder: appends, syncs, and ties each line to the one before it.

    `on_broken` is called when a sync failed otherwise than for want of room: the process must then end, since the next
    sync may report success for a line that is gone.
    """

    def __init__(self, path: Path, *, sign: Sign, clock: Clock, on_broken: Callable[[], None]) -> None:
        self._path = path
        self._sign = sign
        self._clock = clock
        self._on_broken = on_broken

    def attest(self, head: Head) -> None:
        with self._held() as descriptor:
            previous = _last_line(descriptor)
            checkpoint = Checkpoint(head, self._clock(), FIRST if previous is None else line_sha256(previous))
            line = checkpoint.line(self._sign(checkpoint.statement())) + b"\n"
            if os.write(descriptor, line) != len(line):
                raise OSError("a checkpoint was cut short")
            self._sync(descriptor)

    @contextmanager
    def _held(self) -> Iterator[int]:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_new:
                self._sync_folder(self._path.parent)
            yield descriptor
        finally:
            os.close(descriptor)

    def _sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _sync(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                self._on_broken()
            raise


def read_checkpoints(path: Path) -> list[bytes]:
    """The lines of the file, without what a crash may have left of one at its end."""
    try:
        return _whole(path.read_bytes()).split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def line_sha256(line: bytes) -> str:
    """How the next line names this one."""
    return hashlib.sha256(line).hexdigest()


def _last_line(descriptor: int) -> bytes | None:
    """The last whole line; what a crash left of another after it is cut off."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    whole = _whole(tail)
    if whole != tail:
        os.ftruncate(descriptor, size - len(tail) + len(whole))
    return whole[:-1].rpartition(b"\n")[2] if whole else None


def _whole(content: bytes) -> bytes:
    """Without a line at the end that was never synced: it has no end, or there are zeros where a disk kept its end and
    lost what stands before.
    """
    lines, newline, _ = content.rpartition(b"\n")
    before, earlier, last = lines.rpartition(b"\n")
    return before + earlier if b"\0" in last else lines + newline


def _encode(stated: Any) -> bytes:
    return json.dumps(stated, separators=(",", ":")).encode("ascii")
