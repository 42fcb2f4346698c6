"""$rendition over HTTP: whose picture it is decides who sees it, and every look is written down."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.core.disclosure import Disclosure
from tests.access.records import a, label, places, put
from tests.audit.rows import disclosures
from tests.fhir.rest import created, matches, pages, refusal
from tests.media.pictures import CANARY, UPRIGHT, corners, decoded, encoded, exif_block, photo, png, segment
from tests.media.test_sandbox import deflated, processes
from tests.servers import Served, serving

PLAIN = encoded(photo(2000, 1500), "JPEG")
TELLING = PLAIN[:2] + segment(0xE1, b"Exif\x00\x00" + exif_block(orientation=1)) + PLAIN[2:]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("renditions") / "data") as server:
        put(server, *places())
        yield server


def uploaded(served: Served, content: bytes, content_type: str) -> str:
    """The reference of a new Binary."""
    headers = served.headers() | {"Content-Type": content_type}
    answer = served.http.post(f"{served.base}/Binary", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.json()['id']}"


def media(served: Served, content: bytes = TELLING, content_type: str = "image/jpeg", **more: Any) -> str:
    """A Media of Anna's with this content."""
    url = uploaded(served, content, content_type)
    resource = a("Media", "x", content={"url": url, "contentType": content_type}, **more)
    return f"Media/{created(served, resource)['id']}"


def asked(served: Served, of: str, width: object = 256, headers: dict[str, str] | None = None) -> httpx.Response:
    parameters = {} if width is None else {"width": str(width)}
    url = f"{served.base}/{of}/$rendition"
    return served.http.get(url, params=parameters, headers=headers or served.headers())


def last_row(served: Served) -> Disclosure:
    """The newest disclosure about a rendition."""
    return max((row for row in disclosures(served.folder) if row.interaction == "rendition"), key=lambda row: row.time)


@pytest.mark.parametrize("width", [256, 1024])
def test_a_picture_small_upright_and_silent(served: Served, width: int) -> None:
    answer = asked(served, media(served), width)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-disposition"] == "inline"
    assert answer.headers["content-length"] == str(len(answer.content))
    image = decoded(answer.content)
    assert image.size == (width, width * 3 // 4)
    assert corners(image) == UPRIGHT
    assert CANARY.encode() not in answer.content


def test_the_original_stays_as_it_is(served: Served) -> None:
    url = uploaded(served, TELLING, "image/jpeg")
    made = created(served, a("Media", "x", content={"url": url, "contentType": "image/jpeg"}))
    assert asked(served, f"Media/{made['id']}").status_code == 200
    assert served.http.get(f"{served.base}/{url}", headers=served.headers()).content == TELLING


def test_of_a_document_the_first_picture(served: Served) -> None:
    letter, first = uploaded(served, b"%PDF-1.4\n%", "application/pdf"), uploaded(served, PLAIN, "image/jpeg")
    second = uploaded(served, encoded(photo(64, 64), "PNG"), "image/png")
    attachments = [
        {"url": letter, "contentType": "application/pdf"},
        {"url": "https://elsewhere.example.org/Binary/1", "contentType": "image/png"},
        {"title": "nothing", "contentType": "image/png"},
        {"url": f"{served.base}/{first}", "contentType": "image/jpeg"},
        {"url": second, "contentType": "image/png"},
    ]
    document = a("DocumentReference", "x", content=[{"attachment": each} for each in attachments])
    answer = asked(served, f"DocumentReference/{created(served, document)['id']}", 1024)
    assert decoded(answer.content).size == (1024, 768)


def test_a_picture_without_a_declared_type_is_drawn_as_what_it_is(served: Served) -> None:
    url = uploaded(served, encoded(photo(), "PNG"), "image/png")
    made = created(served, a("Media", "x", content={"url": url}))
    assert asked(served, f"Media/{made['id']}").status_code == 200


@pytest.mark.parametrize("width", [None, "", "0", "255", "257", "512", "2048", "-256", "256.0", "1e3", "٢٥٦", "9" * 40])
def test_other_widths_are_refused(served: Served, width: str | None) -> None:
    assert refusal(asked(served, media(served, encoded(photo(8, 8), "PNG"), "image/png"), width), 400)


def test_other_parameters_are_refused(served: Served) -> None:
    of = media(served, encoded(photo(8, 8), "PNG"), "image/png")
    for query in ("width=256&width=1024", "width=256&height=1", "width=256&_format=json"):
        answer = served.http.get(f"{served.base}/{of}/$rendition?{query}", headers=served.headers())
        assert refusal(answer, 400)["code"] == "required"


def test_what_is_no_picture_has_no_rendition(served: Served) -> None:
    for content, content_type in (
        (b"hello", "text/plain"),
        (b"%PDF-1.4\n%", "application/pdf"),
        (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 64, "video/mp4"),
        (b"\x00" * 128 + b"DICM" + b"\x00" * 64, "application/dicom"),
        (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 64, "image/heic"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    ):
        url = uploaded(served, content, content_type)
        made = created(served, a("Media", "x", content={"url": url, "contentType": content_type}))
        issue = refusal(asked(served, f"Media/{made['id']}"), 422)
        assert issue["code"] in ("not-supported", "not-found"), content_type
    for content in ({"title": "nothing"}, {"url": "https://elsewhere.example.org/x.png", "contentType": "image/png"}):
        made = created(served, a("Media", "x", content=content))
        assert refusal(asked(served, f"Media/{made['id']}"), 422)["code"] == "not-found"


def test_only_content_counts_as_content(served: Served) -> None:
    """A picture in an extension of the resource is a remark about it."""
    extension = [{"url": "https://example.org/x", "valueAttachment": {"url": uploaded(served, PLAIN, "image/jpeg")}}]
    made = created(served, a("Media", "x", unit=None, extension=extension))
    assert refusal(asked(served, f"Media/{made['id']}"), 422)["code"] == "not-found"


def test_types_without_pictures_have_no_such_operation(served: Served) -> None:
    assert refusal(asked(served, "Patient/anna"), 405)
    assert refusal(asked(served, "Binary/x"), 405)
    assert refusal(asked(served, "Slot/x"), 404)
    assert refusal(asked(served, "Media/absent"), 404)


def test_the_validator_belongs_to_the_version_and_the_width(served: Served) -> None:
    url = uploaded(served, PLAIN, "image/jpeg")
    original = served.http.get(f"{served.base}/{url}", headers=served.headers())
    made = created(served, a("Media", "x", content={"url": url, "contentType": "image/jpeg"}))
    of = f"Media/{made['id']}"
    small, large = asked(served, of), asked(served, of, 1024)
    tags = {small.headers["etag"], large.headers["etag"]}
    assert len(tags) == 2
    assert all(tag.startswith('"') for tag in tags)
    assert asked(served, of).headers["etag"] in tags
    assert not any(original.headers["etag"].strip('"')[:16] in tag for tag in tags)

    labelled = made | {"meta": {"security": [label("R")]}}
    assert served.http.put(f"{served.base}/{of}", json=labelled, headers=served.headers()).status_code == 200
    assert asked(served, of).headers["etag"] not in tags
    other = created(served, a("Media", "y", content={"url": url, "contentType": "image/jpeg"}))
    assert asked(served, f"Media/{other['id']}").headers["etag"] not in tags


def test_who_has_it_is_not_sent_it_again_but_only_if_they_may_see_it(served: Served) -> None:
    of = media(served)
    tag = asked(served, of).headers["etag"]
    for given in (tag, "*", f'"other", {tag}'):
        again = asked(served, of, headers=served.headers() | {"If-None-Match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert last_row(served).outcome == "0"
    assert asked(served, of, headers=served.headers() | {"If-None-Match": '"other"'}).status_code == 200
    for stranger in (served.headers("patient/*.rs", patient="bo"), served.headers(units=["eyes"])):
        for given in (tag, "*"):
            assert refusal(asked(served, of, headers=stranger | {"If-None-Match": given}), 404)


def test_the_right_to_the_resource_is_what_counts(served: Served) -> None:
    of = media(served)
    for scope, expected in (
        ("user/Media.r", 200),
        ("user/Binary.r", 403),
        ("user/Media.s", 403),
        ("user/Media.c", 403),
    ):
        assert asked(served, of, headers=served.headers(scope)).status_code == expected, scope
    assert asked(served, of, headers=served.headers("patient/Media.r", patient="anna")).status_code == 200
    hidden = asked(served, of, headers=served.headers("patient/*.rs", patient="bo"))
    absent = asked(served, "Media/absent", headers=served.headers("patient/*.rs", patient="bo"))
    assert refusal(hidden, 404) == refusal(absent, 404)
    assert served.http.get(f"{served.base}/{of}/$rendition?width=256").status_code == 401


def test_a_deleted_picture_is_gone(served: Served) -> None:
    of = media(served)
    assert served.http.delete(f"{served.base}/{of}", headers=served.headers()).status_code == 204
    assert refusal(asked(served, of), 410)


def test_each_look_is_written_down(served: Served) -> None:
    of = media(served)
    assert asked(served, of).status_code == 200
    row = last_row(served)
    assert row.outcome == "0"
    assert row.patients == ("anna",)
    opened = {(touch.key.type, touch.depth) for touch in row.touched}
    assert opened == {("Media", "opened"), ("Binary", "opened")}
    auditor = served.headers("system/AuditEvent.rs", roles=["auditor"])
    events = [
        event for page in pages(served, f"{served.base}/AuditEvent?patient=anna", auditor) for event in matches(page)
    ]
    (event,) = (event for event in events if event["action"] == "R" and f"{of}/_history/1" in str(event["entity"]))
    assert event["outcome"] == "0"
    assert [each["code"] for each in event["subtype"]] == ["read"]
    assert refusal(asked(served, of, headers=served.headers("patient/*.rs", patient="bo")), 404)
    assert last_row(served).outcome == "4"


def test_broken_and_hostile_pictures_are_refused_and_written_down(served: Served) -> None:
    bomb = png(50_000, 50_000, deflated(10**6))
    for content, code in ((bomb, "too-costly"), (PLAIN[: len(PLAIN) // 2], "invalid"), (PLAIN[:100], "invalid")):
        content_type = "image/png" if content is bomb else "image/jpeg"
        issue = refusal(asked(served, media(served, content, content_type)), 422)
        assert issue["code"] == code
        assert last_row(served).outcome == "4"
    assert asked(served, media(served)).status_code == 200


def test_a_head_is_answered_like_a_get(served: Served) -> None:
    of = media(served)
    url = f"{served.base}/{of}/$rendition?width=256"
    head, whole = served.http.head(url, headers=served.headers()), served.http.get(url, headers=served.headers())
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert head.headers["etag"] == whole.headers["etag"]


def test_damaged_content_is_not_drawn(served: Served, tmp_path: Path) -> None:
    content = encoded(photo(321, 123), "PNG")
    of = media(served, content, "image/png")
    for path in (served.folder / "objects").rglob("*"):
        if path.is_file() and path.read_bytes() == content:
            path.write_bytes(content[:-20] + b"\x00" * 20)
    assert refusal(asked(served, of), 502)


def test_a_crash_stays_in_its_process(served: Served) -> None:
    of = media(served)
    assert asked(served, of).status_code == 200
    for process in processes():
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # it has ended, and the server has to find out itself
    assert asked(served, of).status_code == 200
