"""The real application on a folder of its own, over HTTP: in a thread (measured) or as a process (killed)."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from fhirmedia.app.worker import build_app
from fhirmedia.backends.folder import Folder, make_folder
from fhirmedia.core.clock import Clock, system_clock
from fhirmedia.core.settings import Settings
from fhirmedia.issuer.minting import mark_demo, mint

STAFF = "user/*.cruds"
FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server and how to speak to it."""

    base: str
    folder: Path
    http: httpx.Client
    app: ASGIApp | None = None
    clock: Clock = system_clock

    def token(self, scope: str = STAFF, **bound: Any) -> str:
        """A token for this server; keywords as of `mint`."""
        bound.setdefault("now_s", self.clock() // 1000)
        bound.setdefault("audience", self.base)
        return mint(self.folder, scope=scope, **bound)

    def headers(self, scope: str = STAFF, **bound: Any) -> dict[str, str]:
        """Authorization by a fresh token, and FHIR JSON both ways."""
        return {"Authorization": f"Bearer {self.token(scope, **bound)}", "Content-Type": FHIR_JSON}

    def importer(self) -> dict[str, str]:
        """Headers of one who may choose ids and leave references unchecked."""
        return self.headers("system/*.cruds", roles=["importer"])

    def until_read(self) -> None:
        """Wait until no content waits for its text, which is read behind the writes."""
        with closing(sqlite3.connect(f"file:{self.folder / 'records.db'}?mode=ro", uri=True)) as database:
            until = time.monotonic() + 60
            while database.execute("SELECT count(*) FROM pending_text").fetchone()[0]:
                assert time.monotonic() < until, "texts still wait"
                time.sleep(0.02)

    def put(self, resource: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
        """PUT a resource under its own id, as importer unless told otherwise."""
        url = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        return self.http.put(url, json=resource, headers=headers or self.importer())


def make_demo_folder(path: Path) -> Folder:
    """An empty folder marked as demo."""
    folder = make_folder(path, timezone="Europe/Stockholm")
    mark_demo(path)
    return folder


@contextmanager
def serving(path: Path, settings: Settings | None = None, *, clock: Clock = system_clock) -> Iterator[Served]:
    """The application in a thread of this process; the folder is made if it is absent."""
    folder = Folder(path) if path.exists() else make_demo_folder(path)
    listener = _listener()
    base = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    app = build_app(folder, settings or Settings(environment="test"), base_url=base, clock=clock)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            thread.join(0.01)
        with httpx.Client(timeout=30) as http:
            yield Served(base, path, http, app, clock)
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def served_process(path: Path, *words: str, environment: dict[str, str] | None = None) -> Iterator[tuple[Served, int]]:
    """`fhirmedia serve` as a process of its own, with its pid; terminated at the end if it still runs."""
    if not path.exists():
        make_demo_folder(path)
    process, base = start_process(path, words, environment=environment)
    try:
        with httpx.Client(timeout=30) as http:
            yield Served(base, path, http), process.pid
    finally:
        process.terminate()
        process.wait(30)


def start_process(
    path: Path, words: Sequence[str] = (), *, environment: dict[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """The process, once it has said `ready:`, and its FHIR base."""
    with _listener() as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fhirmedia.cli.main", "serve", "--data", str(path), "--port", str(port), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"ready: "):
            base = line.split()[1].decode()
            threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
            return process, base
    process.stderr.close()
    raise RuntimeError(f"the server did not start: exit code {process.wait()}")


def _drain(stream: IO[bytes]) -> None:
    with stream:
        stream.read()


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener
