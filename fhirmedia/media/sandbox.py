"""The sandbox: content of unknown making is decoded in processes of their own, few, bounded and expendable.

A process may use so much memory and processor time, can open no file and no connection, and is killed when it takes
too long. Whatever becomes of it, the server loses one drawing.
"""

import asyncio
from collections.abc import AsyncIterator

from fhirmedia.core.errors import Category, Failure
from fhirmedia.media.processes import Process, Processes
from fhirmedia.media.renditions import DRAWN, DRAWN_TYPES, TOO_LARGE, UNREADABLE, Picture

PROCESSES = 2
"""At most so many of one server process; each is started when it is first needed."""

WAITING_MAX = 64
"""Drawings that may wait for their turn."""

WALL_S = 20.0
"""Seconds from the first byte sent to the last received."""

DRAWN_MAX_BYTES = 64 * 2**20

_PROGRAM = "fhirmedia.media.sandboxed"
_SENTENCES = {
    UNREADABLE: ("invalid", "The picture cannot be decoded."),
    TOO_LARGE: ("too-costly", "The picture has too many pixels for a rendition."),
}


class Sandbox:
    """Draws renditions for one server process."""

    def __init__(self, *, processes: int = PROCESSES, waiting_max: int = WAITING_MAX, wall_s: float = WALL_S) -> None:
        self._turns = asyncio.Semaphore(processes)
        self._waiting_max = waiting_max
        self._wall_s = wall_s
        self._waiting = 0
        self._processes = Processes(_PROGRAM, wall_s=wall_s)

    async def draw(self, chunks: AsyncIterator[bytes], *, size: int, format: str, width: int) -> Picture:
        """The rendition of `size` bytes of content in this format (as `drawn_format` names it).

        Raises Failure UNPROCESSABLE for content that cannot be drawn, THROTTLED where too many wait, UNAVAILABLE where
        no process could do it in time or somebody killed it; what `chunks` raises passes through.
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
        self._processes.close()

    async def _drawn(self, chunks: AsyncIterator[bytes], *, head: bytes) -> Picture:
        process = await self._processes.take()
        if process is None:
            raise Failure(Category.UNAVAILABLE, "No rendition can be made at present.", retry_after_s=5)
        answer: Picture | Failure | None = None
        was_killed = False
        try:
            async with asyncio.timeout(self._wall_s):
                answer = await _exchange(process, chunks, head)
                was_killed = answer is None and await process.was_killed()
        except TimeoutError:
            raise Failure(Category.UNAVAILABLE, "The rendition took too long.", retry_after_s=5) from None
        finally:
            if answer is None:
                process.end()
            else:
                self._processes.give_back(process)
        if was_killed:
            raise Failure(Category.UNAVAILABLE, "The rendition was interrupted.", retry_after_s=5)
        if answer is None:
            raise _unprocessable(UNREADABLE)
        if isinstance(answer, Failure):
            raise answer
        return answer


async def _exchange(process: Process, chunks: AsyncIterator[bytes], head: bytes) -> Picture | Failure | None:
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
