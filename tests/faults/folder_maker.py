"""Makes a data folder and is killed on the way: `python -m tests.faults.folder_maker PARENT EVERY`.

Forks a child for each moment: a statement of SQLite, or whatever Python tells its auditors of (a file opened, a folder
made, a name changed). The child of moment n makes PARENT/n and kills itself there with SIGKILL. Each EVERYth moment is
taken; ends with the first child that finishes its folder.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from fhirmedia.backends.folder import make_folder
from fhirmedia.issuer.minting import mark_demo

WATCHED = ("open", "os.mkdir", "os.chmod", "os.rename", "sqlite3.connect")


def main() -> None:
    parent, every = Path(sys.argv[1]), int(sys.argv[2])
    make_folder(parent / "warm", timezone="UTC")  # what every child would otherwise import
    for moment in count(1, every):
        child = os.fork()
        if child == 0:
            os.close(2)
            watch(ticking(moment), parent)
            make_folder(parent / str(moment), timezone="UTC", mark=mark_demo)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status


def ticking(moment: int) -> Callable[..., None]:
    """What is to be called at each moment, and ends the process at the one given."""
    left = iter(range(moment - 1, -1, -1))

    def tick(*_: object) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tick


def watch(tick: Callable[..., None], parent: Path) -> None:
    """Let `tick` know of each moment of this process, from the first that has to do with the folders on."""

    class Traced(sqlite3.Connection):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            self.set_trace_callback(tick)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WATCHED and str(parent) in str(arguments[0]):
            tick()

    sqlite3.connect = partial(sqlite3.connect, factory=Traced)
    sys.addaudithook(heard)


if __name__ == "__main__":
    main()
