"""Records to test access with: Anna and Bo, dermatology and the eye clinic, one of every served type."""

from typing import Any

from tests.servers import Served

Resource = dict[str, Any]

OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"
DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TEXT = "text/plain"

CLINICAL = ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter")
"""Types that are about a patient and belong to a unit."""

_SHAPES: dict[str, Resource] = {
    "Media": {"status": "completed", "content": {"title": "a picture"}},
    "DocumentReference": {"status": "current", "content": [{"attachment": {"title": "a letter"}}]},
    "ImagingStudy": {"status": "available"},
    "DiagnosticReport": {"status": "final", "code": {"text": "a finding"}},
    "Encounter": {
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    },
    "Patient": {"active": True},
    "Practitioner": {"active": True},
    "Organization": {"name": "a place"},
}


def a(kind: str, id: str, /, *, of: str | None = "anna", unit: str | None = "derm", **other: Any) -> Resource:
    """`a("Media", "m1", of="bo", unit="eyes")`; directory types have neither patient nor unit."""
    resource = {"resourceType": kind, "id": id, **_SHAPES[kind]}
    if kind in CLINICAL:
        if of is not None:
            resource["subject"] = {"reference": f"Patient/{of}"}
        if unit is not None:
            resource["extension"] = [{"url": OWNING_UNIT, "valueReference": {"reference": f"Organization/{unit}"}}]
    return resource | other


def with_content(url: str, **attachment: Any) -> Resource:
    """The `content` of a Media that refers to a Binary."""
    return {"content": {"url": url, **attachment}}


def identifier(value: str) -> list[Resource]:
    """One identifier."""
    return [{"system": "urn:numbers", "value": value}]


def label(code: str, system: str = CONFIDENTIALITY) -> Resource:
    """A security label."""
    return {"system": system, "code": code}


def places() -> list[Resource]:
    """A hospital, its two departments, two patients and a physician."""

    def department(id: str) -> Resource:
        coding = {"system": DEPARTMENT, "code": id}
        return a("Organization", id, partOf={"reference": "Organization/north"}, type=[{"coding": [coding]}])

    return [
        a("Organization", "north"),
        department("derm"),
        department("eyes"),
        a("Patient", "anna"),
        a("Patient", "bo"),
        a("Practitioner", "dr"),
    ]


def put(served: Served, *resources: Resource) -> None:
    """Each under its own id, in order."""
    importer = served.importer()
    for resource in resources:
        answer = served.put(resource, importer)
        assert answer.status_code in (200, 201), answer.text


def put_bytes(served: Served, id: str, content: bytes, headers: dict[str, str] | None = None) -> None:
    """A Binary under this id."""
    sent = (headers or served.importer()) | {"Content-Type": TEXT}
    answer = served.http.put(f"{served.base}/Binary/{id}", content=content, headers=sent)
    assert answer.status_code in (200, 201), answer.text
