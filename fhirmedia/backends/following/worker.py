"""The index worker: hands what changed to the engine, in whichever processes run one.

It is woken by the writes. Claims share the rows out among workers, and end by themselves; handing over a change twice,
or late, does no harm, since the engine keeps the newest. A row is done when searches find the document.
"""

import asyncio
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fhirmedia.backends.following import generations, outbox_work
from fhirmedia.backends.following.documents import Batch, DocumentMaker
from fhirmedia.backends.following.generations import Generation
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.presence import Presence
from fhirmedia.backends.following.waking import Bell
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.generations import SearchEngine

T = TypeVar("T")

AT_ONCE = 500
"""Changes that are claimed and handed over together."""
_FLIGHTS, _MOST_FLYING = 12, 3000
"""Batches under way at the same time, and the changes in them: mostly they wait until searches find them."""
_GATHER_S = 0.1
"""After a wake, so that what is written together goes together."""
_SAFETY_S = 5.0
"""Without a wake, for rows of workers that died and for those that are tried again."""
_STAND_BY_S = 1.0
_LEASE_S = 60
_STALE_S = 30.0
"""A batch that was read longer ago, by a process that was held up, is read again."""
_FIRST_REST_S, _MOST_REST_S = 0.25, 8.0

log = logging.getLogger("fhirmedia")


@dataclass(frozen=True, slots=True)
class _Handed:
    """Where documents went, and which numbers were refused for themselves, and why."""

    targets: tuple[Generation, ...]
    reasons: dict[int, str]


class IndexWorker:
    """Works as long as `run` runs; `take_in_patients` is for whoever cannot wait. One per process."""

    def __init__(
        self,
        records: SqliteRecordStore,
        outbox: Outbox,
        maker: DocumentMaker,
        engine: SearchEngine,
        presence: Presence,
        *,
        clock: Clock,
    ) -> None:
        self._records = records
        self._outbox = outbox
        self._maker = maker
        self._engine = engine
        self._presence = presence
        self._clock = clock
        self._name = f"{process_name(os.getpid())}-{secrets.token_hex(4)}"
        self._rest_s = 0.0
        self._behind: set[asyncio.Task[None]] = set()

    async def run(self, bell: Bell, *, stands_by: Callable[[], bool] = lambda: False) -> None:
        """Take in what waits, until cancelled; nothing while `stands_by` says that somebody else does."""
        while True:
            if stands_by():
                # Not even listening: a ring is heard by one.
                await asyncio.sleep(_STAND_BY_S)
                continue
            woken = asyncio.Event()
            with bell.listening(woken):
                await self._work(woken, stands_by)

    async def _work(self, woken: asyncio.Event, stands_by: Callable[[], bool]) -> None:
        flights: dict[asyncio.Task[None], int] = {}
        try:
            while not stands_by():
                await self._presence.back()
                await asyncio.sleep(self._rest_s)
                woken.clear()
                numbers = await self._claimed()
                if numbers:
                    flights[asyncio.create_task(self._fly(numbers))] = len(numbers)
                is_full = len(flights) >= _FLIGHTS or sum(flights.values()) >= _MOST_FLYING
                if len(numbers) < AT_ONCE or is_full:
                    await _until(woken, flights, is_full=is_full)
                flights = {flight: number for flight, number in flights.items() if not flight.done()}
        except asyncio.CancelledError:
            for flight in flights:
                flight.cancel()
            raise
        finally:
            await asyncio.gather(*flights, *self._behind, return_exceptions=True)

    async def take_in_patients(self, patients: Sequence[str], *, limit: int) -> bool:
        """Let searches find what changed about these Patients; whether they do.

        They do not where there is more than `limit`, or something that the engine refused. Raises Failure UNAVAILABLE.
        """
        batch = await asyncio.to_thread(self._maker.of_patients, patients, limit=limit)
        if batch.has_dead or batch.is_more:
            return False
        handed = await self._hand_over(batch, at_once=True)
        # What was refused is left to the turns of the worker, which come further and further apart.
        kept = [number for number in _numbers(batch) if number not in handed.reasons]
        task = asyncio.create_task(self._say_done(kept, _Handed(handed.targets, {})))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
        return not handed.reasons

    async def _claimed(self) -> Sequence[int]:
        now = self._clock()

        def claim(connection: sqlite3.Connection) -> list[int]:
            for worker in outbox_work.claimants(connection):
                if worker != self._name and not is_running(worker):
                    outbox_work.release_all_of(connection, worker)
            until = now + 1000 * _LEASE_S
            return outbox_work.claim(connection, self._name, now=now, until=until, limit=AT_ONCE)

        try:
            return await self._write(claim)
        except Failure as failure:
            self._tire("rows could not be claimed", failure)
            return []

    async def _fly(self, numbers: Sequence[int]) -> None:
        """From claim to done; nothing leaves it but a cancellation."""
        try:
            batch = await asyncio.to_thread(self._maker.of_changes, numbers)
            handed = await self._hand_over(batch, at_once=False)
            await self._say_done(_numbers(batch), handed)
            if batch.is_full:
                await self._release(numbers)
            self._rest_s = 0.0
        except asyncio.CancelledError:
            await self._release(numbers)
            raise
        except Exception as error:  # noqa: BLE001 (the worker outlives whatever happens; what it says may quote a record)
            self._presence.doubt()
            self._tire("changes could not be handed to the search index", error)
            await self._release(numbers)

    async def _hand_over(self, batch: Batch, *, at_once: bool) -> "_Handed":
        """Give the documents to every generation that follows."""
        handed = _Handed(self._targets(), dict(batch.spoilt.values()))
        for target in handed.targets if batch.changes else ():
            if batch.age_s > _STALE_S:
                raise Failure(Category.UNAVAILABLE, "The index takes too long.")
            refused = await self._write_documents(target, batch, at_once=at_once)
            handed.reasons.update({batch.changes[key][0]: why for key, why in refused.items()})
        return handed

    def _targets(self) -> tuple[Generation, ...]:
        """Where documents go: asked after the claim, so that none that was begun before is missed.

        Where one is of another program, which may yet answer from it, nothing is done before it is lost.
        """
        targets = self._outbox.generations().targets
        if not targets or any(each.fingerprint != self._engine.fingerprint for each in targets):
            raise Failure(Category.UNAVAILABLE, "There is no index to write to.")
        return targets

    async def _write_documents(self, target: Generation, batch: Batch, *, at_once: bool) -> Mapping[Key, str]:
        """What one generation refuses; one that is only kept is given up rather than waited for."""
        documents, answers = self._engine.documents(target.name), target.state in ("live", "filled")
        changes = [change for _, change in batch.changes.values()]
        try:
            refused = await documents.write(changes, visible=answers and not at_once)
            if answers and at_once:
                await documents.refresh()
        except Failure:
            if target.state != "kept":
                raise
            refused = dict.fromkeys(batch.changes, "")
        if refused and target.state == "kept":
            log.warning("the index that was kept no longer follows, and cannot be gone back to")
            now = self._clock()
            await self._write(lambda connection: generations.set_state(connection, target.name, "lost", now=now))
            return {}
        return refused

    async def _say_done(self, numbers: Sequence[int], handed: "_Handed") -> None:
        """Unless another generation answers by now, or is about to: then they are handed over once more."""
        now = self._clock()

        def say(connection: sqlite3.Connection) -> None:
            if _states(generations.generations(connection).targets) != _states(handed.targets):
                outbox_work.release(connection, numbers)
                return
            outbox_work.done(connection, [number for number in numbers if number not in handed.reasons])
            outbox_work.refused(connection, handed.reasons, now=now)

        try:
            await self._write(say)
        except Failure as failure:
            self._tire("what was indexed could not be noted", failure)
        for why in sorted(set(handed.reasons.values())):
            log.error("the search index refused documents: %s", why)

    async def _release(self, numbers: Sequence[int]) -> None:
        with suppress(Failure):
            await self._write(lambda connection: outbox_work.release(connection, numbers))

    def _tire(self, what: str, error: Exception) -> None:
        """Rest longer the more often it happens."""
        if self._rest_s == 0.0:
            log.error("%s (%s); it will be tried again", what, type(error).__name__)
        self._rest_s = min(max(2 * self._rest_s, _FIRST_REST_S), _MOST_REST_S)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._records.write(lambda transaction: transaction.beside(work))


async def _until(woken: asyncio.Event, flights: Iterable[asyncio.Task[None]], *, is_full: bool) -> None:
    """Wait for a ring, for the end of a flight, or a while; `is_full`: there are too many for a ring to count."""
    ring = asyncio.create_task(woken.wait())
    try:
        await asyncio.wait(
            [*flights] if is_full else [ring, *flights], timeout=_SAFETY_S, return_when=asyncio.FIRST_COMPLETED
        )
        if woken.is_set():
            await asyncio.sleep(_GATHER_S)
    finally:
        ring.cancel()


def _states(targets: Sequence[Generation]) -> list[tuple[str, str]]:
    return sorted((each.name, each.state) for each in targets)


def _numbers(batch: Batch) -> list[int]:
    return [number for number, _ in (*batch.changes.values(), *batch.spoilt.values())]


def process_name(pid: int) -> str:
    """A process, told from others that had its number."""
    return f"{pid}-{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"


def is_running(worker: str) -> bool:
    """Whether the process that a worker's name begins with still runs."""
    pid = worker.partition("-")[0]
    try:
        return worker.startswith(process_name(int(pid)))
    except (OSError, ValueError, IndexError):
        return False
