"""A body that ends before its announced length: refused or unanswered, and nothing of it stays."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.examine import Examiner
from tests.faults.resources import PATIENT, picture
from tests.servers import Served, serving

ANNOUNCED = 3_000_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("cut") / "data"
    with serving(folder) as found:
        found.put(PATIENT)
        yield found
    assert not any((folder / "tmp").iterdir())


def versions(served: Served) -> frozenset[tuple[str, int]]:
    """What is stored."""
    examiner = Examiner(served.folder)
    assert examiner.look(()) == []
    return examiner.versions


@pytest.mark.parametrize("sent", [0, 1, 600, 1_048_576, 2_500_000, ANNOUNCED - 1])
@pytest.mark.parametrize("ending", ["half closed", "closed", "reset"])
@pytest.mark.parametrize("path", ["Binary", "Media"])
def test_nothing_stays(served: Served, path: str, ending: str, sent: int) -> None:
    before = versions(served)
    kind = "image/jpeg" if path == "Binary" else "application/fhir+json"
    content = (
        picture(max(sent, 12), seed=1)[:sent] if path == "Binary" else b'{"resourceType":"Media",'.ljust(sent)[:sent]
    )
    answer = send(served, path, kind, content, ending=ending)
    if answer:
        assert answer.split()[1] == b"400"
        assert b"OperationOutcome" in answer
    wait_for_nothing(served.folder / "tmp")
    assert versions(served) == before
    assert served.http.get(f"{served.base}/Patient/anna", headers=served.headers()).status_code == 200


def send(served: Served, path: str, kind: str, content: bytes, *, ending: str) -> bytes:
    """Send less than is announced and end the connection in one of its ways; what comes back, if anything."""
    host, _, port = served.base.removeprefix("http://").removesuffix("/fhir").partition(":")
    token = served.token()
    head = (
        f"POST /fhir/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {ANNOUNCED}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + content)
        if ending == "half closed":
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(65_536):
                received += part
            return received
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return b""


def wait_for_nothing(folder: Path) -> None:
    """What was received is removed when the server notices."""
    until, quiet = time.monotonic() + 5, 0
    while quiet < 5:
        assert time.monotonic() < until, "an upload was left behind"
        time.sleep(0.01)
        quiet = 0 if any(folder.iterdir()) else quiet + 1
