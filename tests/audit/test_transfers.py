"""Downloads over HTTP: large ones are told once more when they are over, and so is every one that breaks off."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fhirmedia.core.disclosure import Disclosure
from tests.access.records import a, put, with_content
from tests.audit.rows import disclosures
from tests.servers import Served, make_demo_folder, serving

MIB = 2**20
SIZE = 24 * MIB
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on a folder whose rows nobody else adds to."""
    path = tmp_path_factory.mktemp("transfers") / "data"
    make_demo_folder(path)
    with serving(path) as served:
        put(served, a("Patient", "anna"))
        yield served


@pytest.fixture(scope="module")
def url(own: Served) -> str:
    """Where 24 MiB are."""
    made = own.http.post(f"{own.base}/Binary", content=bytes(SIZE), headers=own.headers() | {"Content-Type": OCTETS})
    put(own, a("Media", "film", **with_content(f"Binary/{made.json()['id']}", contentType=OCTETS)))
    return f"{own.base}/Binary/{made.json()['id']}"


def told(path: Path, request: str) -> Disclosure | None:
    """What was told of sending for a request, once it is."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for row in disclosures(path):
            if row.interaction == "content-sent" and row.request_id == request:
                return row
        time.sleep(0.05)
    return None


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"Accept": OCTETS}, SIZE),
        ({"Accept": "application/fhir+json"}, SIZE),
        ({"Accept": OCTETS, "Range": f"bytes=5-{9 * MIB}"}, 9 * MIB - 4),
        ({"Accept": OCTETS, "Range": f"bytes=0-{5 * MIB - 1},-{4 * MIB}"}, 9 * MIB),
    ],
    ids=["whole", "as JSON", "a range", "ranges"],
)
def test_large_ones(own: Served, url: str, headers: dict[str, str], sent: int) -> None:
    request = f"large-{sent}-{len(headers)}-{headers['Accept'][-4:]}"
    answer = own.http.get(url, headers=own.headers() | headers | {"X-Request-Id": request})
    assert answer.status_code in (200, 206)
    row = told(own.folder, request)
    assert row is not None
    assert (row.outcome, row.sent) == ("0", sent)
    assert (row.permitted_by or "").startswith("disclosures-")


def test_one_that_breaks_off(own: Served, url: str) -> None:
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = own.headers() | {"Host": address.host, "Accept": OCTETS, "X-Request-Id": "broken-off"}
        head = f"GET {address.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(head.encode() + b"\r\n")
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
    row = told(own.folder, "broken-off")
    assert row is not None
    assert (row.outcome, row.issue) == ("4", "incomplete")
    assert 0 <= (row.sent or 0) < SIZE


def test_no_look_of_its_own(own: Served, url: str) -> None:
    """An auditor finds how much left; a patient's log tells of the download once."""
    own.http.get(url, headers=own.headers() | {"Accept": OCTETS, "X-Request-Id": "seen-once"})
    assert told(own.folder, "seen-once") is not None
    auditor = own.headers("system/*.rs", roles=["auditor"])
    found = own.http.get(f"{own.base}/AuditEvent?patient=Patient/anna&_sort=-date", headers=auditor).json()
    events = [entry["resource"] for entry in found["entry"]]
    event = next(event for event in events if event["subtype"][0]["code"] == "content-sent")
    assert event["action"] == "R"
    details = {each["type"]: each["valueString"] for each in event["entity"][1]["detail"]}
    assert details["bytes-sent"] == str(SIZE)
    assert details["permitted-by"].startswith("disclosures-")
    log = own.http.get(f"{own.base}/Patient/anna/$access-log", headers=auditor).json()
    actions = [part["valueCode"] for entry in log["parameter"] for part in entry["part"] if part["name"] == "action"]
    assert "read" in actions
    assert "content-sent" not in actions
