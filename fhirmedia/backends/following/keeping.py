"""The keeper: sees to it that there is an index that answers, without an operator, in one process at a time.

What is not there, is not what this program makes, or is of a database that has since gone back in time, is filled anew
into another generation while the database answers. What is lost is dropped, and what was kept is kept for a week.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from fhirmedia.backends.following.filling import Filler
from fhirmedia.backends.following.generations import Generation
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.presence import Presence
from fhirmedia.core.clock import Clock
from fhirmedia.ports.generations import SearchEngine

CHECK_S = 30.0
"""Between looks at whether every generation is still as it was made."""
_LOOK_S = 0.5
_REST_S = 5.0
KEPT_MS = 7 * 86_400_000
GIVEN_UP_S = 600.0
"""So long a part of an index may be on no node before that index is lost."""

log = logging.getLogger("fhirmedia")

Turn = Callable[[], AbstractContextManager[bool]]
"""True inside for one process at a time."""


class Keeper:
    """Works as long as `run` runs."""

    def __init__(
        self, outbox: Outbox, engine: SearchEngine, filler: Filler, presence: Presence, *, clock: Clock, turn: Turn
    ) -> None:
        self._outbox = outbox
        self._engine = engine
        self._filler = filler
        self._presence = presence
        self._clock = clock
        self._turn = turn
        self._checked = float("-inf")
        self._returns = -1
        self._incomplete: dict[str, float] = {}
        self._started = clock()
        self._stood_aside = False

    async def run(self, *, stands_by: Callable[[], bool] = lambda: False) -> None:
        """Look now and then whether all is well, until cancelled."""
        while True:
            await self._presence.back()
            try:
                if not stands_by():
                    await self.settle()
                await asyncio.sleep(_LOOK_S)
            except Exception as error:  # noqa: BLE001 (the keeper outlives whatever happens)
                log.error(
                    "the search index could not be looked after (%s); it will be tried again", type(error).__name__
                )
                self._presence.doubt()
                await asyncio.sleep(_REST_S)

    async def settle(self) -> None:
        """Once: check, fill if nothing answers, and clear away. Raises Failure UNAVAILABLE."""
        with self._turn() as is_mine:
            if not is_mine:
                return
            if self._presence.returns != self._returns or time.monotonic() - self._checked > CHECK_S:
                if self._presence.returns != self._returns:
                    self._incomplete.clear()
                self._returns = self._presence.returns
                await self._check()
                self._checked = time.monotonic()
            live = self._outbox.generations().live
            if (live is None or live.fingerprint != self._engine.fingerprint) and not self._stands_aside():
                await self._fill()
            await self._clear()

    def _stands_aside(self) -> bool:
        """Whether another version of the program, which was started later than this one, looks after the index."""
        targets = self._outbox.generations().targets
        foreign = [each for each in targets if each.fingerprint != self._engine.fingerprint]
        is_newer = any(each.state_since > self._started for each in foreign)
        if is_newer and not self._stood_aside:
            log.warning("another version of the program fills the search index; start this one anew if it is to")
        self._stood_aside = is_newer
        return is_newer

    async def _check(self) -> None:
        for each in self._outbox.generations().targets:
            if each.fingerprint != self._engine.fingerprint:
                continue
            if not await self._engine.is_sound(each.name):
                await self._lose(each, "is gone, or not as it was made")
            elif not await self._engine.is_complete(each.name):
                since = self._incomplete.setdefault(each.name, time.monotonic())
                if time.monotonic() - since > GIVEN_UP_S:
                    await self._lose(each, "has parts that are on no node")
            # The engine first: a change that comes in between has its number in the database before it is there.
            elif await self._engine.newest_order(each.name) > self._outbox.newest():
                await self._lose(each, "is ahead of the database, which seems to have been restored")
            else:
                self._incomplete.pop(each.name, None)

    async def _lose(self, generation: Generation, why: str) -> None:
        log.error("the search index (%s) %s; it is filled anew where it is needed", generation.state, why)
        await self._filler.set_state(generation, "lost")

    async def _fill(self) -> None:
        generation = self._outbox.generations().in_state("filled")
        if generation is None or generation.fingerprint != self._engine.fingerprint:
            generation = await self._filler.begin()
            log.warning("the search index is being filled; the database answers until it is")
            await self._filler.fill(generation, on_progress=lambda _changes, _documents: None)
        await self._filler.publish(generation)
        log.warning("the search index is filled, and answers")

    async def _clear(self) -> None:
        for each in self._outbox.generations().each:
            is_old = each.state == "kept" and self._clock() - each.state_since > KEPT_MS
            if each.state == "lost" or is_old:
                await self._filler.drop(each)
