"""What a client was told: one line per acknowledgement, written after the answer arrived."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Written:
    """A version the server said it keeps: its body as answered (None for a deletion), or its content (of a Binary)."""

    key: str
    version: int
    body_sha256: str | None = None
    content_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A version the server showed, in answer to the request of this id."""

    request: str
    key: str
    version: int


Told = Written | Shown


def sha256(content: bytes) -> str:
    """Hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def line_of(told: Told) -> bytes:
    """One line for a ledger."""
    return json.dumps({type(told).__name__: asdict(told)}).encode() + b"\n"


def parse_line(line: bytes) -> Told:
    """The inverse of `line_of`."""
    ((name, members),) = json.loads(line).items()
    return Written(**members) if name == "Written" else Shown(**members)


class Ledger:
    """A file outside the server's folder, synced after each line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.count = 0

    def note(self, told: Told) -> None:
        """Durable on return."""
        os.write(self._descriptor, line_of(told))
        os.fsync(self._descriptor)
        self.count += 1

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def read_ledger(path: Path) -> Iterator[Told]:
    """Everything noted so far."""
    return map(parse_line, path.read_bytes().splitlines())
