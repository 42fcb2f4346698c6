"""A warm process that forks servers to be killed: `python -m tests.faults.nursery FOLDER PORT_FD [name=FILE …]`.

Everything that can be imported and composed is, before the first fork. For each line on stdin a child is made that
serves the folder on the inherited listener; its pid is said, and how it ended. `name=FILE` puts the class of that
name from another file into the application.

What a long life does now and then, these short ones do often: logs are
copied back after few commits, heads are attested after few rows, and files of the audit are short.
"""

import os
import socket
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import uvicorn

from fhirmedia.app import house
from fhirmedia.app.worker import build_app
from fhirmedia.backends import records_sql
from fhirmedia.backends.disclosures_sql import DisclosureLogSql, LogLimits
from fhirmedia.backends.folder import Folder
from fhirmedia.core.settings import Settings
from fhirmedia.r4.checker import check
from fhirmedia.r4.model import check_model
from fhirmedia.r4.registry import load_registry
from tests.faults.power_scenario import load
from tests.faults.resources import PATIENT, a_media


def main() -> None:
    folder, listener = Folder(Path(sys.argv[1])), socket.socket(fileno=int(sys.argv[2]))
    compose(sys.argv[3:])
    warm()
    say("warm")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            serve(folder, listener)
        say(f"pid {child}")
        _, status = os.waitpid(child, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


def compose(words: Sequence[str]) -> None:
    """Make rare events frequent, and put the classes of `words` in place."""
    limits = LogLimits(attest_rows=20, attest_s=0.05, segment_rows=400)
    records_sql.WalCheckpoints = partial(records_sql.WalCheckpoints, piece_pages=1)
    house.DisclosureLogSql = partial(DisclosureLogSql, limits=limits)
    for word in words:
        name, _, path = word.partition("=")
        setattr(house, name, getattr(load(Path(path)), name))


def warm() -> None:
    """What every child would otherwise do for itself."""
    house.load_registry = cache(load_registry)
    house.load_registry()
    for resource in (PATIENT, a_media("warm", binary="b")):
        kind = str(resource["resourceType"])
        assert not check(resource, type=kind)
        assert not check_model(resource, type=kind)


def serve(folder: Folder, listener: socket.socket) -> None:
    """Serve until killed, or until the storage is found broken."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    built = build_app(folder, Settings(environment="test"), base_url=base)
    config = uvicorn.Config(built, access_log=False, log_level="warning", lifespan="on", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])
    os._exit(0)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
