"""A progress bar on a terminal, a line now and then elsewhere; both on standard error."""

import sys
import time
from types import TracebackType
from typing import Self

WIDTH = 28
QUIET_S = 5.0


class Progress:
    """Counts to a total and says how fast it goes and how long it takes.

    Where the total is not known in things but in bytes (`total_bytes`), the way is measured in them.
    """

    def __init__(self, title: str, total: int | None = None, *, total_bytes: int = 0) -> None:
        self._title = title
        self._total = total
        self._way = total_bytes if total is None else total
        self._gone = 0
        self._done = 0
        self._started = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(time.monotonic())
        if self._live:
            print(file=sys.stderr)

    def advance(self, number: int = 1, *, size_bytes: int = 0) -> None:
        """So many more are done."""
        self._done += number
        self._gone += number if self._total is not None else size_bytes
        now = time.monotonic()
        if now - self._shown > (0.1 if self._live else QUIET_S):
            self._show(now)

    def _show(self, now: float) -> None:
        self._shown = now
        passed = max(now - self._started, 1e-6)
        left = (self._way - self._gone) * passed / self._gone if self._gone else 0.0
        filled = min(WIDTH * self._gone // max(self._way, 1), WIDTH)
        bar = "█" * filled + "░" * (WIDTH - filled)
        count = f"{self._done}" if self._total is None else f"{self._done}/{self._total}"
        text = f"{self._title} {bar} {count}  {self._done / passed:,.0f}/s  {left:.0f} s left"
        print(f"\r{text}\x1b[K" if self._live else text, end="" if self._live else "\n", file=sys.stderr, flush=True)
