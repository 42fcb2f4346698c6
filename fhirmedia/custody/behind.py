"""Rows written behind an answer that is over: nobody waits for them, and none is forgotten while the server runs."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Behind:
    """What was begun and is not done yet; how it ends is nobody's to hear, its log reports its own failures."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin the work on the running event loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finish(self) -> None:
        """Wait for all of it."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
