"""The sandbox: content of unknown making is decoded in processes of their own, few, bounded and expendable.

A process may use so much memory and processor time, can open no file and no connection, and is killed when it takes
too long. Whatever becomes of it, the server loses one drawing.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhirmedia.core.errors import Category, Failure
from fhirmedia.media.renditions import DRAWN, DRAWN_TYPES, READY, TOO_LARGE, UNREADABLE, Picture

PROCESSES = 2
"""At most so many of one server process; each is started when it is first needed."""

WAITING_MAX = 64
"""Drawings that may wait for their turn."""

WALL_S = 20.0
"""Seconds from the first byte sent to the last received."""

DRAWN_MAX_BYTES = 64 * 2**20

_PROGRAM = (sys.executable, "-I", "-m", "fhirmedia.media.sandboxed")
_SENTENCES = {
    UNREADABLE: ("invalid", "The picture cannot be decoded."),
    TOO_LARGE: ("too-costly", "The picture has too many pixels for a rendition."),
}


@dataclass(frozen=True, slots=True)
class _Process:
    """One process and the two ends of our side of its socket."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def end(self) -> None:
        """Now, and leave nothing behind."""
        self.writer.transport.abort()
        self.process.kill()
        self.process.wait()


class Sandbox:
    """Draws renditions for one server process."""

    def __init__(self, *, processes: int = PROCESSES, waiting_max: int = WAITING_MAX, wall_s: float = WALL_S) -> None:
        self._turns = asyncio.Semaphore(processes)
        self._waiting_max = waiting_max
        self._wall_s = wall_s
        self._waiting = 0
        self._idle: list[_Process] = []

    async def draw(self, chunks: AsyncIterator[bytes], *, size: int, format: str, width: int) -> Picture:
        """The rendition of `size` bytes of content in this format (as `drawn_format` names it).

        Raises Failure UNPROCESSABLE for content that cannot be drawn, THROTTLED where too many wait, UNAVAILABLE where
        no process could do it in time; what `chunks` raises passes through.
        """
        if self._turns.locked() and self._waiting >= self._waiting_max:
            raise Failure(Category.THROTTLED, "Too many renditions are being made.", retry_after_s=2)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._drawn(chunks, head=f"{format} {width} {size}\n".encode())
        finally:
            self._turns.release()

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().end()

    async def _drawn(self, chunks: AsyncIterator[bytes], *, head: bytes) -> Picture:
        process = await self._take()
        answer: Picture | Failure | None = None
        try:
            async with asyncio.timeout(self._wall_s):
                answer = await _exchange(process, chunks, head)
        except TimeoutError:
            raise Failure(Category.UNAVAILABLE, "The rendition took too long.", retry_after_s=5) from None
        finally:
            if answer is None:
                process.end()
            else:
                self._idle.append(process)
        if answer is None:
            raise _unprocessable(UNREADABLE)
        if isinstance(answer, Failure):
            raise answer
        return answer

    async def _take(self) -> _Process:
        while self._idle:
            process = self._idle.pop()
            if process.process.poll() is None and not process.reader.at_eof():
                return process
            process.end()
        return await _started(self._wall_s)


async def _started(wall_s: float) -> _Process:
    """A process that has said it is ready. Raises Failure UNAVAILABLE."""
    ours, theirs = socket.socketpair()
    process: _Process | None = None
    is_ready = False
    try:
        with theirs:
            popen = await asyncio.to_thread(_spawn, theirs.fileno())
        process = _Process(popen, *await asyncio.open_connection(sock=ours))
        async with asyncio.timeout(wall_s):
            is_ready = await process.reader.readline() == READY
        if is_ready:
            return process
    except (OSError, TimeoutError):
        pass
    finally:
        if process is None:
            ours.close()
        elif not is_ready:
            process.end()
    raise Failure(Category.UNAVAILABLE, "No rendition can be made at present.", retry_after_s=5)


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    """The program, with nothing of ours but its end of a socket."""
    return subprocess.Popen(
        _PROGRAM,
        stdin=descriptor,
        stdout=descriptor,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )


async def _exchange(process: _Process, chunks: AsyncIterator[bytes], head: bytes) -> Picture | Failure | None:
    """The drawing, or what the process refused it with; None if the process died of it or did not keep to the form."""
    try:
        process.writer.write(head)
        async for chunk in chunks:
            process.writer.write(chunk)
            await process.writer.drain()
        word, *rest = (await process.reader.readline()).decode("ascii").split()
        if word == DRAWN:
            content_type, size = rest
            if content_type in DRAWN_TYPES and int(size) <= DRAWN_MAX_BYTES:
                return Picture(content_type, await process.reader.readexactly(int(size)))
        return _unprocessable(word) if word in _SENTENCES else None
    except (ConnectionError, EOFError, ValueError):
        return None


def _unprocessable(word: str) -> Failure:
    code, sentence = _SENTENCES[word]
    return Failure(Category.UNPROCESSABLE, sentence, code=code)
