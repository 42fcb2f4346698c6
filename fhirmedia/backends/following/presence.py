"""Whether an engine is there, so that no search waits for one that is not: asked beside the searches, not by them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from fhirmedia.core.errors import Category, Failure

log = logging.getLogger("fhirmedia")

LOOK_S = 2.0
"""Between looks for one that is there."""
_FIRST_S, _MOST_S = 0.25, 4.0
"""Between looks for one that is away, doubling."""
_HOLD_S, _MOST_HELD_S = 0.5, 30.0
"""How long one is left alone that answers the watch and fails at searches, doubling."""


class Presence:
    """The engine as this process knows it; away until it has answered once.

    A search that finds it away says so (`lost`). From then on nobody asks it anything but the watch, which finds out
    when it is back.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self._back = asyncio.Event()
        self._doubted = asyncio.Event()
        self._strikes = 0
        self._held_until = 0.0
        self.why = "It has not been asked yet."
        self.returns = 0
        """How often it has come back."""

    @property
    def is_there(self) -> bool:
        """Whether it may be asked."""
        return self._back.is_set()

    def lost(self, failure: Failure) -> None:
        """A search got no answer, or not in time."""
        self._strikes += 1
        self._held_until = time.monotonic() + min(_HOLD_S * 2**self._strikes, _MOST_HELD_S)
        self._leave(failure)

    def served(self) -> None:
        """A search was answered."""
        self._strikes = 0

    def doubt(self) -> None:
        """Something else went wrong with it: look soon."""
        self._doubted.set()

    async def back(self) -> None:
        """Wait until it is there."""
        await self._back.wait()

    async def look(self) -> None:
        """Ask it now."""
        try:
            async with asyncio.timeout(2 * LOOK_S):
                await self._ping()
        except Failure as failure:
            self._leave(failure)
        except TimeoutError:
            self._leave(Failure(Category.UNAVAILABLE, "It does not answer in time."))
        else:
            if time.monotonic() >= self._held_until:
                self._return()

    async def watch(self) -> None:
        """Look again and again, until cancelled: often while it is away."""
        pause = _FIRST_S
        while True:
            await self.look()
            self._doubted.clear()
            if self.is_there:
                pause = _FIRST_S
                await self._rest(LOOK_S)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MOST_S)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
        except TimeoutError:
            pass

    def _leave(self, failure: Failure) -> None:
        why = failure.issues[0].text
        if self._back.is_set() or why != self.why:
            log.warning("the search index cannot be asked: %s", why)
        self.why = why
        self._back.clear()
        self._doubted.set()

    def _return(self) -> None:
        if not self._back.is_set():
            self.returns += 1
            log.warning("the search index answers")
        self._back.set()
