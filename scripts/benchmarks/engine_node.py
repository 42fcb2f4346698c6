"""An Elasticsearch of the benchmark's own, and what it says about an index."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from scripts.benchmarks.servers import used_s
from scripts.real_servers.elastic import Node
from scripts.real_servers.places import grounds

HEAP_MB = 1024
PREFIX = "bench"


@contextmanager
def elasticsearch() -> Iterator[Node]:
    """An empty one that answers; it is ended, and its folder removed. Raises UnavailableError if it cannot be had."""
    node = Node(grounds() / "elasticsearch-bench", name="bench", heap_mb=HEAP_MB)
    _end_left(node)
    node.wipe()
    try:
        yield node.start()
    finally:
        node.stop()
        shutil.rmtree(node.folder, ignore_errors=True)


def _end_left(node: Node) -> None:
    """End what a run that was killed has left."""
    left = node.server()
    if left is not None and str(node.folder).encode() in Path(f"/proc/{left.pid}/cmdline").read_bytes():
        left.end(within_s=30.0)


def address_of(node: Node, *, port: int | None = None) -> str:
    """What FHIRMEDIA_INDEX says of it, or of what stands before it on another port."""
    return f"elasticsearch://127.0.0.1:{port or node.port}/{PREFIX}"


def asked(node: Node, method: str, path: str, body: object = None) -> Any:
    """The answer to one request. Raises RuntimeError for an error."""
    status, found = node.ask(method, path, body, within_s=900.0)
    if status != HTTPStatus.OK:
        raise RuntimeError(f"{method} {path} answered {status}: {str(found)[:300]}")
    return found


def cpu_s(node: Node) -> float:
    """CPU seconds it has used."""
    server = node.server()
    return 0.0 if server is None else used_s(server.pid)


def bytes_each(node: Node, generation: str) -> tuple[float, int]:
    """Bytes on disk for each document of a generation, and how many documents there are; all that is written counts."""
    where = f"{PREFIX}-{generation}-*"
    asked(node, "POST", f"/{where}/_refresh")
    asked(node, "POST", f"/{where}/_flush")
    primaries = asked(node, "GET", f"/{where}/_stats/store,docs")["_all"]["primaries"]
    number = int(primaries["docs"]["count"])
    return primaries["store"]["size_in_bytes"] / max(number, 1), number
