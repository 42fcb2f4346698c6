"""Sweeping: what nobody ever referred to goes, in steps of which each waits and looks again before it acts.

1. A Binary that no record claimed within the time set is deleted: a version that marks it, audited like any deletion.
2. A day after an unclaimed Binary was deleted, by its owner or by step 1, what it stood for is released: its content, and
   the description of bytes that nothing else stands for.
3. Bytes that are not described, and were neither stored nor stored again within a day, are removed; so is what was being
   received and has not grown for a day.

Steps 1 and 2 decide inside the writer's transaction, which a claim would have to pass, too. Step 3 needs no such order:
whoever stores bytes gives them a new name first and describes them later, and a file with a name younger than a day is
never removed. So between an upload's bytes and its record there is a day, and whoever stores bytes that are about to go
makes them young again or, just after, stores them anew.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from fhirmedia.access.caller import Caller
from fhirmedia.core.clock import Clock
from fhirmedia.core.digests import Digest
from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.errors import Failure
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.ports.maintenance import KeptObjects, UpkeepStore, UpkeepTransaction
from fhirmedia.ports.records import Draft

DAY_MS = 86_400_000
EVERY_S = 3_600.0
"""How long the sweeper rests between rounds."""

_AT_ONCE = 50
"""Binaries or objects that one transaction decides about."""

_PAUSE_S = 0.05
"""Between steps, so that requests do not notice them."""

log = logging.getLogger("fhirmedia")


@dataclass(frozen=True, slots=True)
class Locks:
    """`take` gives the right to sweep or None; each step happens within a `turn`, if that is true."""

    take: Callable[[], IO[str] | None]
    turn: Callable[[], AbstractContextManager[bool]]


@dataclass(slots=True)
class Swept:
    """What one round did, in numbers."""

    deleted: int = 0
    released: int = 0
    objects: int = 0
    incoming: int = 0


class Sweeper:
    """Sweeps one archive; of all processes that serve it, one at a time."""

    def __init__(
        self, store: UpkeepStore, objects: KeptObjects, *, locks: Locks, clock: Clock, unclaimed_hours: int
    ) -> None:
        self._store = store
        self._objects = objects
        self._locks = locks
        self._clock = clock
        self._unclaimed_ms = unclaimed_hours * 3_600_000

    async def run(self) -> None:
        """Sweep now and then, as long as it is this process's turn, until cancelled."""
        mine: IO[str] | None = None
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                mine = mine or self._locks.take()
                if mine is not None:
                    await self._try()
        finally:
            if mine is not None:
                mine.close()

    async def sweep(self) -> Swept:
        """One round over everything; steps are left out while somebody has paused the sweeps.

        Raises Failure UNAVAILABLE or DISK_FULL.
        """
        swept = Swept()
        now = self._clock()
        after = ""
        while binary_ids := await self._unclaimed(now, after=after):
            after = binary_ids[-1]
            with self._locks.turn() as may:
                if may:
                    deleted, released = await self._store.write(lambda transaction, ids=binary_ids: self._settle(transaction, ids, now=now))
                    swept.deleted += deleted
                    swept.released += released
            await asyncio.sleep(_PAUSE_S)
        return swept
