"""Who is refused is refused before a byte is read, and nothing is left behind."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.access.callers import STRANGERS, headers_of
from tests.access.records import TEXT, a, places, put
from tests.audit.rows import disclosures
from tests.servers import FHIR_JSON, Served, serving

ANNOUNCED_BYTES = 10 * 2**20
FORM = "application/x-www-form-urlencoded"

WRITES = [
    ("POST", "/Binary", TEXT),
    ("POST", "/Binary", FHIR_JSON),
    ("PUT", "/Binary/b", TEXT),
    ("PUT", "/Binary/b", FHIR_JSON),
    ("POST", "/Media", FHIR_JSON),
    ("PUT", "/Media/m", FHIR_JSON),
    ("POST", "/_search", FORM),
    ("POST", "/Media/_search", FORM),
    ("POST", "/Patient/anna/Media/_search", FORM),
]
"""Every route that takes a body."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("refusals") / "data") as server:
        put(server, *places(), a("Media", "m"))
        yield server


def announce(
    served: Served, method: str, path: str, headers: dict[str, str], *, size_bytes: int = ANNOUNCED_BYTES
) -> bytes:
    """Send the head of a request that would wait for permission to send so many bytes; the beginning of the answer."""
    address = urlsplit(served.base)
    head = headers | {"Host": address.netloc, "Content-Length": str(size_bytes), "Expect": "100-continue"}
    lines = [f"{method} {address.path}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.recv(2**16)


def stored(path: Path) -> dict[str, int]:
    """Files that hold bytes, and what has been received of others."""
    return {str(each): each.stat().st_size for each in path.rglob("*") if each.is_file() and "objects" in each.parts}


def written(path: Path) -> int:
    return sum(1 for row in disclosures(path) if row.outcome == "0" and row.interaction in ("create", "update"))


@pytest.mark.parametrize(("method", "path", "content_type"), WRITES)
def test_strangers_send_nothing(served: Served, method: str, path: str, content_type: str) -> None:
    before = stored(served.folder), written(served.folder)
    for kind in STRANGERS:
        headers = headers_of(kind, served) | {"Content-Type": content_type}
        answer = announce(served, method, path, headers)
        assert answer.startswith(b"HTTP/1.1 401 "), (kind, answer[:80])
    assert (stored(served.folder), written(served.folder)) == before


@pytest.mark.parametrize(("method", "path", "content_type"), [each for each in WRITES if "_search" not in each[1]])
def test_who_may_not_write_sends_nothing(served: Served, method: str, path: str, content_type: str) -> None:
    before = stored(served.folder), written(served.folder)
    for scope in ("user/Encounter.cruds", "user/*.rs", "patient/*.rs"):
        headers = served.headers(scope, patient="anna") | {"Content-Type": content_type}
        answer = announce(served, method, path, headers)
        assert answer.startswith(b"HTTP/1.1 403 "), (scope, answer[:80])
    assert (stored(served.folder), written(served.folder)) == before


def test_who_may_is_asked_to_go_on(served: Served) -> None:
    """The control: a caller who may write is told to send."""
    for method, path, content_type in WRITES:
        if method == "POST":
            headers = served.headers() | {"Content-Type": content_type}
            answer = announce(served, method, path, headers, size_bytes=1000)
            assert answer.startswith(b"HTTP/1.1 100 "), (path, answer[:80])


def test_a_body_too_large_is_not_read(served: Served) -> None:
    global_limit = {"Content-Type": FHIR_JSON}
    address = urlsplit(served.base)
    head = served.headers() | global_limit | {"Host": address.netloc, "Content-Length": str(2**40)}
    lines = [f"POST {address.path}/Media HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_elsewhere_is_no_token(served: Served, method: str) -> None:
    token, headers = served.token(), served.headers()
    path = f"{served.base}/Media" + ("" if method == "GET" else "/_search")
    for sent_headers in ({}, headers):
        sent = sent_headers | {"Content-Type": FORM}
        answer = served.http.request(method, f"{path}?access_token={token}", headers=sent)
        assert answer.status_code == 400
        assert token not in answer.text
    lenient = headers | {"Content-Type": FORM, "Prefer": "handling=lenient"}
    for form in ({"access_token": token}, {"_count": "1", "access_token": token}):
        answer = served.http.post(f"{served.base}/Media/_search", data=form, headers=lenient)
        assert answer.status_code == 400
        answer = served.http.post(f"{served.base}/Media/_search", data=form, headers={"Content-Type": FORM})
        assert answer.status_code == 401
    kept = [file for file in served.folder.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]
    assert kept == []


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "{bearer}"), ("Authorization", "{bearer}")],
        [("Authorization", "Basic a2ltOnNlY3JldA==")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer {token} {token}")],
        [("Authorization", "{token}")],
        [("Authorization", "Token {token}")],
        [("Authorization", "Bearer {token}x")],
        [("Authorization", "Bearer " + "[" * 7000)],
        [("X-Authorization", "{bearer}")],
        [("Cookie", "access_token={token}")],
    ],
)
def test_what_is_no_single_bearer_token_is_none(served: Served, headers: list[tuple[str, str]]) -> None:
    token = served.token()
    sent = [(name, value.replace("{bearer}", f"Bearer {token}").replace("{token}", token)) for name, value in headers]
    answer = served.http.get(f"{served.base}/Media/m", headers=sent)
    assert answer.status_code == 401
    assert answer.json()["issue"][0]["code"] == "login"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert token not in answer.text


def test_how_refusals_are_told(served: Served) -> None:
    expired = served.http.get(f"{served.base}/Media/m", headers=headers_of("expired", served))
    assert expired.json()["issue"][0]["code"] == "expired"
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    forbidden = served.http.get(f"{served.base}/Media/m", headers=headers_of("no-scope", served))
    assert forbidden.status_code == 403
    assert forbidden.json()["issue"][0]["code"] == "forbidden"
    assert 'error="insufficient_scope"' in forbidden.headers["www-authenticate"]
    hidden = served.http.get(f"{served.base}/Media/m", headers=headers_of("other-unit", served))
    absent = served.http.get(f"{served.base}/Media/never", headers=headers_of("other-unit", served))
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content


@pytest.mark.parametrize(
    "scope",
    [
        "user/Media:cruds",
        "user/media.cruds",
        "User/Media.cruds",
        "user/Media.Read",
        "user/Media.dr",
        "user/Media%2ecruds",
        "user/Media.cruds?",
        "user/Media.cruds?nothing=x",
        "launch openid",
    ],
)
def test_undefined_scopes_give_nothing(served: Served, scope: str) -> None:
    assert served.http.get(f"{served.base}/Media/m", headers=served.headers(scope)).status_code in (401, 403)
