"""Processes known by pid and time of birth, so that a pid that was given away again is left alone."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CHILDREN: list["subprocess.Popen[bytes]"] = []
"""Processes that outlive the one that started them, kept from being collected with a warning."""


def forget(started: "subprocess.Popen[bytes]") -> None:
    """Let a process live on without its starter."""
    _CHILDREN.append(started)


@dataclass(frozen=True, slots=True)
class Running:
    """A process: its pid, and the ticks since boot at which it began."""

    pid: int
    born: int

    @classmethod
    def of(cls, pid: int) -> "Running | None":
        """The process of that pid now; None if there is none."""
        born = _born(pid)
        return None if born is None else cls(pid, born)

    def alive(self) -> bool:
        """Whether it is still running, and not only waiting to be collected."""
        living = _born(self.pid) == self.born
        for child in _CHILDREN:
            if child.pid == self.pid and not living:
                child.poll()
        return living

    def send(self, number: signal.Signals) -> None:
        """Send it a signal if it is alive."""
        if self.alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._wait(10.0)

    def end(self, *, within_s: float) -> None:
        """Ask it to end, and after `within_s` make it."""
        self.send(signal.SIGTERM)
        if not self._wait(within_s):
            self.kill()

    def _wait(self, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self.alive():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        for child in _CHILDREN:
            if child.pid == self.pid:
                with suppress(subprocess.TimeoutExpired):
                    # Its threads may need a moment longer than its first one.
                    child.wait(timeout=5.0)
        return True


def _born(pid: int) -> int | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])
