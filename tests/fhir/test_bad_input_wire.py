"""Bad input below HTTP's good manners, over plain sockets: too much, too little, and what is no request at all."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.access.records import a
from tests.fhir.rest import bytes_stored, nothing_stored
from tests.servers import Served

MIB = 2**20


def exchange(served: Served, *parts: bytes, end: bool = False, wait_s: float = 10) -> tuple[int, dict[str, str], bytes]:
    """Send the parts and read one answer: status, headers in lower case, body. Status 0: it hung up."""
    address = urlsplit(served.base)
    with socket.create_connection((address.hostname, address.port or 0), timeout=wait_s) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused while it was still speaking; the answer is waiting
        gathered = b""
        try:
            while not _is_whole(gathered):
                got = connection.recv(65536)
                if not got:
                    break
                gathered += got
        except ConnectionResetError:
            pass
    head, _, body = gathered.partition(b"\r\n\r\n")
    if not head:
        return 0, {}, b""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def _is_whole(gathered: bytes) -> bool:
    head, end, body = gathered.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return bool(end) and len(body) >= int(line.partition(b":")[2])
    return False


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode() + body


def outcome(answer: tuple[int, dict[str, str], bytes], status: int) -> None:
    """An OperationOutcome with this status."""
    got, headers, body = answer
    assert got == status, (got, body[:300])
    assert headers["content-type"] == "application/fhir+json"
    assert json.loads(body)["resourceType"] == "OperationOutcome"


@pytest.fixture(scope="module")
def staff(served: Served) -> dict[str, str]:
    return served.headers()


class TestTooMuch:
    """Limits on what precedes the body."""

    @pytest.mark.parametrize("size", [80_000, MIB])
    def test_an_address_the_parser_refuses(self, served: Served, staff: dict[str, str], size: int) -> None:
        """Above 64 kB it does not reach the application."""
        for target in (f"/fhir/Media?status={'a' * size}", f"/fhir/Media/{'a' * size}"):
            status, headers, body = exchange(served, request("GET", target, staff))
            assert status == 400
            assert headers["content-type"].startswith("text/plain")
            assert len(body) < 100

    @pytest.mark.parametrize("size", [17_000, 60_000])
    def test_an_address_over_16_kb(self, served: Served, staff: dict[str, str], size: int) -> None:
        for target in (f"/fhir/Media?status={'a' * size}", f"/fhir/Media/{'a' * size}", f"/{'a' * size}"):
            outcome(exchange(served, request("GET", target, staff)), 414)

    def test_an_address_under_16_kb(self, served: Served, staff: dict[str, str]) -> None:
        status, _, _ = exchange(served, request("GET", f"/fhir/Media?status={'a' * 16_000}", staff))
        assert status == 200

    def test_ten_thousand_values(self, served: Served, staff: dict[str, str]) -> None:
        query = "status=" + ",".join(["x"] * 10_000)
        started = time.monotonic()
        outcome(exchange(served, request("GET", f"/fhir/Media?{query}", staff)), 414)
        form = staff | {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(query))}
        answer = exchange(served, request("POST", "/fhir/Media/_search", form, query.encode()))
        outcome(answer, 400)
        assert json.loads(answer[2])["issue"][0]["code"] == "too-costly"
        assert time.monotonic() - started < 5

    def test_a_form_over_256_kb(self, served: Served, staff: dict[str, str]) -> None:
        form = staff | {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(300_000)}
        outcome(exchange(served, request("POST", "/fhir/Media/_search", form, b"a" * 300_000)), 413)

    @pytest.mark.parametrize("size", [65_536, 100_000, MIB])
    def test_headers_over_64_kb(self, served: Served, staff: dict[str, str], size: int) -> None:
        started = time.monotonic()
        outcome(exchange(served, request("GET", "/fhir/Media", staff | {"X-Long": "a" * size})), 431)
        many = {f"X-{number}": "a" * 100 for number in range(size // 100)}
        outcome(exchange(served, request("GET", "/fhir/Media", staff | many)), 431)
        assert time.monotonic() - started < 5

    def test_a_body_announced_too_large_is_not_waited_for(self, served: Served, staff: dict[str, str]) -> None:
        headers = staff | {"Content-Length": str(16 * MIB + 1)}
        with nothing_stored(served):
            outcome(exchange(served, request("POST", "/fhir/Media", headers, b'{"resourceType"')), 413)

    def test_a_body_found_too_large(self, served: Served, staff: dict[str, str]) -> None:
        headers = staff | {"Transfer-Encoding": "chunked"}
        chunk = f"{MIB:x}\r\n".encode() + b" " * MIB + b"\r\n"
        with nothing_stored(served):
            outcome(exchange(served, request("POST", "/fhir/Media", headers), *[chunk] * 17), 413)

    def test_a_stranger_is_refused_before_the_body(self, served: Served) -> None:
        headers = {"Content-Type": "image/png", "Content-Length": str(2**40), "Authorization": "Bearer a.b.c"}
        with nothing_stored(served):
            outcome(exchange(served, request("POST", "/fhir/Binary", headers, b"x" * 1000)), 401)


class TestTooLittle:
    """Uploads that end before their end."""

    @pytest.mark.parametrize("type", ["application/octet-stream", "application/fhir+json"])
    def test_a_truncated_upload_leaves_nothing(self, served: Served, staff: dict[str, str], type: str) -> None:
        before = bytes_stored(served)
        headers = staff | {"Content-Type": type, "Content-Length": "100000"}
        with nothing_stored(served):
            for path in ("/fhir/Binary", "/fhir/Media"):
                exchange(served, request("POST", path, headers, b"x" * 50_000), end=True)
            _settle(served)
        assert bytes_stored(served) == before

    def test_chunks_that_stop(self, served: Served, staff: dict[str, str]) -> None:
        before = bytes_stored(served)
        headers = staff | {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
        with nothing_stored(served):
            exchange(served, request("POST", "/fhir/Binary", headers, b"10000\r\n" + b"x" * 65_536 + b"\r\n"), end=True)
            exchange(served, request("POST", "/fhir/Binary", headers, b"4\r\nxxxx\r\nZZ\r\n"), end=True)
            _settle(served)
        assert bytes_stored(served) == before
        assert list((served.folder / "tmp").iterdir()) == []


def _settle(served: Served) -> None:
    """Until the server has let go of what it was receiving."""
    until = time.monotonic() + 5
    while any((served.folder / "tmp").iterdir()) and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /fhir/Media\r\n\r\n",
        b"GET /fhir/Media HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /fhir/Media HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /fhir/Media HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /fhir/Media HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /fhir/Media HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /fhir/Media HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
        b"GET /fhir/Media HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET /fhir/M\0edia HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_short_answer(served: Served, raw: bytes) -> None:
    with nothing_stored(served):
        status, headers, body = exchange(served, raw, end=True)
    assert status in (0, 400, 401)
    assert len(body) < 1000
    assert b"Traceback" not in body
    if status == 400:
        assert headers["content-type"].startswith(("text/plain", "application/fhir+json"))
    still = served.http.get(f"{served.base}/metadata")
    assert still.status_code == 200


def test_a_slow_header_does_not_hold_up_others(served: Served, staff: dict[str, str]) -> None:
    address = urlsplit(served.base)
    with socket.create_connection((address.hostname, address.port or 0), timeout=5) as connection:
        connection.sendall(b"GET /fhir/Media HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert served.http.get(f"{served.base}/Media", headers=staff).status_code == 200
        assert served.http.post(f"{served.base}/Media", json=a("Media", "-"), headers=staff).status_code == 201
