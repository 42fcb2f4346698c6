"""FHIR R4, references: what a Reference may be, and contained resources."""

from typing import Any

from tests.access.records import a
from tests.fhir.standard.rows import Desk, Table

T = Table("references")


def a_media(**more: Any) -> dict[str, Any]:
    return {name: value for name, value in a("Media", "x").items() if name != "id"} | more


def refused(desk: Desk, body: dict[str, Any], *statuses: int) -> dict[str, Any]:
    answer = desk.ask("POST", "/Media", None, json=body)
    assert answer.status_code in (statuses or (400, 422)), answer.text
    return desk.refused(answer)


@T.shall("Reference", "A Reference has an address, an identifier or a text, or an extension.")
def _(desk: Desk) -> None:
    refused(desk, a_media(operator={}), 400)
    for sound in ({"display": "Dr. Berg"}, {"identifier": {"system": "urn:n", "value": "1"}}):
        desk.ask("POST", "/Media", 201, json=a_media(operator=sound))


@T.shall("type", "A stated type agrees with the type of what is referred to.")
def _(desk: Desk) -> None:
    refused(desk, a_media(operator={"reference": "Practitioner/dr", "type": "Patient"}), 400)
    desk.ask("POST", "/Media", 201, json=a_media(operator={"reference": "Practitioner/dr", "type": "Practitioner"}))


@T.shall("literal", "A reference leads to a resource of a type the element allows.")
def _(desk: Desk) -> None:
    refused(desk, a_media(subject={"reference": "Encounter/x"}), 400)
    refused(desk, a_media(subject={"reference": "Nonsense/x"}), 400)


@T.shall("literal", "A reference that decides whom a record concerns can be resolved.")
def _(desk: Desk) -> None:
    refused(desk, a_media(subject={"reference": "Patient/nobody"}), 422)


T.shown(
    "literal",
    "SHOULD",
    "Addresses may be relative, absolute or name a version.",
    "tests/fhir/test_references.py::test_reading_a_reference",
)


@T.shall("logical", "A reference by identifier means something of a type the element allows.")
def _(desk: Desk) -> None:
    number = {"identifier": {"system": "urn:n", "value": "1"}}
    refused(desk, a_media(operator={**number, "type": "Encounter"}), 400)
    desk.ask("POST", "/Media", 201, json=a_media(operator={**number, "type": "Practitioner"}))


T.shown(
    "canonical",
    "SHOULD",
    "A search for a canonical address with a version finds that version.",
    "tests/fhir/test_query_values.py::*",
)
T.shown(
    "canonical",
    "SHOULD",
    "With below, a canonical address with a version finds that version and those under it.",
    "tests/fhir/test_query_values.py::*",
)
T.apart(
    "canonical",
    "SHOULD",
    "A canonical reference is resolved in a registry first, then as an address.",
    reason="The server resolves no canonical reference, and fetches nothing from anywhere.",
)
T.apart(
    "canonical",
    "SHALL",
    "A canonical reference to anything names a type that has a canonical address.",
    reason="What it names is elsewhere, and nothing is fetched.",
)


def contained(**more: Any) -> dict[str, Any]:
    inner = {"resourceType": "Practitioner", "id": "p", "active": True, **more}
    return a_media(contained=[inner], operator={"reference": "#p"})


@T.should("contained", "A contained resource comes back with what contains it.")
def _(desk: Desk) -> None:
    made = desk.ask("POST", "/Media", 201, json=contained()).json()
    assert desk.get(f"/Media/{made['id']}").json()["contained"][0]["id"] == "p"


@T.shall("contained", "A contained resource contains no other.")
def _(desk: Desk) -> None:
    refused(desk, contained(contained=[{"resourceType": "Organization", "id": "o", "name": "x"}]), 400)


@T.shall("contained", "A contained resource has no version, no time of change and no security label of its own.")
def _(desk: Desk) -> None:
    for meta in ({"versionId": "1"}, {"lastUpdated": "2020-01-01T00:00:00Z"}, {"security": [{"code": "R"}]}):
        refused(desk, contained(meta=meta), 400)
    desk.ask("POST", "/Media", 201, json=contained(meta={"tag": [{"code": "x"}]}))


@T.shall("contained", "A contained resource is there because something refers to it.")
def _(desk: Desk) -> None:
    orphan = contained()
    del orphan["operator"]
    refused(desk, orphan, 400)


@T.shall("contained", "A reference into the resource leads to something in it.")
def _(desk: Desk) -> None:
    refused(desk, a_media(operator={"reference": "#nobody"}), 400)


@T.shall("contained", "The element that contains has no extensions.")
def _(desk: Desk) -> None:
    refused(desk, {**contained(), "_contained": [{"extension": [{"url": "urn:x", "valueCode": "x"}]}]}, 400)


T.apart(
    "contained",
    "SHALL",
    "The narrative of the container tells what matters of the contained.",
    reason="Only people can tell whether a text says enough.",
)
T.apart(
    "contained",
    "SHALL",
    "A contained resource is of the FHIR version of its container.",
    reason="The server speaks R4 alone; elements of other releases are refused by name.",
)

TABLES = (T,)
