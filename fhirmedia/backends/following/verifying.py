"""Holding an index against the records: every document by its content, and how many there are of each type.

Servers may write meanwhile. What differs is looked at again, once what waits has been taken in, until it differs no
more or enough time has passed; so what is told at last is a difference of something at rest.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhirmedia.backends.following.documents import Batch, DocumentMaker
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.core.clock import Clock
from fhirmedia.core.records import Key
from fhirmedia.ports.generations import SearchEngine

AT_ONCE = 500
SETTLE_S = 15.0
"""So long something may differ before it is told."""
_LOOK_S = 0.25
_MOST = 10_000
"""Differences after which the rest is not looked at."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How many resources were looked at, which have no document or another one, and documents above the resources."""

    looked_at: int
    different: tuple[Key, ...]
    surplus: Mapping[str, int]

    @property
    def number(self) -> int:
        """Of differences."""
        return len(self.different) + sum(self.surplus.values())


class Verifier:
    """Compares one generation with the records."""

    def __init__(
        self, maker: DocumentMaker, outbox: Outbox, engine: SearchEngine, generation: str, *, clock: Clock
    ) -> None:
        self._maker = maker
        self._outbox = outbox
        self._engine = engine
        self._generation = generation
        self._clock = clock

    async def verify(self, *, on_progress: Callable[[int], None]) -> Verified:
        """Everything there is; `on_progress` is told how many changes of the log are behind.

        Raises Failure UNAVAILABLE.
        """
        different: Sequence[Key] = []
        position, looked_at, is_more = 0, 0, True
        while is_more and len(different) <= _MOST:
            batch = await asyncio.to_thread(self._maker.of_current, position, limit=AT_ONCE)
            different = [*different, *await self._differing(batch)]
            looked_at += len(batch.changes) + len(batch.spoilt)
            is_more = batch.is_more
            on_progress(batch.end - position)
            position = batch.end
        deadline = time.monotonic() + SETTLE_S
        surplus = await self._surplus()
        while (different or surplus) and time.monotonic() < deadline:
            await self._drained(deadline)
            different = await self._still(different)
            surplus = await self._surplus()
        return Verified(looked_at, tuple(different), surplus)

    async def _differing(self, batch: Batch) -> list[Key]:
        """Keys whose document is not what it would be if it were made now."""
        kept = await self._engine.digests(self._generation, list(batch.changes)) if batch.changes else {}
        wanted = {key: self._engine.digest(change) for key, (_, change) in batch.changes.items()}
        return [*(key for key, digest in wanted.items() if kept.get(key, "") != digest), *batch.spoilt]

    async def _still(self, keys: Sequence[Key]) -> list[Key]:
        found: list[Key] = []
        for start in range(0, len(keys), AT_ONCE):
            batch = await asyncio.to_thread(self._maker.of_keys, keys[start : start + AT_ONCE])
            found += await self._differing(batch)
        return found

    async def _surplus(self) -> dict[str, int]:
        """Documents of each type above its resources, but for what changes that came meanwhile may explain."""
        before, waiting = self._outbox.newest(), self._outbox.backlog(now=self._clock()).depth
        tally: Counter[str] = Counter()
        for (kind, _, _), number in (await self._engine.tally(self._generation)).items():
            tally[kind] += number
        there = await asyncio.to_thread(self._maker.counts)
        explained = waiting + self._outbox.newest() - before
        above = {kind: number - there.get(kind, 0) for kind, number in tally.items()}
        return {kind: number for kind, number in above.items() if number > explained}

    async def _drained(self, deadline: float) -> None:
        """Wait until what waits now has been taken in, and is found."""
        moment = self._outbox.moment(now=self._clock())
        await asyncio.sleep(_LOOK_S)
        while self._outbox.waits_since(moment) and time.monotonic() < deadline:  # noqa: ASYNC110 (others may end it)
            await asyncio.sleep(_LOOK_S)
        await self._engine.documents(self._generation).refresh()
