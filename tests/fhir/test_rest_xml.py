"""FHIR XML over HTTP: whatever is asked for or sent in JSON can be in XML, refusals included."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.xml_in import parse_xml
from fhirmedia.r4.xml_out import to_xml
from tests.access.records import a, places, put
from tests.fhir.rest import nothing_stored
from tests.servers import FHIR_JSON, Served, serving

FHIR_XML = "application/fhir+xml"
URL = "/Media/as-xml"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("xml") / "data") as server:
        put(server, *places())
        put(server, a("Media", "as-xml", duration=1.5))
        yield server


def wanting(served: Served, accept: str = FHIR_XML, **more: str) -> dict[str, str]:
    """Headers of somebody who reads and writes XML."""
    return served.headers() | {"Accept": accept, "Content-Type": FHIR_XML} | more


def read(answer: httpx.Response, status: int = 200, *, content_type: str = f"{FHIR_XML}; charset=utf-8") -> JsonObject:
    """The resource an answer holds in XML."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == content_type
    return parse_xml(answer.content)


def test_every_kind_of_answer(served: Served) -> None:
    for path in (URL, URL + "/_history/1", URL + "/_history", "/Media?_id=as-xml", "/Media?_count=0", "/metadata"):
        plain: dict[str, Any] = served.http.get(served.base + path, headers=served.headers()).json()
        found: dict[str, Any] = dict(read(served.http.get(served.base + path, headers=wanting(served))))
        for changing in ("id", "meta", "date", "link"):
            if plain["resourceType"] in ("Bundle", "CapabilityStatement"):
                assert (changing in found) == (changing in plain)
                plain.pop(changing, None)
                found.pop(changing, None)
        assert parse_xml(to_xml(plain)) == found, path


def test_a_page_of_xml_leads_to_the_next(served: Served) -> None:
    put(served, a("Media", "second"))
    bundle: Any = read(served.http.get(f"{served.base}/Media?_count=1&_format=xml", headers=served.headers()))
    following = next(each["url"] for each in bundle["link"] if each["relation"] == "next")
    read(served.http.get(following, headers=wanting(served)))


@pytest.mark.parametrize(
    "accept",
    [
        FHIR_XML,
        "application/xml",
        "text/xml",
        "APPLICATION/FHIR+XML; charset=UTF-8",
        'application/fhir+xml;fhirVersion="4.0"',
        "application/fhir+xml;q=0.9, application/fhir+json;q=0.1",
        "application/fhir+xml, */*",
        "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
        "application/fhir+json;q=0, */*",
        "application/fhir+json;fhirVersion=5.0, application/fhir+xml;q=0.1",
    ],
)
def test_accept(served: Served, accept: str) -> None:
    read(served.http.get(served.base + URL, headers=wanting(served, accept)))


def test_several_accept_headers_are_one_list(served: Served) -> None:
    headers = [*served.headers().items(), ("Accept", "application/fhir+json;q=0.2"), ("Accept", "application/fhir+xml")]
    read(httpx.get(served.base + URL, headers=headers))


@pytest.mark.parametrize(
    "wanted", ["xml", "text/xml", "application/xml", "application/fhir%2Bxml", "application/fhir+xml"]
)
def test_format_wins_over_accept(served: Served, wanted: str) -> None:
    headers = served.headers() | {"Accept": FHIR_JSON}
    read(served.http.get(f"{served.base}{URL}?_format={wanted}", headers=headers))
    read(served.http.get(f"{served.base}/Media?_format={wanted}", headers=headers))
    form = {"_format": wanted.replace("%2B", "+"), "_id": "as-xml"}
    posted = {"Authorization": headers["Authorization"], "Accept": "text/html"}
    read(served.http.post(f"{served.base}/Media/_search", data=form, headers=posted))


def test_pretty(served: Served) -> None:
    url = f"{served.base}{URL}?_pretty=true"
    pretty = served.http.get(url, headers=wanting(served))
    assert "\n  <id value=" in pretty.text
    plain = served.http.get(served.base + URL, headers=wanting(served))
    assert "\n" not in plain.text
    assert read(pretty) == read(plain)
    form = {"_format": "xml", "_pretty": "true"}
    posted = served.http.post(f"{served.base}/Media/_search", data=form, headers={"Authorization": _token(served)})
    assert "\n  <type value=" in posted.text


def _token(served: Served) -> str:
    return served.headers()["Authorization"]


def test_what_was_written_in_xml_is_read_in_json(served: Served) -> None:
    sent = a("Media", "from-xml", duration=12)
    text = to_xml(sent).replace(b'<duration value="12"/>', b'<duration value="12.50"/>')
    url = f"{served.base}/Media/from-xml"
    importer = served.importer() | {"Content-Type": FHIR_XML}
    for announced in (FHIR_XML, "application/xml", "text/xml; charset=utf-8", "application/fhir+xml; fhirVersion=4.0"):
        answer = served.http.put(url, content=text, headers=importer | {"Content-Type": announced})
        assert answer.status_code in (200, 201), answer.text
        assert answer.headers["content-type"].startswith(FHIR_JSON)
    back = served.http.get(url, headers=served.headers())
    assert '"duration":12.50' in back.text
    body = back.json()
    assert {name: body[name] for name in sent if name not in ("meta", "duration")} == {
        name: value for name, value in sent.items() if name not in ("meta", "duration")
    }
    made = served.http.post(f"{served.base}/Media", content=text, headers=wanting(served))
    assert read(made, 201)["duration"] is not None


@pytest.mark.parametrize(
    "announced",
    [
        "application/fhir+xml; fhirVersion=5.0",
        "application/fhir+json; fhirVersion=3.0",
        "application/fhir+xml; charset=iso-8859-1",
        "application/fhir+turtle",
        "image/svg+xml",
    ],
)
def test_other_bodies(served: Served, announced: str) -> None:
    headers = wanting(served) | {"Content-Type": announced}
    with nothing_stored(served):
        answer = served.http.post(f"{served.base}/Media", content=to_xml(a("Media", "x")), headers=headers)
        assert read(answer, 415, content_type=FHIR_XML)["resourceType"] == "OperationOutcome"


def test_refusals_are_told_in_xml(served: Served) -> None:
    base = served.base
    answers = (
        (404, served.http.get(f"{base}/Media/absent", headers=wanting(served))),
        (404, served.http.get(f"{base}/Media/absent?_format=xml", headers=served.headers())),
        (400, served.http.get(f"{base}/Media?nothing=1", headers=wanting(served))),
        (401, served.http.get(f"{base}{URL}", headers={"Accept": FHIR_XML})),
        (405, served.http.delete(f"{base}{URL}/_history/1", headers=wanting(served))),
        (404, served.http.get(f"{base}/a/b/c/d/e", headers=wanting(served))),
        (404, served.http.get(f"{base}/Binary/absent", headers=wanting(served))),
    )
    for status, answer in answers:
        outcome: Any = read(answer, status, content_type=FHIR_XML)
        assert outcome["resourceType"] == "OperationOutcome"
        assert outcome["issue"][0]["diagnostics"]
        assert answer.headers["x-request-id"]


def test_what_is_too_long_to_be_read_is_refused_in_json(served: Served) -> None:
    base = served.base
    for status, answer in (
        (431, served.http.get(f"{base}{URL}", headers=wanting(served, Other="x" * 60_000, Third="y" * 10_000))),
        (414, served.http.get(f"{base}{URL}?{'x' * 17_000}", headers=wanting(served))),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/fhir+json")
        assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("spoil", "expression"),
    [
        (lambda text: b"<!DOCTYPE Media>" + text, None),
        (lambda text: b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + text, None),
        (lambda text: text.replace(b"http://hl7.org/fhir", b"http://hl7.org/other"), None),
        (lambda text: text.replace(b"<status", b"words<status"), "Media"),
        (lambda text: text.replace(b"<status", b"<unknown/><status"), "Media.unknown"),
        (lambda text: text.replace(b'<status value="completed"', b'<status value="nonsense"'), "Media.status"),
        (lambda text: text.replace(b"<status", b"<other:x xmlns:other='urn:x'/><status"), "Media.x"),
        (lambda text: text[:-3], None),
    ],
)
def test_bad_xml_is_refused_with_its_place(served: Served, spoil: Any, expression: str | None) -> None:
    with nothing_stored(served):
        text = spoil(to_xml(a("Media", "x")))
        answer = served.http.post(f"{served.base}/Media", content=text, headers=wanting(served))
        outcome: Any = read(answer, 400, content_type=FHIR_XML)
    (issue,) = outcome["issue"]
    assert issue.get("expression") == ([expression] if expression else None)
    assert "nonsense" not in answer.text
    assert "passwd" not in answer.text


def test_a_bomb_of_attributes_over_the_limit(served: Served) -> None:
    def endless() -> Iterator[bytes]:
        yield b'<Media xmlns="http://hl7.org/fhir"'
        for number in range(10_000):
            yield b"".join(b' a%d-%d=""' % (number, each) for each in range(1000))

    with nothing_stored(served):
        try:
            answer = served.http.post(f"{served.base}/Media", content=endless(), headers=wanting(served))
        except httpx.TransportError:
            return  # refused while it was still being sent
        read(answer, 413, content_type=FHIR_XML)


def test_validators_are_the_same_in_both_forms(served: Served) -> None:
    """A version is a version; Vary keeps caches from mixing the forms."""
    as_json = served.http.get(served.base + URL, headers=served.headers())
    as_xml = served.http.get(served.base + URL, headers=wanting(served))
    assert as_xml.headers["etag"] == as_json.headers["etag"] == 'W/"1"'
    assert "Accept" in as_xml.headers["vary"]
    again = wanting(served) | {"If-None-Match": 'W/"1"'}
    assert served.http.get(served.base + URL, headers=again).status_code == 304
