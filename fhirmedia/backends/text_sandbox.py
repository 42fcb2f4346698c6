"""TextReader in a process of its own: bounded in memory, processor time and answer, and able to open nothing."""

import asyncio
from collections.abc import AsyncIterator

from fhirmedia.core.errors import Category, Failure
from fhirmedia.media.processes import Process, Processes
from fhirmedia.ports.texts import ReadText

WALL_S = 60.0
"""Seconds from the first byte sent to the last received; other work may be more urgent than this."""

ANSWER_MAX_BYTES = 8 * 2**20

_PROGRAM = "fhirmedia.backends.text_process"
_OUTCOMES = frozenset(
    ("extracted", "truncated", "empty", "broken", "encrypted", "undecodable", "too-large", "too-costly")
)


class TextSandbox:
    """Reads one text at a time for one server process; its process is started when it is first needed."""

    def __init__(self, *, wall_s: float = WALL_S) -> None:
        self._wall_s = wall_s
        self._processes = Processes(_PROGRAM, wall_s=wall_s)

    async def read(self, chunks: AsyncIterator[bytes], *, size: int, format: str, is_cut: bool) -> ReadText | None:
        process = await self._processes.take()
        if process is None:
            raise Failure(Category.UNAVAILABLE, "No text can be read at present.", retry_after_s=5)
        text: ReadText | None = None
        try:
            async with asyncio.timeout(self._wall_s):
                text = await _exchange(process, chunks, head=f"{format} {is_cut:d} {size}\n".encode())
        except TimeoutError:
            return None
        finally:
            if text is None or text.outcome == "too-costly":  # such a process has seen its bounds, and may be ending
                process.end()
            else:
                self._processes.give_back(process)
        return text

    async def close(self) -> None:
        self._processes.close()


async def _exchange(process: Process, chunks: AsyncIterator[bytes], *, head: bytes) -> ReadText | None:
    """What the process says; None if it died of it or did not keep to the form."""
    try:
        process.writer.write(head)
        async for chunk in chunks:
            process.writer.write(chunk)
            await process.writer.drain()
        outcome, size = (await process.reader.readline()).decode("ascii").split()
        if outcome not in _OUTCOMES or int(size) > ANSWER_MAX_BYTES:
            return None
        return ReadText(outcome, (await process.reader.readexactly(int(size))).decode())
    except (ConnectionError, EOFError, ValueError):
        return None
