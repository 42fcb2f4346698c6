"""References: what is a record of ours, what is somebody else's, and where they stand in a resource."""

from collections.abc import Iterable
from typing import Any

import pytest

from fhirmedia.core.records import Key
from fhirmedia.r4.elements import Element, resource_types, table, type_names
from fhirmedia.r4.references import Target, iter_references, parse_reference

BASE = "https://fhir.example.org/fhir"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Patient/1", Target(Key("Patient", "1"))),
        (f"{BASE}/Patient/1", Target(Key("Patient", "1"))),
        (f"{BASE}/Patient/1/_history/7", Target(Key("Patient", "1"), 7)),
        ("Patient/1/_history/abc", Target(Key("Patient", "1"))),
        ("Patient/1/_history/" + "9" * 40, Target(Key("Patient", "1"))),
        ("#p", Target(fragment="p")),
        ("#", Target(fragment="")),
        ("Sculpture/1", Target(url="Sculpture/1")),
        ("Patient/1?x=y", Target(url="Patient/1?x=y")),
        ("Patient?identifier=1", Target(url="Patient?identifier=1")),
        ("/Patient/1", Target(url="/Patient/1")),
        ("Patient/1\n", Target(url="Patient/1\n")),
        ("Patient/" + "a" * 65, Target(url="Patient/" + "a" * 65)),
        ("urn:uuid:1", Target(url="urn:uuid:1")),
        ("http://fhir.example.org/fhir/Patient/1", Target(url="http://fhir.example.org/fhir/Patient/1")),
        ("https://fhir.example.org/fhir/r4/Patient/1", Target(url="https://fhir.example.org/fhir/r4/Patient/1")),
    ],
)
def test_reading_a_reference(text: str, target: Target) -> None:
    assert parse_reference(text, base_url=BASE) == target


def test_every_reference_is_walked() -> None:
    resource: dict[str, Any] = {
        "resourceType": "Media",
        "subject": {"reference": "Patient/a"},
        "basedOn": [{"display": "none"}, {"reference": "ServiceRequest/s"}],
        "note": [{"authorReference": {"reference": "Practitioner/d"}}],
        "contained": [{"resourceType": "Device", "patient": {"reference": "Patient/b"}}],
        "_status": {"extension": [{"url": "http://x", "valueReference": {"reference": "Organization/o"}}]},
    }
    assert dict(iter_references(resource, "Media")) == {
        "Media.subject": "Patient/a",
        "Media.basedOn[1]": "ServiceRequest/s",
        "Media.note[0].authorReference": "Practitioner/d",
        "Media.contained[0].patient": "Patient/b",
        "Media.status.extension[0].valueReference": "Organization/o",
    }


def test_only_references_have_a_text_called_reference() -> None:
    """What the walk relies on, told from the element tables."""
    seen: set[str] = set()

    def visit(owner: Iterable[Element]) -> None:
        for element in owner:
            if element.name == "reference" and element.types[0] == "string":
                seen.add(element.path)
            if element.children is not None and element.content_reference is None:
                visit(element.children.elements.values())

    for name in (*resource_types(), *type_names()["complex"]):
        visit(table(name).elements.values())
    assert seen == {"Reference.reference"}
