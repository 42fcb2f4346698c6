"""The yardstick of a read: the least that reads the row and awaits one group-committed, chained row of 300 bytes."""

import asyncio
import hashlib
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROW = b"x" * 300
READ = "SELECT body FROM record_version WHERE type = ? AND id = ? ORDER BY version DESC LIMIT 1"


def settle(answered: "list[asyncio.Future[None]]") -> None:
    """On the event loop."""
    for future in answered:
        future.set_result(None)


def chained_log(path: Path) -> Callable[[bytes], "asyncio.Future[None]"]:
    """A thread that takes what waits, chains it, commits once and answers all."""
    waiting: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()

    def run() -> None:
        log = sqlite3.connect(path, isolation_level=None)
        log.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS log (row BLOB, hash BLOB)"
        )
        head = b""
        while True:
            group = [waiting.get()]
            try:
                while True:
                    group.append(waiting.get_nowait())
            except Empty:
                pass
            log.execute("BEGIN")
            for row, _ in group:
                head = hashlib.sha256(head + row).digest()
                log.execute("INSERT INTO log VALUES (?, ?)", (row, head))
            log.execute("COMMIT")
            answered = [future for _, future in group]
            answered[0].get_loop().call_soon_threadsafe(settle, answered)

    threading.Thread(target=run, daemon=True).start()

    def append(row: bytes) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        waiting.put((row, future))
        return future

    return append


def app(folder: Path, *, audited: bool) -> Starlette:
    """`audited` is the yardstick; without it the route answers a constant."""
    records = sqlite3.connect(
        f"file:{folder}/records.db?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    append = chained_log(folder / "bare.db") if audited else None

    async def read(request: Request) -> Response:
        if append is None:
            return Response(ROW, media_type="application/fhir+json")
        body = records.execute(READ, (request.path_params["type"], request.path_params["id"])).fetchone()[0]
        await append(ROW)
        return Response(body, media_type="application/fhir+json")

    return Starlette(routes=[Route("/fhir/{type}/{id}", read)])


if __name__ == "__main__":
    folder, port, kind = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    uvicorn.run(app(folder, audited=kind == "audited"), port=port, access_log=False, log_level="warning")
