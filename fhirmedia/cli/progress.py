"""A progress bar on a terminal, a line now and then elsewhere; both on standard error."""

import sys
import time
from types import TracebackType
from typing import Self

WIDTH = 28
QUIET_S = 5.0


class Progress:
    """Counts to a total and says how fast it goes and how long it takes."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = self._started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(time.monotonic())
        if self._live:
            print(file=sys.stderr)

    def advance(self, number: int = 1) -> None:
        """So many more are done."""
        self._done += number
        now = time.monotonic()
        if now - self._shown > (0.1 if self._live else QUIET_S):
            self._show(now)

    def _show(self, now: float) -> None:
        self._shown = now
        rate = self._done / max(now - self._started, 1e-6)
        left = (self._total - self._done) / rate if rate and self._total else 0.0
        filled = WIDTH * self._done // max(self._total, 1)
        bar = "█" * filled + "░" * (WIDTH - filled)
        text = f"{self._title} {bar} {self._done}/{self._total}  {rate:,.0f}/s  {left:.0f} s left"
        print(f"\r{text}\x1b[K" if self._live else text, end="" if self._live else "\n", file=sys.stderr, flush=True)
