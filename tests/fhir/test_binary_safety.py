"""Bytes as guests: shown in place only where they cannot act, in two forms, unchangeable once a record claims them."""

import base64
import json
import os

import pytest

from fhirmedia.r4.xml_in import parse_xml
from tests.access.records import a, put
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import FHIR_JSON, Served

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
FTYP = b"\0\0\0\x18ftypisom" + bytes(100)

INERT = [
    (PNG, "image/png"),
    (b"\xff\xd8\xff" + bytes(100), "image/jpeg"),
    (b"GIF89a" + bytes(100), "image/gif"),
    (b"RIFF\0\0\0\0WEBP" + bytes(100), "image/webp"),
    (FTYP, "video/mp4"),
    (b"RIFF\0\0\0\0WAVE" + bytes(100), "audio/wav"),
    (b"ID3" + bytes(100), "audio/mpeg"),
]
ACTIVE = [
    (b"<html><script>alert(1)</script></html>", "text/html"),
    (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "image/svg+xml"),
    (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
    (b"<html><script>alert(1)</script></html>", "text/plain"),
    (b"%PDF-1.7", "application/pdf"),
    (b"alert(1)", "text/javascript"),
    (b"\0asm", "application/wasm"),
    (PNG, "application/octet-stream"),
    (b"{\\rtf1}", "application/rtf"),
    (b"a\n", "text/plain"),
    (b"a,b\n", "text/csv"),
]


def upload(served: Served, content: bytes, type: str = "text/plain", headers: dict[str, str] | None = None) -> str:
    """The id of a new Binary."""
    sent = (headers or served.headers()) | {"Content-Type": type}
    answer = served.http.post(f"{served.base}/Binary", content=content, headers=sent)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


@pytest.mark.parametrize(("content", "type"), INERT + ACTIVE)
def test_only_what_cannot_act_is_shown_in_place(served: Served, content: bytes, type: str) -> None:
    url = f"{served.base}/Binary/{upload(served, content, type)}"
    for headers in ({}, {"Range": "bytes=0-1"}):
        answer = served.http.get(url, headers=served.headers() | headers)
        shown = "inline" if (content, type) in INERT else "attachment"
        assert answer.headers["content-disposition"] == shown
        assert answer.headers["content-type"] == type
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "private, no-store"


class TestForms:
    """Raw by default, FHIR JSON or XML for whom asks."""

    @pytest.mark.parametrize("content", [b"", b"a", b"ab", b"abc", os.urandom(100_003), os.urandom(2 * 2**20 + 1)])
    def test_as_a_resource(self, served: Served, content: bytes) -> None:
        id = upload(served, content, "application/octet-stream")
        for query, accept in (("", FHIR_JSON), ("?_format=json", "*/*"), ("?_format=application/fhir%2Bjson", "*/*")):
            answer = served.http.get(f"{served.base}/Binary/{id}{query}", headers=served.headers() | {"Accept": accept})
            assert answer.headers["content-type"] == FHIR_JSON
            assert int(answer.headers["content-length"]) == len(answer.content)
            body = answer.json()
            assert base64.b64decode(body.pop("data", "")) == content
            assert body.pop("meta")["versionId"] == "1"
            assert body == {"resourceType": "Binary", "id": id, "contentType": "application/octet-stream"}

    @pytest.mark.parametrize(
        ("query", "accept"),
        [
            ("", "*/*"),
            ("", "text/plain"),
            ("", "image/png, */*;q=0.1"),
            ("", "text/html,application/fhir+json;q=0.5"),
            ("", "application/json"),
            ("?_format=text/plain", FHIR_JSON),
            ("?_format=application/octet-stream", FHIR_JSON),
        ],
    )
    def test_as_bytes(self, served: Served, query: str, accept: str) -> None:
        id = upload(served, b"words")
        answer = served.http.get(f"{served.base}/Binary/{id}{query}", headers=served.headers() | {"Accept": accept})
        assert (answer.content, answer.headers["content-type"]) == (b"words", "text/plain")

    @pytest.mark.parametrize("content", [b"", b"a", b"ab", b"abc", os.urandom(100_003)])
    def test_as_xml(self, served: Served, content: bytes) -> None:
        id = upload(served, content, "application/octet-stream")
        for query, accept in (("?_format=xml", "*/*"), ("?_format=text/xml", FHIR_JSON), ("", "application/fhir+xml")):
            answer = served.http.get(f"{served.base}/Binary/{id}{query}", headers=served.headers() | {"Accept": accept})
            assert answer.headers["content-type"] == "application/fhir+xml"
            assert int(answer.headers["content-length"]) == len(answer.content)
            body = parse_xml(answer.content)
            assert base64.b64decode(str(body.pop("data", ""))) == content
            assert body.pop("meta")
            assert body == {"resourceType": "Binary", "id": id, "contentType": "application/octet-stream"}

    def test_each_form_has_a_validator_of_its_own(self, served: Served) -> None:
        url = f"{served.base}/Binary/{upload(served, b'words')}"
        tags = {}
        for accept in ("*/*", FHIR_JSON, "application/fhir+xml"):
            headers = served.headers() | {"Accept": accept}
            tags[accept] = served.http.get(url, headers=headers).headers["etag"]
            again = served.http.get(url, headers=headers | {"If-None-Match": tags[accept]})
            assert (again.status_code, again.headers["etag"]) == (304, tags[accept])
        assert len(set(tags.values())) == 3
        for accept in tags:
            for other in set(tags) - {accept}:
                asked = served.headers() | {"Accept": accept, "If-None-Match": tags[other]}
                assert served.http.get(url, headers=asked).status_code == 200

    @pytest.mark.parametrize(
        "accept", ["application/fhir+json;fhirVersion=5.0", "application/fhir+xml;fhirVersion=3.0"]
    )
    def test_not_as_a_resource_of_another_version(self, served: Served, accept: str) -> None:
        url = f"{served.base}/Binary/{upload(served, b'words')}"
        answer = served.http.get(url, headers=served.headers() | {"Accept": accept})
        assert answer.status_code == 406

    def test_xml_that_is_content_is_kept_as_it_is(self, served: Served) -> None:
        content = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
        for announced in ("text/xml", "application/xml"):
            id = upload(served, content, announced)
            answer = served.http.get(f"{served.base}/Binary/{id}", headers=served.headers() | {"Accept": announced})
            assert (answer.content, answer.headers["content-type"]) == (content, announced)

    def test_sent_as_xml(self, served: Served) -> None:
        packed = base64.b64encode(PNG).decode()
        sent = f'<Binary xmlns="http://hl7.org/fhir"><contentType value="image/png"/><data value="{packed}"/></Binary>'
        headers = served.headers() | {"Content-Type": "application/fhir+xml"}
        made = served.http.post(f"{served.base}/Binary", content=sent, headers=headers)
        assert made.status_code == 201, made.text
        assert served.http.get(made.headers["location"], headers=served.headers()).content == PNG

    def test_sent_as_a_resource(self, served: Served) -> None:
        sent = {"resourceType": "Binary", "contentType": "image/png", "data": base64.b64encode(PNG).decode()}
        made = created(served, sent)
        assert "data" not in made
        raw = served.http.get(f"{served.base}/Binary/{made['id']}", headers=served.headers())
        assert (raw.content, raw.headers["content-type"]) == (PNG, "image/png")
        for wrong in ({"contentType": None}, {"data": "?"}, {"x": 1}, {"contentType": "nonsense"}):
            spoilt = {name: value for name, value in {**sent, **wrong}.items() if value is not None}
            with nothing_stored(served):
                refusal(served.http.post(f"{served.base}/Binary", json=spoilt, headers=served.headers()), 400)

    def test_json_that_is_content_is_uploaded_under_its_own_type(self, served: Served) -> None:
        content = json.dumps(a("Patient", "inside")).encode()
        id = upload(served, content, "application/vnd.example+json")
        assert served.http.get(f"{served.base}/Binary/{id}", headers=served.headers()).content == content


class TestLife:
    """Its uploader's until claimed; then a part of what refers to it."""

    def test_its_uploader_replaces_or_deletes_it_until_it_is_claimed(self, served: Served) -> None:
        staff = served.headers()
        url = f"{served.base}/Binary/{upload(served, b'first')}"
        text = staff | {"Content-Type": "text/plain"}
        refusal(served.http.put(url, content=b"x", headers=text | {"If-Match": 'W/"2"'}), 412)
        replaced = served.http.put(url, content=b"second", headers=text | {"If-Match": 'W/"1"'})
        assert (replaced.status_code, replaced.headers["etag"]) == (200, 'W/"2"')
        assert served.http.get(url, headers=staff).content == b"second"
        assert served.http.delete(url, headers=staff).status_code == 204
        refusal(served.http.get(url, headers=staff), 410)

    def test_a_claimed_one_stays_as_it_is(self, served: Served) -> None:
        staff, id = served.headers(), upload(served, b"claimed")
        url = f"{served.base}/Binary/{id}"
        media = created(served, a("Media", "-", content={"url": f"Binary/{id}"}))
        document = {"resourceType": "Binary", "id": id, "contentType": "text/plain", "data": "eA=="}
        with nothing_stored(served):
            for headers in (staff, served.importer()):
                refusal(served.http.put(url, content=b"x", headers=headers | {"Content-Type": "text/plain"}), 409)
                refusal(served.http.put(url, json=document, headers=headers), 409)
                refusal(served.http.delete(url, headers=headers), 409)
        served.http.put(f"{served.base}/Media/{media['id']}", json=a("Media", media["id"]), headers=staff)
        with nothing_stored(served):
            refusal(served.http.put(url, content=b"x", headers=staff | {"Content-Type": "text/plain"}), 409)
        assert served.http.get(url, headers=staff).content == b"claimed"

    def test_before_the_claim_only_its_uploader_sees_it(self, served: Served) -> None:
        url = f"{served.base}/Binary/{upload(served, b'mine')}"
        assert served.http.get(url, headers=served.headers()).status_code == 200
        for other in (
            served.headers(user="Practitioner/dr"),
            served.headers("user/*.cruds", user="Practitioner/dr", roles=["importer"]),
            served.headers("patient/*.cruds", patient="anna", user="Patient/anna"),
        ):
            for answer in (served.http.get(url, headers=other), served.http.head(url, headers=other)):
                assert answer.status_code == 404
            refusal(served.http.put(url, content=b"x", headers=other | {"Content-Type": "text/plain"}), 405)
            refusal(served.http.delete(url, headers=other), 404)

    def test_after_the_claim_whoever_sees_a_referrer(self, served: Served) -> None:
        url = f"Binary/{upload(served, b'of Anna')}"
        created(served, a("Media", "-", content={"url": url}))
        for headers, status in (
            (served.headers("patient/*.rs", patient="anna"), 200),
            (served.headers("patient/*.rs", patient="bo"), 404),
            (served.headers(units=["derm"]), 200),
            (served.headers(units=["eyes"]), 404),
            (served.headers("user/Media.r"), 200),
            (served.headers("user/DiagnosticReport.r"), 404),
        ):
            assert served.http.get(f"{served.base}/{url}", headers=headers).status_code == status

    def test_ids_are_chosen_by_prefix_only(self, served: Served) -> None:
        text = {"Content-Type": "text/plain"}
        url = f"{served.base}/Binary/chosen"
        refusal(served.http.put(url, content=b"x", headers=served.headers() | text), 405)
        assert served.http.put(url, content=b"x", headers=served.importer() | text).status_code == 201
        refusal(served.http.put(f"{served.base}/Binary/a_b", content=b"x", headers=served.importer() | text), 404)

    def test_it_has_neither_search_nor_history(self, served: Served) -> None:
        id = upload(served, b"x")
        for path in ("Binary", "Binary?_id=x", f"Binary/{id}/_history", f"Binary/{id}/_history/1"):
            refusal(served.http.get(f"{served.base}/{path}", headers=served.headers()), 405)

    def test_its_last_referrer_takes_it_along(self, served: Served) -> None:
        url = f"Binary/{upload(served, b'goes')}"
        put(served, a("Media", "goes", content={"url": url}))
        served.http.delete(f"{served.base}/Media/goes", headers=served.headers())
        refusal(served.http.get(f"{served.base}/{url}", headers=served.headers()), 404)
