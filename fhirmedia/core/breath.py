"""Long work on an event loop that lets others through in between."""

import asyncio
import time
from dataclasses import dataclass, field

SLICE_S = 0.005
"""After so much work on one thing the event loop sees to others."""


@dataclass(slots=True)
class Breath:
    """Lets the event loop go on now and then."""

    until: float = field(default_factory=lambda: time.monotonic() + SLICE_S)

    async def take(self) -> None:
        """Go on at once, or after others, if it is their turn."""
        if time.monotonic() > self.until:
            await asyncio.sleep(0)
            self.until = time.monotonic() + SLICE_S
