"""Filling a generation from the records, from wherever an earlier try has stopped, while changes go on.

Changes that come meanwhile reach the generation through the outbox. A document of a filling bears the newest number
any change had when it was read, so that it never takes the place of one that is newer.
"""

import asyncio
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from fhirmedia.backends.following import generations, outbox_work
from fhirmedia.backends.following.documents import Batch, DocumentMaker
from fhirmedia.backends.following.generations import Generation
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.generations import SearchEngine

T = TypeVar("T")

AT_ONCE = 500
"""Documents that are made, written and noted together."""

_FLIGHTS = 3
"""Batches under way: while the engine takes in some, the next is made. All of them are in memory."""

_STALE_S = 120.0


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch, the sequence behind which it begins, and its way to the engine."""

    batch: Batch
    start: int
    writing: "asyncio.Task[Mapping[Key, str]]"


class Filler:
    """Begins, fills and publishes generations of one engine."""

    def __init__(
        self, records: SqliteRecordStore, outbox: Outbox, maker: DocumentMaker, engine: SearchEngine, *, clock: Clock
    ) -> None:
        self._records = records
        self._outbox = outbox
        self._maker = maker
        self._engine = engine
        self._clock = clock

    async def begin(self) -> Generation:
        """The generation that is being filled; a new one if there is none, or none that this program would make.

        Raises Failure UNAVAILABLE.
        """
        begun = self._outbox.generations().in_state("filling")
        if begun is not None:
            if begun.fingerprint == self._engine.fingerprint and await self._engine.is_sound(begun.name):
                return begun
            await self.set_state(begun, "lost")
        name, now = secrets.token_hex(6), self._clock()
        await self._engine.create(name)
        fingerprint, types = self._engine.fingerprint, frozenset(self._engine.types)
        await self.write(
            lambda connection: generations.begin(connection, name, fingerprint=fingerprint, types=types, now=now)
        )
        made = self._outbox.generations().named(name)
        if made is None:
            raise Failure(Category.CONFLICT, "Somebody else has given up the index that was begun.")
        return made

    async def fill(self, generation: Generation, *, on_progress: Callable[[int, int], None]) -> None:
        """Write every current resource that is not in it yet, and let all of it be found.

        `on_progress` is told how many changes of the log are behind, and how many documents were written. Raises
        Failure UNAVAILABLE; it goes on where it stopped when it is run again.
        """

        def place(connection: sqlite3.Connection, batch: Batch, filled: int) -> None:
            generations.advance(connection, generation.name, position=batch.end, documents=filled)

        await self._walk(self._maker, generation, generation.position, place, on_progress)
        await self._engine.finish(generation.name)

    async def refill(self, generation: Generation, kind: str, *, on_progress: Callable[[int, int], None]) -> None:
        """Write every current resource of one type anew into a generation that has them, and let them be found.

        The rest is as of `fill`; where it has stopped is told by `refilled`.
        """
        name = generation.name

        def place(connection: sqlite3.Connection, batch: Batch, _: int) -> None:
            generations.note_refilled(connection, name, kind, position=batch.end if batch.is_more else 0)

        with closing(self._maker.of_type(kind)) as maker:
            await self._walk(maker, generation, await self.refilled(generation, kind), place, on_progress)
        await self._engine.documents(name).refresh()

    async def refilled(self, generation: Generation, kind: str) -> int:
        """Behind which sequence of the log of changes a `refill` has stopped; 0 if none has."""
        return await self.write(lambda connection: generations.refilled(connection, generation.name, kind))

    async def _walk(
        self,
        maker: DocumentMaker,
        generation: Generation,
        position: int,
        place: Callable[[sqlite3.Connection, Batch, int], None],
        on_progress: Callable[[int, int], None],
    ) -> None:
        documents = self._engine.documents(generation.name)
        upcoming = _upcoming(maker, position)
        flights: deque[_Flight] = deque()
        try:
            while True:
                batch = await upcoming
                if batch.age_s > _STALE_S:
                    # Whatever was deleted since, by a change the engine may have forgotten, must not come back.
                    batch = await _upcoming(maker, position)
                if batch.is_more:
                    upcoming = _upcoming(maker, batch.end)
                changes = [change for _, change in batch.changes.values()]
                writing = asyncio.create_task(documents.write(changes, visible=False))
                flights.append(_Flight(batch, position, writing))
                position = batch.end
                # Noted in order: what is behind the place that is noted is in the engine.
                while len(flights) >= _FLIGHTS or (flights and not batch.is_more):
                    landed = flights[0]
                    refused = await landed.writing
                    flights.popleft()
                    await self._note(landed.batch, refused, place)
                    on_progress(landed.batch.end - landed.start, len(landed.batch.changes) - len(refused))
                if not batch.is_more:
                    break
        finally:
            begun = [upcoming, *(flight.writing for flight in flights)]
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    async def publish(self, generation: Generation) -> None:
        """Let it answer, once all that changes have brought can be found in it. Raises Failure UNAVAILABLE."""
        # From here on a change is done when it can be found in this one, too.
        await self.set_state(generation, "filled")
        await self._engine.documents(generation.name).refresh()
        now = self._clock()
        await self.write(lambda connection: generations.publish(connection, generation.name, now=now))

    async def set_state(self, generation: Generation, state: generations.State) -> None:
        """Let it be good for something else."""
        now = self._clock()
        await self.write(lambda connection: generations.set_state(connection, generation.name, state, now=now))

    async def drop(self, generation: Generation) -> None:
        """Remove it from the engine, and forget it."""
        await self._engine.drop(generation.name)
        await self.write(lambda connection: generations.forget(connection, generation.name))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements on our tables in the writer."""
        return await self._records.write(lambda transaction: transaction.beside(work))

    async def _note(
        self, batch: Batch, refused: Mapping[Key, str], place: Callable[[sqlite3.Connection, Batch, int], None]
    ) -> None:
        """How far it has come; what was refused waits for the workers, who give it up if it stays so."""
        now, filled = self._clock(), len(batch.changes) - len(refused)
        left = [*refused, *batch.spoilt]

        def note(connection: sqlite3.Connection) -> None:
            place(connection, batch, filled)
            outbox_work.enqueue(connection, left, now=now)
            outbox_work.revive(connection, batch.changes.keys() - refused.keys())

        await self.write(note)


def _upcoming(maker: DocumentMaker, position: int) -> "asyncio.Task[Batch]":
    return asyncio.create_task(asyncio.to_thread(maker.of_current, position, limit=AT_ONCE))
