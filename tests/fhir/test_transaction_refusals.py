"""A transaction is stored whole or not at all, and says what is wrong with it (FHIR R4, http 3.1.0.11)."""

import base64
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from typing import Any

import httpx
import pytest

from tests.access.records import a
from tests.fhir.bundling import Body, about, entry, keys, new, patient, post, read, statuses, transaction
from tests.fhir.rest import bytes_stored, created, nothing_stored, refusal
from tests.servers import Served

_NUMBERS = count(1)


@pytest.fixture
def number() -> str:
    """An identifier nobody has yet."""
    return f"r-{next(_NUMBERS)}"


class TestAllOrNothing:
    def test_one_bad_entry_undoes_all_and_is_named(self, served: Served) -> None:
        there = created(served, new("Media"))
        created(served, new("Media", of="bo"))
        fine = [entry("POST", "Media", new("Media")), entry("PUT", f"Media/{there['id']}", there)]
        for bad, status, place in (
            (entry("POST", "Media", new("Media", of="nobody")), 422, ".resource.subject"),
            (entry("PUT", "Media/never", a("Media", "never")), 422, ""),
            (entry("DELETE", "Media/never"), 404, ""),
            (entry("DELETE", "Media?identifier=never"), 404, ".request.url"),
            (entry("DELETE", "Patient/bo"), 409, ""),
            (entry("POST", "Nothing", {"resourceType": "Nothing"}), 404, ""),
            (entry("POST", "AuditEvent", {"resourceType": "AuditEvent"}), 422, ""),
            (entry("PUT", f"Media/{there['id']}x", there), 400, ".resource.id"),
            (entry("POST", "Media", {"resourceType": "Patient"}), 400, ".resource.resourceType"),
            (entry("POST", "Media", new("Media", content={"url": "Binary/never"})), 422, ".resource.content.url"),
            (entry("POST", "Media", new("Media", content={"data": "aGk=", "contentType": "image/png"})), 400, None),
        ):
            for number, entries in enumerate(([bad, *fine], [*fine, bad])):
                with nothing_stored(served):
                    answer = post(served, transaction(*entries))
                    issue = refusal(answer, status)
                if place is not None:
                    assert issue["expression"] == [f"Bundle.entry[{2 * number}]{place}"], answer.text

    def test_everything_wrong_is_told_at_once(self, served: Served) -> None:
        bundle = transaction(
            entry("POST", "Media", new("Media", status="odd", colour="red")),
            entry("GET", "Media", new("Media")),
            entry("POST", "Encounter", new("Encounter")),
            entry("POST", "Encounter", {"resourceType": "Encounter"}),
            entry("PUT", "Encounter", new("Encounter")),
        )
        with nothing_stored(served):
            answer = post(served, bundle)
        told = [issue["expression"][0] for issue in answer.json()["issue"]]
        assert answer.status_code == 400
        assert {text.split(".")[1] for text in told} == {"entry[0]", "entry[1]", "entry[3]", "entry[4]"}
        assert {"Bundle.entry[0].resource.status", "Bundle.entry[0].resource.colour"} <= set(told)

    def test_refused_bundles_leave_no_bytes(self, served: Served) -> None:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"odd one").decode()}
        before = bytes_stored(served)
        refusal(post(served, transaction(entry("POST", "Binary", binary), entry("POST", "Media", {"x": 1}))), 400)
        assert bytes_stored(served) == before

    def test_a_patient_goes_together_with_what_is_about_it(self, served: Served, number: str) -> None:
        there = created(served, patient(number))
        media = created(served, new("Media", **about(f"Patient/{there['id']}")))
        alone = entry("DELETE", f"Patient/{there['id']}")
        refusal(post(served, transaction(alone)), 409)
        fresh = entry("POST", "Media", new("Media", **about(f"Patient/{there['id']}")))
        with nothing_stored(served):
            assert post(served, transaction(alone, entry("DELETE", f"Media/{media['id']}"), fresh)).status_code in (
                409,
                422,
            )
        assert statuses(post(served, transaction(alone, entry("DELETE", f"Media/{media['id']}")))) == ["204", "204"]

    def test_a_unit_of_the_same_transaction_owns_what_is_written_with_it(self, served: Served, number: str) -> None:
        """Facts are read from what is coming, whatever stands first."""
        north = {"resourceType": "Organization", "name": "n", "partOf": {"reference": "Organization/derm"}}
        visit = new("Encounter", unit=None, **about("urn:uuid:p")) | {"serviceProvider": {"reference": "urn:uuid:o"}}
        media = new("Media", unit=None, **about("urn:uuid:p")) | {"encounter": {"reference": "urn:uuid:e"}}
        answer = post(
            served,
            transaction(
                entry("POST", "Media", media),
                entry("POST", "Encounter", visit, "urn:uuid:e"),
                entry("POST", "Organization", north, "urn:uuid:o"),
                entry("POST", "Patient", patient(number), "urn:uuid:p"),
            ),
        )
        media_key, _, unit, _ = keys(served, answer)
        members = served.headers(units=[unit.partition("/")[2]])
        stored = read(served, media_key, members)
        assert [tag["code"] for tag in stored["meta"]["tag"]] == ["derm"]
        refusal(served.http.get(f"{served.base}/{media_key}", headers=served.headers(units=["eyes"])), 404)


_NONE = {"extension": [{"url": "http://x.example/none", "valueCode": "unknown"}]}
ANNOTATED: Body = {"request": {"_method": _NONE, "_url": _NONE}}

BAD_ENVELOPES: list[tuple[str, Any, int]] = [
    ("another type", {"resourceType": "Bundle", "type": "message"}, 400),
    ("no type", {"resourceType": "Bundle"}, 400),
    ("no bundle", {"resourceType": "Media"}, 400),
    ("entries that are none", {"resourceType": "Bundle", "type": "transaction", "entry": {"a": 1}}, 400),
    ("an entry that is none", {"resourceType": "Bundle", "type": "transaction", "entry": [1]}, 400),
    ("unknown elements", {"resourceType": "Bundle", "type": "transaction", "colour": "red"}, 400),
    ("an entry without a request", transaction({"resource": {"resourceType": "Patient"}}), 400),
    ("an unknown method", transaction(entry("FETCH", "Patient/anna")), 400),
    ("no url", transaction({"request": {"method": "GET"}}), 400),
    ("a method that is only annotated", transaction(ANNOTATED), 400),
    ("a url elsewhere", transaction(entry("GET", "https://other.example.org/fhir/Patient/1")), 400),
    ("a post without a resource", transaction(entry("POST", "Media")), 400),
    ("a post to an id", transaction(entry("POST", "Media/x", new("Media"))), 400),
    ("a post with a query", transaction(entry("POST", "Media?x=1", new("Media"))), 400),
    ("an operation", transaction(entry("POST", "Media/$validate", new("Media"))), 400),
    ("a search by post", transaction(entry("POST", "Media/_search", new("Media"))), 400),
    ("a bundle in a bundle", transaction(entry("POST", "", transaction())), 400),
    ("a put to nowhere", transaction(entry("PUT", "", new("Media"))), 400),
    ("a put to a bad id", transaction(entry("PUT", "Media/a b", a("Media", "a b"))), 400),
    ("a put with both", transaction(entry("PUT", "Media/x?y=1", a("Media", "x"))), 400),
    ("a bad version", transaction(entry("DELETE", "Media/x", ifMatch="latest")), 400),
    ("a condition out of place", transaction(entry("PUT", "Media/x", a("Media", "x"), ifNoneExist="_id=x")), 400),
    ("a bad instant", transaction(entry("GET", "Patient/anna", ifModifiedSince="yesterday")), 400),
    ("a relative fullUrl", transaction(entry("POST", "Media", new("Media"), "Media/1")), 400),
    ("a fullUrl twice", transaction(*[entry("POST", "Media", new("Media"), "urn:uuid:m")] * 2), 400),
    ("too many entries", transaction(*[entry("GET", "Patient/anna")] * 10_001), 413),
]


@pytest.mark.parametrize(
    ("bundle", "status"), [row[1:] for row in BAD_ENVELOPES], ids=[row[0] for row in BAD_ENVELOPES]
)
def test_bad_envelopes_are_refused(served: Served, bundle: Body, status: int) -> None:
    with nothing_stored(served):
        refusal(post(served, bundle), status)


@pytest.mark.parametrize(
    ("request_of", "element"), [({}, "method"), ({"method": "GET"}, "url")], ids=["no method", "no url"]
)
def test_what_is_only_annotated_is_missing(served: Served, request_of: Body, element: str) -> None:
    bundle = transaction(
        {"request": {f"_{name}": _NONE for name in ("method", "url") if name not in request_of} | request_of}
    )
    issue = refusal(post(served, bundle), 400)
    assert issue["expression"] == [f"Bundle.entry[0].request.{element}"]


def test_bodies_over_the_limit_are_not_read(served: Served) -> None:
    address = httpx.URL(served.base)
    wire = HTTPConnection(address.host, address.port)
    wire.putrequest("POST", "/fhir")
    for name, value in (served.headers() | {"Content-Length": str(65 * 2**20)}).items():
        wire.putheader(name, value)
    wire.endheaders()
    with closing(wire), wire.getresponse() as answer:
        assert answer.status == 413
        assert b"over the limit" in answer.read()


def test_whoever_may_do_nothing_is_not_listened_to(served: Served) -> None:
    refusal(post(served, transaction(), served.headers("user/AuditEvent.rs")), 403)
