"""The facts job: works off what waits for a change elsewhere, in whichever processes serve the archive.

A batch is one transaction, which takes what comes first and says where the next one goes on; so it does not matter how
many processes work, which of them ends in between, or whether all of them do.
"""

import asyncio
import logging
from collections.abc import Callable

from fhirmedia.custody.dependents import Dependents
from fhirmedia.ports.changes import Reach
from fhirmedia.ports.maintenance import UpkeepStore

_LOOK_S = 0.25
_PAUSE_S = 0.02
"""Between batches, so that requests do not notice them."""
_REST_S = 5.0
"""After a failure."""

log = logging.getLogger("fhirmedia")


class FactsJob:
    """Makes waiting facts anew, as long as it runs."""

    def __init__(self, store: UpkeepStore, dependents: Dependents, *, pending: Callable[[], frozenset[Reach]]) -> None:
        self._store = store
        self._dependents = dependents
        self._pending = pending

    async def run(self) -> None:
        """Look now and then whether anything waits, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                if self._pending():
                    await self.work_off()
            except Exception as error:  # noqa: BLE001 (the job outlives whatever happens; what it says may quote a record)
                text = "facts that wait for a change elsewhere could not be made anew (%s); it will be tried again"
                log.error(text, type(error).__name__)
                await asyncio.sleep(_REST_S)

    async def work_off(self) -> None:
        """Everything that waits. Raises Failure UNAVAILABLE or DISK_FULL."""
        more = True
        while more:
            more = await self._store.write(self._dependents.work_off)
            await asyncio.sleep(_PAUSE_S)
