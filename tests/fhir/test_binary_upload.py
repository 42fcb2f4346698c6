"""Bytes in: any type, any length, streamed; claimed by records that say truly what they are."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.settings import Settings
from tests.access.records import a, places, put
from tests.fhir.rest import Body, bytes_stored, created, nothing_stored, refusal
from tests.servers import FHIR_JSON, Served, served_process, serving

MIB = 2**20
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
TEXT = "text/plain"


def upload(served: Served, content: Any, type: str, headers: dict[str, str] | None = None) -> Any:
    """The answer to a POST of raw bytes."""
    sent = (headers or served.headers()) | {"Content-Type": type}
    return served.http.post(f"{served.base}/Binary", content=content, headers=sent)


def uploaded(served: Served, content: bytes, type: str = TEXT, headers: dict[str, str] | None = None) -> str:
    """The relative URL of a new Binary."""
    answer = upload(served, content, type, headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.json()['id']}"


def hash_of(content: bytes) -> str:
    """As `Attachment.hash` has it."""
    return base64.b64encode(hashlib.sha1(content).digest()).decode()


@pytest.mark.parametrize(
    ("content", "type"),
    [
        (b"", TEXT),
        (b"x", "application/octet-stream"),
        ("Åsa\n".encode(), "text/plain; charset=utf-8"),
        (PNG, "image/png"),
        (PNG, "application/octet-stream"),
        (JPEG, "image/jpg"),
        (b"%PDF-1.7\n...", "application/pdf"),
        (b"a;b\n1;2\n", "text/csv"),
        (b'{"a": 1}', "application/vnd.example+json"),
        (b"<?xml version='1.0'?><a/>", "application/hl7-cda+xml"),
        (os.urandom(MIB + 1), "application/x-unheard-of"),
        (os.urandom(3 * MIB), "application/octet-stream"),
    ],
)
def test_what_goes_in_comes_out(served: Served, content: bytes, type: str) -> None:
    answer = upload(served, content, type)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["resourceType"], made["contentType"]) == ("Binary", type)
    assert "data" not in made
    assert answer.headers["location"] == f"{served.base}/Binary/{made['id']}"
    raw = served.http.get(f"{served.base}/Binary/{made['id']}", headers=served.headers())
    assert raw.content == content
    assert raw.headers["content-type"] == type
    assert int(raw.headers["content-length"]) == len(content)


def test_a_stream_of_unknown_length(served: Served) -> None:
    parts = [os.urandom(70_000) for _ in range(30)]
    answer = upload(served, iter(parts), "application/octet-stream")
    raw = served.http.get(answer.headers["location"], headers=served.headers())
    assert raw.content == b"".join(parts)


def test_memory_stays_flat_while_64_mib_pass_both_ways(tmp_path: Path, record_property: Any) -> None:
    chunk = os.urandom(MIB)

    def stream(number: int) -> Iterator[bytes]:
        for count in range(number):
            yield count.to_bytes(4) + chunk[4:]

    with served_process(tmp_path / "data") as (served, pid):
        headers = served.headers()
        first = upload(served, stream(8), "application/octet-stream", headers)
        served.http.get(first.headers["location"], headers=headers)
        before = _peak_bytes(pid)
        answer = upload(served, stream(64), "application/octet-stream", headers)
        assert answer.status_code == 201
        expected, seen, size = hashlib.sha256(), hashlib.sha256(), 0
        for part in stream(64):
            expected.update(part)
        url = answer.headers["location"]
        with served.http.stream("GET", url, headers=headers) as raw:
            for part in raw.iter_bytes():
                seen.update(part)
                size += len(part)
        grown = _peak_bytes(pid) - before
    assert (size, seen.digest()) == (64 * MIB, expected.digest())
    record_property("peak memory grown, MiB", round(grown / MIB, 1))
    assert grown < 24 * MIB


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no peak memory")


@pytest.mark.parametrize(
    ("content", "type"),
    [
        (JPEG, "image/png"),
        (PNG, TEXT),
        (PNG, "application/pdf"),
        (b"just words", "image/png"),
        (b"just words", "application/pdf"),
        (b"just words", "video/mp4"),
        (b"", "image/jpeg"),
        (b"<html><script>alert(1)</script>", "image/png"),
        (b"<svg xmlns='x' onload='alert(1)'/>", "image/jpeg"),
        (b"MZ" + b"\0" * 100, "image/bmp"),
        (b"\x7fELF" + b"\0" * 100, "text/csv"),
        (b"MZ" + b"\0" * 126 + b"DICM", "application/dicom"),
        (b"binary\0content", TEXT),
    ],
)
def test_content_is_what_it_is_called(served: Served, content: bytes, type: str) -> None:
    with nothing_stored(served):
        before = bytes_stored(served)
        refusal(upload(served, content, type), 400)
        assert bytes_stored(served) == before
        document = {"resourceType": "Binary", "contentType": type, "data": base64.b64encode(content).decode()}
        answer = served.http.post(f"{served.base}/Binary", json=document, headers=served.headers())
        assert refusal(answer, 400)["expression"] == ["Binary.contentType" if content else "Binary.data"]
        attachment = {"contentType": type, "data": base64.b64encode(content or b"x").decode()}
        media = served.http.post(
            f"{served.base}/Media", json=a("Media", "-", content=attachment), headers=served.headers()
        )
        assert refusal(media, 400)["expression"] == ["Media.content.contentType"]


def test_a_type_is_needed_and_must_be_one(served: Served) -> None:
    for type in ("nonsense", "text", "text/", "/plain", "text/plain; charset", "text/pl ain", "x" * 200 + "/y"):
        refusal(upload(served, b"x", type), 400)
    headers = served.headers()
    del headers["Content-Type"]
    refusal(served.http.post(f"{served.base}/Binary", content=b"x", headers=headers), 415)
    packed = served.headers() | {"Content-Type": TEXT, "Content-Encoding": "gzip"}
    refusal(served.http.post(f"{served.base}/Binary", content=b"x", headers=packed), 415)


def test_above_the_limit_nothing_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path / "data", Settings(upload_max=MIB)) as served, nothing_stored(served):
        for content in (b"x" * (MIB + 1), iter([b"x" * MIB, b"x"])):
            refusal(upload(served, content, TEXT), 413)
        assert bytes_stored(served) == 0


class TestClaims:
    """A record says of its Binary what is true, or leaves it to the server."""

    def test_what_is_left_out_is_filled_in(self, served: Served) -> None:
        url = uploaded(served, PNG, "image/png")
        made = created(served, a("Media", "-", content={"url": url, "title": "t"}))
        assert made["content"] == {
            "url": url,
            "title": "t",
            "contentType": "image/png",
            "size": len(PNG),
            "hash": hash_of(PNG),
        }
        assert served.http.get(f"{served.base}/{url}", headers=served.headers()).content == PNG

    def test_what_is_said_truly_stays(self, served: Served) -> None:
        content = {"url": uploaded(served, b"abc"), "size": 3, "hash": hash_of(b"abc"), "contentType": "text/plain"}
        assert created(served, a("Media", "-", content=content))["content"] == content
        absolute = content | {"url": f"{served.base}/{uploaded(served, b'abc')}"}
        assert created(served, a("Media", "-", content=absolute))["content"] == absolute

    @pytest.mark.parametrize(
        ("wrong", "element"),
        [
            ({"size": 4}, "size"),
            ({"size": 0}, "size"),
            ({"hash": hash_of(b"abd")}, "hash"),
            ({"hash": hashlib.sha1(b"abc").hexdigest() + "AA"}, "hash"),
            ({"contentType": "text/html"}, "contentType"),
        ],
    )
    def test_what_is_said_wrongly_is_refused(self, served: Served, wrong: Body, element: str) -> None:
        url = uploaded(served, b"abc")
        with nothing_stored(served):
            for content in ({"url": url, **wrong}, {"contentType": TEXT, "data": "YWJj"} | wrong):
                if element == "contentType" and "data" in content:
                    continue
                for sent in (a("Media", "-", content=content), _report(content)):
                    kind = sent["resourceType"]
                    answer = served.http.post(f"{served.base}/{kind}", json=sent, headers=served.headers())
                    (path,) = refusal(answer, 400)["expression"]
                    assert path.endswith(f".{element}")
        created(served, a("Media", "-", content={"url": url}))

    def test_only_a_binary_that_is_there_and_mine_can_be_named(self, served: Served) -> None:
        stranger = served.headers(user="Practitioner/dr")
        theirs = uploaded(served, b"theirs", headers=stranger)
        of_bo = uploaded(served, b"of Bo")
        created(served, a("Media", "-", of="bo", content={"url": of_bo}))
        with nothing_stored(served):
            for url in ("Binary/absent", theirs, of_bo):
                sent = a("Media", "-", content={"url": url})
                issue = refusal(served.http.post(f"{served.base}/Media", json=sent, headers=served.headers()), 422)
                assert issue["expression"] == ["Media.content.url"]
                assert (issue["code"], url in issue["diagnostics"]) == ("not-found", False)

    def test_two_records_of_one_patient_may_share(self, served: Served) -> None:
        url = uploaded(served, b"shared")
        for _ in range(2):
            assert created(served, a("Media", "-", content={"url": url}))["content"]["size"] == 6

    def test_foreign_addresses_are_stored_as_sent(self, served: Served) -> None:
        for url in ("https://pacs.example.org/Binary/1", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "#x", "a/b"):
            content = {"url": url, "size": 9, "hash": hash_of(b"?")}
            assert created(served, a("Media", "-", content=content))["content"] == content


def _report(attachment: Body) -> Body:
    return a("DiagnosticReport", "-", presentedForm=[{"title": "empty"}, attachment])


class TestInline:
    """`data` inside a resource is lifted out."""

    def test_it_becomes_a_binary(self, served: Served) -> None:
        content = {"contentType": "image/png", "data": base64.b64encode(PNG).decode(), "title": "t"}
        made = created(served, a("Media", "-", content=content))["content"]
        assert made.keys() == {"contentType", "title", "url", "size", "hash"}
        assert (made["size"], made["hash"]) == (len(PNG), hash_of(PNG))
        raw = served.http.get(f"{served.base}/{made['url']}", headers=served.headers())
        assert (raw.content, raw.headers["content-type"]) == (PNG, "image/png")

    def test_everywhere_an_attachment_may_be(self, served: Served) -> None:
        one = {"contentType": TEXT, "data": "eA=="}
        sent = a("DocumentReference", "-", content=[{"attachment": dict(one)}, {"attachment": dict(one)}]) | {
            "contained": [{"resourceType": "Media", "id": "m", "status": "completed", "content": dict(one)}],
        }
        sent["extension"].append({"url": "http://example.org/photo", "valueAttachment": dict(one)})
        sent["relatesTo"] = [{"code": "appends", "target": {"reference": "#m"}}]
        made = json.dumps(created(served, sent))
        assert '"data"' not in made
        assert made.count('"url": "Binary/') == 4

    def test_without_a_type_it_is_refused(self, served: Served) -> None:
        with nothing_stored(served):
            sent = a("Media", "-", content={"data": "AAEC"})
            issue = refusal(served.http.post(f"{served.base}/Media", json=sent, headers=served.headers()), 400)
            assert "att-1" in issue["diagnostics"]

    @pytest.mark.parametrize("data", ["====", "YQ", "YWJj*", "Y WJ", "-_-_", ""])
    def test_what_is_not_base64_is_refused(self, served: Served, data: str) -> None:
        with nothing_stored(served):
            sent = a("Media", "-", content={"contentType": TEXT, "data": data})
            refusal(served.http.post(f"{served.base}/Media", json=sent, headers=served.headers()), 400)

    def test_above_the_limit_it_belongs_to_binary(self, tmp_path: Path) -> None:
        with serving(tmp_path / "data", Settings(inline_max=1000)) as served:
            put(served, *places())
            for size, status in ((1000, 201), (1001, 413)):
                data = base64.b64encode(b"x" * size).decode()
                for kind, sent in (
                    ("Media", a("Media", "-", content={"contentType": TEXT, "data": data})),
                    ("Binary", {"resourceType": "Binary", "contentType": TEXT, "data": data}),
                ):
                    answer = served.http.post(f"{served.base}/{kind}", json=sent, headers=served.headers())
                    assert answer.status_code == status, answer.text
                    if status == 413:
                        assert "POST /fhir/Binary" in refusal(answer, 413)["diagnostics"]

    def test_a_body_too_large_is_refused_unread(self, served: Served) -> None:
        with nothing_stored(served):
            padded = json.dumps(a("Media", "-")) + " " * (16 * MIB)
            refusal(served.http.post(f"{served.base}/Media", content=padded, headers=served.headers()), 413)
            parts = iter([padded.encode()])
            refusal(served.http.post(f"{served.base}/Media", content=parts, headers=served.headers()), 413)
            announced = served.headers() | {"Content-Type": FHIR_JSON}
            refusal(served.http.put(f"{served.base}/Media/x", content=padded, headers=announced), 413)
