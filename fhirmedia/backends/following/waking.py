"""How a write wakes whoever indexes, in this process or another: one byte through a pipe with a name.

Nothing is asked again and again, and a byte that nobody reads is no loss: what waits is in the database.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Bell:
    """The pipe of one folder; `ring` may be called from any thread of any process, the rest on an event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ring(self) -> None:
        """Wake one listener or all; without any, nothing happens."""
        try:
            pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return
        with suppress(OSError):  # it is full: somebody has been woken and will come
            os.write(pipe, b"\0")
        os.close(pipe)

    @contextmanager
    def listening(self, woken: asyncio.Event) -> Iterator[None]:
        """Set the event at each ring, inside."""
        with suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        # With a writing end of its own the pipe does not end when other writers close theirs.
        pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()

        def heard() -> None:
            with suppress(BlockingIOError):
                os.read(pipe, 65536)
            woken.set()

        loop.add_reader(pipe, heard)
        try:
            yield
        finally:
            loop.remove_reader(pipe)
            os.close(pipe)
