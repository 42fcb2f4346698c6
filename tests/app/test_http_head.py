"""Headers that never end are not gathered, and what is within the bound is served as ever."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from fhirmedia.cli.http_head import HEAD_MAX_BYTES, BoundedHttp


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Where a server with this protocol listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(_answer, http=BoundedHttp, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


def status(connection: socket.socket, content: bytes) -> bytes:
    """The status of the answer to these bytes; empty if the connection was closed without one."""
    try:
        connection.sendall(content)
        return connection.recv(4096)[9:12]
    except (BrokenPipeError, ConnectionResetError):
        return b""


@pytest.mark.parametrize("piece", [b"x", b"a: b\r\n"])
@pytest.mark.parametrize("served_before", [0, 2])
def test_headers_without_end_are_cut_off(address: tuple[str, int], piece: bytes, served_before: int) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(served_before):
            assert status(connection, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b"200"
        endless = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + piece * (2 * HEAD_MAX_BYTES // len(piece))
        assert status(connection, endless) in (b"400", b"")


def test_long_headers_and_longer_bodies_are_served(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(2):
            headers = b"Host: x\r\nX: " + b"x" * (HEAD_MAX_BYTES // 2)
            length = 3 * HEAD_MAX_BYTES
            content = b"POST / HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n" % (headers, length) + bytes(length)
            assert status(connection, content) == b"200"
