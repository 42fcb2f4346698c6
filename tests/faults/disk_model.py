"""What a disk may hold after power was lost: a trace of changes replayed, and folders made of what could survive.

Names survive when their folder was synced, bytes when their file was. Everything since may be there or not, in any
combination, in pieces of a sector; that is what POSIX promises and no more.
"""

import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SECTOR = 512
HEAD = struct.Struct("=cc6xqqqq")
"""Operation, created, handle, offset, bytes of the first payload, bytes of the second; as in shim.c."""

Loss = Literal["everything", "data", "random"]
"""What is lost of what was not synced: names and data; data alone, names being kept; some of both."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change, as it ended: open, write, sync, truncate, rename, link, unlink, mkdir."""

    operation: str
    created: bool
    handle: int
    offset: int
    first: bytes
    second: bytes


@dataclass(slots=True, eq=False)
class File:
    """Bytes as the kernel shows them, as the disk surely holds them, and the changes between."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes by offset; None truncates to the offset."""


@dataclass(slots=True, eq=False)
class Directory:
    """Names as the kernel shows them, as the disk surely holds them, and the changes between."""

    names: "dict[str, Node]" = field(default_factory=dict)
    durable: "dict[str, Node]" = field(default_factory=dict)
    pending: "list[tuple[str, Node | None]]" = field(default_factory=list)

    def set(self, name: str, node: "Node | None") -> None:
        """Give a name to a node, or (None) take it away."""
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node
        self.pending.append((name, node))


Node = File | Directory


def read_trace(path: Path) -> Iterator[Step]:
    """The steps of a trace file, in order."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        operation, created, handle, offset, first, second = HEAD.unpack_from(content, at)
        at += HEAD.size
        parts = content[at : at + first], content[at + first : at + first + second]
        at += first + second
        yield Step(operation.decode(), created != b"\0", handle, offset, *parts)


class Disk:
    """The folder under `root`, empty and synced at first; `apply` the steps one after another."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = Directory()
        self._open: dict[int, Node] = {}

    def apply(self, step: Step) -> None:
        """Let one change happen."""
        match step.operation:
            case "O":
                folder, name = self._place(step.first)
                if name and name not in folder.names:
                    assert step.created, "a file was opened that the trace does not know"
                    folder.set(name, File())
                self._open[step.handle] = folder.names[name] if name else self._top
            case "W":
                self._write(self._file(step.handle), step.offset, step.first)
            case "T":
                file = self._file(step.handle)
                _truncate(file.content, step.offset)
                file.pending.append((step.offset, None))
            case "S":
                self._sync(self._open[step.handle])
            case "M":
                folder, name = self._place(step.first)
                folder.set(name, Directory())
            case "U":
                folder, name = self._place(step.first)
                folder.set(name, None)
            case "R" | "L":
                folder, name = self._place(step.first)
                target, new_name = self._place(step.second)
                target.set(new_name, folder.names[name])
                if step.operation == "R":
                    folder.set(name, None)
            case unknown:
                raise AssertionError(unknown)

    def content_of(self, relative: str) -> bytes:
        """A file as the kernel shows it."""
        folder, name = self._place(f"{self._root}/{relative}".encode())
        node = folder.names[name]
        assert isinstance(node, File)
        return bytes(node.content)

    def files(self) -> dict[str, bytes]:
        """Every file as the kernel shows it, by its path under the root."""
        return dict(_walk("", self._top))

    def survivors(self, loss: Loss, chance: random.Random) -> dict[str, bytes | None]:
        """One state the disk may be in after power was lost: path to content, None for a folder."""
        found: dict[str, bytes | None] = {}
        waiting = [("", self._top)]
        while waiting:
            path, folder = waiting.pop()
            for name, node in _surviving_names(folder, loss, chance).items():
                inner = f"{path}/{name}" if path else name
                if isinstance(node, Directory):
                    found[inner] = None
                    waiting.append((inner, node))
                elif loss == "random":
                    found[inner] = _some_of(node, chance)
                else:
                    found[inner] = node.durable
        return found

    def _place(self, path: bytes) -> tuple[Directory, str]:
        """The folder a path is in, and its name there; the root itself has no name."""
        *above, name = path.decode().removeprefix(self._root).strip("/").split("/")
        folder = self._top
        for part in above:
            inner = folder.names[part]
            assert isinstance(inner, Directory)
            folder = inner
        return folder, name

    def _file(self, handle: int) -> File:
        node = self._open[handle]
        assert isinstance(node, File)
        return node

    def _write(self, file: File, offset: int, data: bytes) -> None:
        _overwrite(file.content, offset, data)
        file.pending.append((offset, data))

    def _sync(self, node: Node) -> None:
        if isinstance(node, Directory):
            node.durable = dict(node.names)
        else:
            node.durable = bytes(node.content)
        node.pending.clear()


def materialise(state: dict[str, bytes | None], folder: Path) -> None:
    """Make a state real in an absent folder."""
    folder.mkdir()
    for path, content in sorted(state.items()):
        if content is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).touch(mode=0o600)
            (folder / path).write_bytes(content)


def fingerprint(state: dict[str, bytes | None]) -> bytes:
    """Equal for equal states."""
    hashed = hashlib.sha256()
    for path, content in sorted(state.items()):
        hashed.update(repr((path, None if content is None else hashlib.sha256(content).digest())).encode())
    return hashed.digest()


def _surviving_names(folder: Directory, loss: Loss, chance: random.Random) -> dict[str, Node]:
    names = dict(folder.durable)
    for name, node in folder.pending:
        if loss == "everything" or (loss == "random" and chance.random() < 0.5):
            continue
        if node is not None:
            names[name] = node
        else:
            names.pop(name, None)
    return names


def _some_of(file: File, chance: random.Random) -> bytes:
    """The durable bytes and some of the changes since, whole or in part."""
    content = bytearray(file.durable)
    kept = chance.choice((0.1, 0.5, 0.9))
    for offset, data in file.pending:
        if chance.random() > kept:
            continue
        if data is None:
            _truncate(content, offset)
        elif chance.random() < 0.2:
            sectors = range(0, len(data), SECTOR)
            for at in sectors:
                if chance.random() < 0.5:
                    _overwrite(content, offset + at, data[at : at + SECTOR])
        else:
            _overwrite(content, offset, data)
    return bytes(content)


def _overwrite(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _truncate(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _walk(path: str, folder: Directory) -> Iterator[tuple[str, bytes]]:
    for name, node in folder.names.items():
        inner = f"{path}/{name}" if path else name
        if isinstance(node, Directory):
            yield from _walk(inner, node)
        else:
            yield inner, bytes(node.content)
