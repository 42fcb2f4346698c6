"""Records to test access with: Anna and Bo, dermatology and the eye clinic, one of every served type."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.servers import Served

Resource = dict[str, Any]

OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"
DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TEXT = "text/plain"

_SUBJECT: Mapping[str, Callable[[Resource], Resource]] = {
    **dict.fromkeys(
        (
            "Media", "DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter", "ServiceRequest", "CareTeam",
            "List", "Specimen", "Observation", "Condition", "Procedure", "Basic",
        ),
        lambda patient: {"subject": patient},
    ),
    **dict.fromkeys(("EpisodeOfCare", "RelatedPerson", "BodyStructure"), lambda patient: {"patient": patient}),
    "Appointment": lambda patient: {"participant": [{"actor": patient, "status": "accepted"}]},
    "Group": lambda patient: {"member": [{"entity": patient}]},
    "Person": lambda patient: {"link": [{"target": patient}]},
    "Provenance": lambda patient: {"target": [patient]},
    "Task": lambda patient: {"for": patient},
    "Device": lambda patient: {"patient": patient},
}  # fmt: skip
"""How each type says which patient it is about."""

ABOUT = ("Task", "Device")
"""Types about a patient that R4 puts into no compartment."""

CLINICAL = tuple(type for type in _SUBJECT if type not in ABOUT)
"""Types that are in a patient's compartment and belong to a unit."""

_SHAPES: Mapping[str, Resource] = {
    "Media": {"status": "completed", "content": {"title": "a picture"}},
    "DocumentReference": {"status": "current", "content": [{"attachment": {"title": "a letter"}}]},
    "ImagingStudy": {"status": "available"},
    "DiagnosticReport": {"status": "final", "code": {"text": "a finding"}},
    "Encounter": {
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    },
    "EpisodeOfCare": {"status": "active"},
    "Appointment": {"status": "proposed"},
    "ServiceRequest": {"status": "active", "intent": "order"},
    "Task": {"status": "requested", "intent": "order"},
    "List": {"status": "current", "mode": "working"},
    "Group": {"type": "person", "actual": True},
    "Observation": {"status": "final", "code": {"text": "a weight"}},
    "Procedure": {"status": "completed"},
    "Provenance": {"recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "somebody"}}]},
    "Basic": {"code": {"text": "a note"}},
    "Patient": {"active": True},
    "Practitioner": {"active": True},
    "Organization": {"name": "a place"},
    "Endpoint": {
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [{"text": "any"}],
        "address": "https://endpoint.example.org",
    },
}


def a(kind: str, id: str, /, *, of: str | None = "anna", unit: str | None = "derm", **other: Any) -> Resource:
    """`a("Media", "m1", of="bo", unit="eyes")`; directory types have neither patient nor unit."""
    resource = {"resourceType": kind, "id": id, **_SHAPES.get(kind, {})}
    if kind in _SUBJECT:
        if of is not None:
            resource |= _SUBJECT[kind]({"reference": f"Patient/{of}"})
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


def put_bytes(
    served: Served, id: str, content: bytes, headers: dict[str, str] | None = None, *, content_type: str = TEXT
) -> None:
    """A Binary under this id."""
    sent = (headers or served.importer()) | {"Content-Type": content_type}
    answer = served.http.put(f"{served.base}/Binary/{id}", content=content, headers=sent)
    assert answer.status_code in (200, 201), answer.text
