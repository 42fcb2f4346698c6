"""Many waiting callers, one durable commit: the thread every durable log of ours is written by."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from fhirmedia.core.errors import Category, Failure

Item = TypeVar("Item")
Result = TypeVar("Result")
CommitGroup = Callable[[Sequence[Item]], Sequence[Result | BaseException]]


class GroupCommit(Generic[Item, Result]):
    """Hands whatever is waiting to `commit_group`, then answers all of it.

    `commit_group` runs in one thread and returns an outcome per item once the group is durable: a result, or the
    exception for that waiter. If it raises, every waiter of the group gets that exception.
    """

    def __init__(self, commit_group: CommitGroup[Item, Result], *, name: str, most: int = 256) -> None:
        self._commit_group = commit_group
        self._most = most
        self._queue: SimpleQueue[tuple[Item, asyncio.Future[Result]] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def submit(self, item: Item) -> Result:
        """The item's own result, after the commit of its group; Failure UNAVAILABLE once closed."""
        if self._closed:
            raise Failure(Category.UNAVAILABLE, "The server is shutting down.", retry_after_s=5)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put((item, future))
        return await future

    def close(self) -> None:
        """Commit what waits and end the thread; call it from another thread than the event loop's, or after it."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            group = [self._queue.get()]
            try:
                while len(group) < self._most:
                    group.append(self._queue.get_nowait())
            except Empty:
                pass
            waiting = [entry for entry in group if entry is not None]
            running = len(waiting) == len(group)
            if waiting:
                self._settle(waiting)

    def _settle(self, waiting: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        outcomes: Sequence[Result | BaseException]
        try:
            outcomes = self._commit_group([item for item, _ in waiting])
        except BaseException as failed:  # noqa: BLE001 (every waiter must be answered, whatever happened)
            outcomes = [failed] * len(waiting)
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result | BaseException]]] = {}
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            answers.setdefault(future.get_loop(), []).append((future, outcome))
        for loop, settled in answers.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_answer, settled)


def _answer(settled: list[tuple["asyncio.Future[Result]", Result | BaseException]]) -> None:
    for future, outcome in settled:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
