"""Sweeping: what nobody ever referred to goes, in steps of which each waits and looks again before it acts.

1. A Binary that no record claimed within the time set is deleted: a version that marks it, audited like any deletion.
2. A day after an unclaimed Binary was deleted, by its owner or by step 1, what it stood for is released: its content,
   and the description of bytes that nothing else stands for.
3. Bytes that are not described, and were neither stored nor stored again within a day, are removed; so is what was
   being received and has not grown for a day.

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
from functools import partial
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
FIRST_S, EVERY_S = 60.0, 3_600.0
"""How long the sweeper rests before its first round, and between rounds."""

_AT_ONCE = 50
"""Binaries or objects that one transaction decides about."""

_ASKED_AT_ONCE = 500
"""Objects looked up together."""

_PAUSE_S = 0.02
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

    async def run(self, *, first_s: float = FIRST_S, every_s: float = EVERY_S) -> None:
        """Sweep now and then, as long as it is this process's part, until cancelled."""
        mine, rest_s = self._locks.take(), first_s
        try:
            while True:
                await asyncio.sleep(rest_s)
                mine, rest_s = mine or self._locks.take(), every_s
                if mine is not None:
                    await self._try()
        finally:
            if mine is not None:
                mine.close()

    async def sweep(self) -> Swept:
        """One round over everything; whatever falls into a pause of the sweeps is left for the next one.

        Raises Failure UNAVAILABLE or DISK_FULL, and OSError.
        """
        swept = Swept()
        now = self._clock()
        await self._sweep_binaries(swept, now)
        for shelf in await asyncio.to_thread(self._objects.shelves):
            await self._sweep_shelf(swept, shelf, before=now - DAY_MS)
        with self._locks.turn() as may:
            if may:
                swept.incoming = await asyncio.to_thread(self._objects.abandon_incoming, before=now - DAY_MS)
        return swept

    async def _try(self) -> None:
        try:
            swept = await self.sweep()
        except (Failure, OSError):
            log.error("a sweep of leftovers failed and will be tried again")
        else:
            log.info("swept: %s", swept)

    async def _sweep_binaries(self, swept: Swept, now: int) -> None:
        before, after = now - min(self._unclaimed_ms, DAY_MS), ""
        while binary_ids := await self._store.unclaimed(before=before, after=after, limit=_AT_ONCE):
            after = binary_ids[-1]
            with self._locks.turn() as may:
                if may:
                    deleted, released = await self._store.write(partial(self._settle, binary_ids, now))
                    swept.deleted += deleted
                    swept.released += released
            await asyncio.sleep(_PAUSE_S)

    async def _sweep_shelf(self, swept: Swept, shelf: str, *, before: int) -> None:
        held = await asyncio.to_thread(self._objects.on_shelf, shelf)
        suspects: list[Digest] = []
        for first in range(0, len(held), _ASKED_AT_ONCE):
            some = held[first : first + _ASKED_AT_ONCE]
            suspects += set(some).difference(await self._store.described(some))
            await asyncio.sleep(_PAUSE_S)
        for first in range(0, len(suspects), _AT_ONCE):
            with self._locks.turn() as may:
                if may:
                    some = suspects[first : first + _AT_ONCE]
                    swept.objects += await self._store.write(partial(self._remove, some, before))
            await asyncio.sleep(_PAUSE_S)

    def _settle(self, binary_ids: Sequence[str], now: int, transaction: UpkeepTransaction) -> tuple[int, int]:
        """Delete or release those for which the time has come; how many of each."""
        deleted: list[Record] = []
        released: list[Record] = []
        for binary_id in binary_ids:
            record = transaction.current(Key(BINARY, binary_id))
            if record is None or transaction.referrers(binary_id):
                continue
            if record.deleted and record.changed_at < now - DAY_MS:
                transaction.release(binary_id)
                released.append(record)
            elif not record.deleted and record.changed_at < now - self._unclaimed_ms:
                deleted.append(transaction.put(Draft(record.key, "delete", None, record.facts, None)))
        self._audit(transaction, "delete", "uploads that no record referred to in time", deleted)
        self._audit(transaction, "sweep", "content of deleted uploads that no record ever referred to", released)
        return len(deleted), len(released)

    def _remove(self, suspects: Sequence[Digest], before: int, transaction: UpkeepTransaction) -> int:
        gone = [
            digest
            for digest in suspects
            if not transaction.holds(digest) and self._objects.remove_older(digest, before=before)
        ]
        if gone:
            self._note(transaction, "sweep", f"{len(gone)} objects that belong to no record", ())
        return len(gone)

    def _audit(self, transaction: UpkeepTransaction, interaction: str, reason: str, records: Sequence[Record]) -> None:
        if records:
            touched = tuple(Touch(record.key, record.version, "written") for record in records)
            self._note(transaction, interaction, reason, touched)

    def _note(self, transaction: UpkeepTransaction, interaction: str, reason: str, touched: tuple[Touch, ...]) -> None:
        caller = Caller.system(reason)  # unscoped: leftovers belong to nobody whose rights could be asked about
        disclosure = Disclosure(
            time=self._clock(),
            interaction=interaction,
            subject=caller.subject,
            client=caller.client,
            request_id=f"sweep-{new_id()}",
            reason=caller.system_reason,
            touched=touched,
        )
        transaction.audit(disclosure.encode())
