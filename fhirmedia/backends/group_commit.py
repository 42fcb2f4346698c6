"""Many waiting callers, one durable commit: the thread every durable log of ours is written by."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from fhirmedia.core.errors import Category, Failure

Item = TypeVar("Item")
Result = TypeVar("Result")
CommitGroup = Callable[[Sequence[Item]], Sequence[Result | BaseException]]

_CLOSED = Failure(Category.UNAVAILABLE, "The server is shutting down.", retry_after_s=5)


class GroupCommit(Generic[Item, Result]):
    """Hands whatever is waiting to `commit_group`, then answers all of it.

    `commit_group` runs in one thread and returns an outcome per item once the group is durable: a result, or the
    exception for that waiter. If it raises a Failure, every waiter of the group gets one of its own, so that each
    refusal is audited by itself; any other exception they share. Where processes take turns, `turn` is entered around
    it: whoever came while the others had theirs is of the group.

    What is submitted in one turn of an event loop is handed over together, at its end: waking the thread for each item
    would make small groups, and the two threads would spend more on the interpreter's lock than on the work.
    """

    def __init__(
        self,
        commit_group: CommitGroup[Item, Result],
        *,
        name: str,
        most: int = 256,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._commit_group = commit_group
        self._turn = turn
        self._most = most
        self._gathered: dict[asyncio.AbstractEventLoop, list[tuple[Item, asyncio.Future[Result]]]] = {}
        self._queue: SimpleQueue[list[tuple[Item, asyncio.Future[Result]]] | None] = SimpleQueue()
        self._closed = False
        self._ending = False
        self._gathering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> "asyncio.Future[Result]":
        """The item's own result, after the commit of its group; Failure UNAVAILABLE once closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        with self._gathering:
            gathered = self._gathered.get(loop)
            if gathered is None:
                gathered = self._gathered[loop] = []
                loop.call_soon(self._hand_over, loop)
            gathered.append((item, future))
        return future

    def close(self) -> None:
        """Commit what waits and end the thread; call it from another thread than the event loop's, or after it."""
        with self._gathering:
            if not self._closed:
                self._closed = True
                for loop in tuple(self._gathered):
                    self._queue.put(self._gathered.pop(loop))
                self._queue.put(None)
        self._thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the event loop."""
        with self._gathering:
            gathered = self._gathered.pop(loop, [])
            if not self._closed:
                self._queue.put(gathered)
                return
        _answer([(future, _own(_CLOSED)) for _, future in gathered])

    def _run(self) -> None:
        waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        while self._gather(waiting):
            group: list[tuple[Item, asyncio.Future[Result]]] = []
            outcomes: Sequence[Result | BaseException]
            try:
                with self._turn():
                    self._gather(waiting)
                    group = [waiting.popleft() for _ in range(min(len(waiting), self._most))]
                    outcomes = self._commit_group([item for item, _ in group])
            except BaseException as failed:  # noqa: BLE001 (every waiter must be answered, whatever happened)
                group = group or [waiting.popleft() for _ in range(len(waiting))]
                outcomes = [_own(failed) for _ in group]
            self._settle(group, outcomes)

    def _gather(self, waiting: "deque[tuple[Item, asyncio.Future[Result]]]") -> bool:
        """Add what was handed over, at least one item if there will be any; whether anything waits."""
        while not self._ending and len(waiting) < self._most:
            try:
                more = self._queue.get(block=not waiting)
            except Empty:
                break
            self._ending = more is None
            waiting += more or ()
        return bool(waiting)

    def _settle(
        self, group: "Sequence[tuple[Item, asyncio.Future[Result]]]", outcomes: Sequence[Result | BaseException]
    ) -> None:
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result | BaseException]]] = {}
        for (_, future), outcome in zip(group, outcomes, strict=True):
            answers.setdefault(future.get_loop(), []).append((future, outcome))
        for loop, settled in answers.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_answer, settled)


def _answer(settled: "Sequence[tuple[asyncio.Future[Result], Result | BaseException]]") -> None:
    for future, outcome in settled:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _own(failed: BaseException) -> BaseException:
    """A Failure of its own for one waiter; what is told about an exception is kept in it."""
    if not isinstance(failed, Failure):
        return failed
    own = Failure(failed.category, issues=failed.issues, retry_after_s=failed.retry_after_s)
    own.__cause__ = failed
    return own
