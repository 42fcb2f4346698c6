"""The one server of each name that suites and people share: who first needs it starts it, who last used it ends it.

Whoever uses it holds a shared lock, which the kernel frees if they crash. What a person started with `up` stays until
`down`; what a test run started ends with the last run that used it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.real_servers import elastic, processes
from scripts.real_servers.places import SERVICES, grounds, locked

RUN = SERVICES / "run"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: the line that switches fhirmedia over to it, its processes, and whether it stays."""

    name: str
    variable: str
    address: str
    pids: tuple[processes.Running, ...]
    kept: bool

    @property
    def line(self) -> str:
        """As a shell reads it."""
        return f"{self.variable}={self.address}"


class Elasticsearch:
    """Elasticsearch as a shared server."""

    variable = "FHIRMEDIA_INDEX"

    def start(self) -> tuple[str, tuple[processes.Running, ...]]:
        """Address and processes of one that is ready. Raises UnavailableError."""
        node = elastic.Node(grounds() / "elasticsearch", heap_mb=1024)
        node.wipe()
        node.start()
        found = (node.server(), node.process)
        return f"elasticsearch://127.0.0.1:{node.port}", tuple(one for one in found if one is not None)


KINDS = {"elasticsearch": Elasticsearch()}
"""Every server there is, by name."""


def running(name: str) -> Server | None:
    """The server if it runs."""
    path = RUN / f"{name}.json"
    try:
        said = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    pids = tuple(processes.Running(pid, born) for pid, born in said["processes"])
    if not pids or not pids[0].alive():
        return None
    return Server(name, KINDS[name].variable, said["address"], pids, said["kept"])


def up(name: str, *, kept: bool) -> Server:
    """The server, started unless it runs; `kept` is never taken back. Raises UnavailableError."""
    with locked(RUN / f"{name}.lock"):
        server = running(name)
        if server is None:
            address, pids = KINDS[name].start()
            server = Server(name, KINDS[name].variable, address, pids, kept)
        elif kept and not server.kept:
            server = Server(name, server.variable, server.address, server.pids, kept)
        _record(RUN / f"{name}.json", server)
        return server


def down(name: str, *, kept_too: bool = True) -> bool:
    """End the server; False if none ran. Without `kept_too` only what nobody uses and nobody asked to stay."""
    with locked(RUN / f"{name}.lock"):
        server = running(name)
        if server is None or (server.kept and not kept_too):
            return False
        with locked(RUN / f"{name}.users", wait=False) as unused:
            if not (unused or kept_too):
                return False
            for process in server.pids:
                process.end(within_s=30.0)
        (RUN / f"{name}.json").unlink(missing_ok=True)
        return True


@contextmanager
def used(name: str) -> Iterator[None]:
    """Keep other runs from ending the server while the block runs; to be entered before `up`."""
    with locked(RUN / f"{name}.users", shared=True):
        yield


def _record(path: Path, server: Server) -> None:
    said = {"address": server.address, "kept": server.kept, "processes": [(one.pid, one.born) for one in server.pids]}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(said))
    fresh.replace(path)
