"""Ranges of bytes (RFC 9110, sections 13.1.5 and 14), their conditions, HEAD and Repr-Digest (RFC 9530)."""

import base64
import hashlib
import os
from email.message import Message
from email.parser import BytesParser

import httpx
import pytest

from tests.fhir.rest import refusal
from tests.servers import Served

CONTENT = os.urandom(3 * 2**20 + 17)
SIZE = len(CONTENT)
TYPE = "application/octet-stream"


@pytest.fixture(scope="module")
def url(served: Served) -> str:
    """Three mebibytes and a bit, so that checked runs are crossed."""
    headers = served.headers() | {"Content-Type": TYPE}
    answer = served.http.post(f"{served.base}/Binary", content=CONTENT, headers=headers)
    return f"{served.base}/Binary/{answer.json()['id']}"


def ask(served: Served, url: str, method: str = "GET", **named: str) -> httpx.Response:
    """A request with these headers (`if_range` is If-Range)."""
    headers = served.headers() | {name.replace("_", "-"): value for name, value in named.items()}
    return served.http.request(method, url, headers=headers)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=5-9", 5, 10),
        ("bytes=1048575-1048576", 1048575, 1048577),
        ("bytes=1000-2999999", 1000, 3_000_000),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes={SIZE - 1}-{SIZE + 100}", SIZE - 1, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-2000000", SIZE - 2_000_000, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("Bytes = 5-9", 5, 10),
        ("bytes=5-9,", 5, 10),
        ("bytes=99999999-,5-9", 5, 10),
    ],
)
def test_one_range(served: Served, url: str, asked: str, start: int, stop: int) -> None:
    answer = ask(served, url, range=asked)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert int(answer.headers["content-length"]) == stop - start
    assert answer.headers["content-type"] == TYPE
    assert answer.content == CONTENT[start:stop]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-0,-1",
        "bytes=0-9,20-29,10-19",
        "bytes=2097000-2098000,5-9",
        "bytes=" + ",".join(f"{n}0-{n}5" for n in range(8)),
    ],
)
def test_several_ranges_come_in_parts_in_the_order_asked(served: Served, url: str, asked: str) -> None:
    answer = ask(served, url, range=asked)
    assert answer.status_code == 206
    assert "content-range" not in answer.headers
    assert len(answer.content) == int(answer.headers["content-length"])
    whole = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.content
    parsed: Message = BytesParser().parsebytes(whole)
    assert parsed.get_content_type() == "multipart/byteranges"
    spans = []
    for part in parsed.get_payload():
        assert isinstance(part, Message)
        assert part.get_content_type() == TYPE
        unit, _, rest = part["Content-Range"].partition(" ")
        first, last = map(int, rest.partition("/")[0].split("-"))
        assert (unit, rest.partition("/")[2]) == ("bytes", str(SIZE))
        assert CONTENT[first : last + 1] in answer.content
        spans.append((first, last + 1))
    assert spans == [_span(each) for each in asked.removeprefix("bytes=").split(",")]
    boundary = parsed.get_boundary()
    pieces = answer.content.split(f"\r\n--{boundary}".encode())
    assert pieces[-1] == b"--\r\n"
    assert [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]] == [CONTENT[a:b] for a, b in spans]


def _span(spec: str) -> tuple[int, int]:
    first, _, last = spec.partition("-")
    return (SIZE - int(last), SIZE) if not first else (int(first), int(last) + 1)


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE}-{SIZE + 5}",
        "bytes=999999999999999999-",
        "bytes=-0",
        "bytes=0-9,5-14",
        "bytes=0-,-5",
        "bytes=0-0,0-0",
        "bytes=" + ",".join(f"{n}0-{n}5" for n in range(9)),
        "bytes=" + ",".join(["0-"] * 1000),
    ],
)
def test_what_cannot_be_satisfied_is_416(served: Served, url: str, asked: str) -> None:
    answer = ask(served, url, range=asked)
    refusal(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes",
        "bytes=",
        "bytes=x-y",
        "bytes=9-5",
        "lines=0-5",
        "bytes=-",
        "bytes=--5",
        "0-5",
        "bytes=0x1-5",
        "bytes=0-5;x",
    ],
)
def test_what_is_malformed_is_ignored(served: Served, url: str, asked: str) -> None:
    answer = ask(served, url, range=asked)
    assert answer.status_code == 200
    assert answer.content == CONTENT


def test_nothing_of_nothing(served: Served) -> None:
    headers = served.headers() | {"Content-Type": "text/plain"}
    made = served.http.post(f"{served.base}/Binary", content=b"", headers=headers).json()
    empty = f"{served.base}/Binary/{made['id']}"
    for asked in ("bytes=0-", "bytes=-5"):
        answer = ask(served, empty, range=asked)
        refusal(answer, 416)
        assert answer.headers["content-range"] == "bytes */0"
    assert ask(served, empty).content == b""


class TestConditions:
    """If-Range and If-None-Match by strong ETag, If-Range by date."""

    def test_if_range(self, served: Served, url: str) -> None:
        whole = ask(served, url, "HEAD")
        etag, date = whole.headers["etag"], whole.headers["last-modified"]
        for holds in (etag, date):
            assert ask(served, url, range="bytes=0-4", if_range=holds).status_code == 206
        for differs in ("W/" + etag, '"other"', etag.strip('"'), "Thu, 01 Jan 1970 00:00:00 GMT", "x", ""):
            answer = ask(served, url, range="bytes=0-4", if_range=differs)
            assert (answer.status_code, len(answer.content)) == (200, SIZE)

    def test_etags_are_strong_and_differ_between_forms(self, served: Served, url: str) -> None:
        raw, document = ask(served, url, "HEAD"), ask(served, url, "HEAD", accept="application/fhir+json")
        assert raw.headers["etag"][0] == document.headers["etag"][0] == '"'
        assert raw.headers["etag"] != document.headers["etag"]

    def test_if_none_match(self, served: Served, url: str) -> None:
        etag = ask(served, url, "HEAD").headers["etag"]
        for known in (etag, f'"x", {etag}', "*"):
            answer = ask(served, url, if_none_match=known)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
        assert ask(served, url, if_none_match='"x"', range="bytes=0-1").status_code == 206
        assert ask(served, url, if_none_match=etag, range="bytes=0-1").status_code == 304
        assert ask(served, url, if_none_match=etag, accept="application/fhir+json").status_code == 200

    def test_equal_bytes_of_two_binaries_have_etags_of_their_own_versions(self, served: Served, url: str) -> None:
        headers = served.importer() | {"Content-Type": "text/plain"}
        one = f"{served.base}/Binary/replaced"
        tags = []
        for content in (b"a", b"b", b"a"):
            served.http.put(one, content=content, headers=headers)
            tags.append(served.http.head(one, headers=headers).headers["etag"])
        assert len(set(tags)) == 3


def test_head_is_get_without_the_bytes(served: Served, url: str) -> None:
    for named in ({}, {"accept": "application/fhir+json"}, {"accept": "image/png"}):
        whole, head = ask(served, url, **named), ask(served, url, "HEAD", **named)
        changing = {"date", "x-request-id"}
        assert head.content == b""
        assert {k: v for k, v in head.headers.items() if k not in changing} == {
            k: v for k, v in whole.headers.items() if k not in changing
        }
    ranged = ask(served, url, "HEAD", range="bytes=0-4")
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, str(SIZE))


def test_the_digest_is_of_the_whole_whatever_part_is_sent(served: Served, url: str) -> None:
    expected = f"sha-256=:{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
    for answer in (ask(served, url), ask(served, url, range="bytes=5-9"), ask(served, url, "HEAD")):
        assert answer.headers["repr-digest"] == expected
        assert answer.headers["accept-ranges"] == "bytes"
