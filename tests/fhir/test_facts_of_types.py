"""Whose record it is, by type: patients, owning unit, authors and source, for every type with a way of its own."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import access_references, facts_of
from fhirmedia.r4.registry import load_registry
from tests.fhir.switchboards import copied, read, write

BASE = "https://fhir.example.org/fhir"
REGISTRY = load_registry()
EXTRACTOR = Extractor(REGISTRY, base_url=BASE, zone=ZoneInfo("Europe/Stockholm"))

DERM: dict[str, Any] = {"reference": "Organization/derm"}
ANNA: dict[str, Any] = {"reference": "Patient/anna"}
BO: dict[str, Any] = {"reference": "Patient/bo"}
DR: dict[str, Any] = {"reference": "Practitioner/dr"}
VISIT: dict[str, Any] = {"reference": "Encounter/visit"}
"""Anna's visit to dermatology."""

HELD: dict[Key, Any] = {
    Key("Encounter", "visit"): {"resourceType": "Encounter", "subject": ANNA, "serviceProvider": DERM},
    Key("Organization", "derm"): {"resourceType": "Organization"},
}


def facts(type: str, **body: Any) -> Facts:
    resource = {"resourceType": type, **body}
    entries = EXTRACTOR.entries(resource, key=Key(type, "x"), last_updated_ms=0)
    return facts_of(resource, entries=entries, registry=REGISTRY, base_url=BASE, lookup=HELD.get)


@pytest.mark.parametrize(
    ("type", "body", "patients", "unit"),
    [
        ("Appointment", {"participant": [{"actor": ANNA}, {"actor": DR}]}, ("anna",), None),
        ("Basic", {"subject": ANNA, "author": DR}, ("anna",), None),
        ("Basic", {"subject": ANNA, "author": BO}, ("anna", "bo"), None),
        ("BodyStructure", {"patient": ANNA}, ("anna",), None),
        ("CareTeam", {"subject": ANNA, "managingOrganization": [DERM]}, ("anna",), "derm"),
        ("CareTeam", {"subject": ANNA, "participant": [{"member": BO}]}, ("anna", "bo"), None),
        ("Condition", {"subject": ANNA, "encounter": VISIT}, ("anna",), "derm"),
        ("Condition", {"subject": ANNA, "asserter": BO}, ("anna", "bo"), None),
        ("Device", {"patient": ANNA, "owner": DERM}, ("anna",), "derm"),
        ("Device", {"owner": DERM}, (), "derm"),
        ("EpisodeOfCare", {"patient": ANNA, "managingOrganization": DERM}, ("anna",), "derm"),
        ("Group", {"member": [{"entity": ANNA}, {"entity": BO}], "managingEntity": DERM}, ("anna", "bo"), "derm"),
        ("Group", {"member": [{"entity": DR}], "managingEntity": DR}, (), None),
        ("List", {"subject": ANNA, "encounter": VISIT}, ("anna",), "derm"),
        ("List", {"subject": ANNA, "source": BO}, ("anna", "bo"), None),
        ("Observation", {"subject": ANNA, "encounter": VISIT, "performer": [DERM]}, ("anna",), "derm"),
        ("Observation", {"subject": BO, "encounter": VISIT}, ("bo",), None),
        ("Observation", {"focus": [ANNA]}, (), None),
        ("Person", {"link": [{"target": ANNA}], "managingOrganization": DERM}, ("anna",), "derm"),
        ("Person", {"link": [{"target": ANNA}, {"target": BO}]}, ("anna", "bo"), None),
        ("Procedure", {"subject": ANNA, "performer": [{"actor": BO}]}, ("anna", "bo"), None),
        ("Provenance", {"target": [ANNA, {"reference": "Media/m"}]}, ("anna",), None),
        ("Provenance", {"target": [{"reference": "Media/m"}]}, (), None),
        ("RelatedPerson", {"patient": ANNA}, ("anna",), None),
        ("ServiceRequest", {"subject": ANNA, "encounter": VISIT, "requester": DERM}, ("anna",), "derm"),
        ("ServiceRequest", {"subject": ANNA, "performer": [BO]}, ("anna", "bo"), None),
        ("Specimen", {"subject": ANNA}, ("anna",), None),
        ("Task", {"for": ANNA, "encounter": VISIT}, ("anna",), "derm"),
        ("Task", {"for": BO, "encounter": VISIT}, ("bo",), None),
        ("Task", {"owner": DERM, "focus": ANNA}, (), None),
        ("HealthcareService", {"providedBy": DERM}, (), None),
        ("Location", {"managingOrganization": DERM}, (), None),
        ("Endpoint", {"managingOrganization": DERM}, (), None),
        ("PractitionerRole", {"organization": DERM}, (), None),
    ],
)
def test_patients_and_unit(type: str, body: dict[str, Any], patients: tuple[str, ...], unit: str | None) -> None:
    told = facts(type, **body)
    assert (told.patients, told.unit) == (patients, unit)
    resource = {"resourceType": type, **body}
    proven = {key for _, key in access_references(resource, registry=REGISTRY, base_url=BASE)}
    assert {key.id for key in proven if key.type == "Patient"} == set(patients)


@pytest.mark.parametrize(
    ("type", "body", "authors", "source"),
    [
        ("ServiceRequest", {"requester": DR, "performer": [ANNA]}, ("Practitioner/dr",), "staff"),
        ("List", {"source": ANNA}, ("Patient/anna",), "patient"),
        ("Task", {"requester": DR, "owner": ANNA}, ("Practitioner/dr",), "staff"),
        ("Specimen", {"collection": {"collector": DR}}, ("Practitioner/dr",), "staff"),
        ("Provenance", {"agent": [{"who": ANNA}, {"who": DR}]}, ("Patient/anna", "Practitioner/dr"), "patient"),
        ("Observation", {"performer": [ANNA]}, ("Patient/anna",), "patient"),
        ("Condition", {"recorder": DR, "asserter": ANNA}, ("Practitioner/dr",), "staff"),
    ],
)
def test_who_made_it(type: str, body: dict[str, Any], authors: tuple[str, ...], source: str) -> None:
    told = facts(type, **body)
    assert (told.authors, told.source) == (authors, source)


def test_what_is_about_a_patient_outside_the_compartment_stays_outside_of_it() -> None:
    for type, name in (("Task", "for"), ("Device", "patient")):
        assert REGISTRY.types[type].compartment == ()
        entries = EXTRACTOR.entries({"resourceType": type, name: ANNA}, key=Key(type, "x"), last_updated_ms=0)
        assert entries.patients == ()


def test_a_path_that_leads_to_no_reference_stops_the_start(tmp_path: Any) -> None:
    folder = copied(tmp_path / "profiles")
    table = read(folder, "facts.json")
    write(folder, "facts.json", {**table, "unit": {**table["unit"], "Media": ["owner"]}})
    with pytest.raises(Failure) as refused:
        load_registry(folder)
    assert refused.value.category is Category.INVALID
    assert "names owner of Media" in refused.value.issues[0].text
