"""Facts: what access decisions know about a version, and which references a write has to prove."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.records import CONFIDENTIALITY, Facts, Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import access_references, department_tag, facts_of
from fhirmedia.r4.facts import owned_by as ownership
from fhirmedia.r4.registry import Registry, load_registry
from tests.fhir.switchboards import copied, entry, with_entries

BASE = "https://fhir.example.org/fhir"
ZONE = ZoneInfo("Europe/Stockholm")
REGISTRY = load_registry()
EXTRACTOR = Extractor(REGISTRY, base_url=BASE, zone=ZONE)
OWNER = "https://fhirmedia.org/StructureDefinition/owning-unit"
DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
CONFIDENTIAL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def organization(*, part_of: str | None = None, department: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"resourceType": "Organization"}
    if part_of is not None:
        body["partOf"] = {"reference": part_of}
    if department is not None:
        body["type"] = [
            {"coding": [{"system": "http://x", "code": "dept"}]},
            {"coding": [{"system": DEPARTMENT, "code": department, "display": department.title(), "version": "1"}]},
        ]
    return body


HELD: Mapping[Key, Any] = {
    Key("Organization", "region"): organization(),
    Key("Organization", "hospital"): organization(part_of="Organization/region", department="hospital"),
    Key("Organization", "skin"): organization(part_of=f"{BASE}/Organization/hospital", department="derm"),
    Key("Organization", "ward"): organization(part_of="Organization/skin"),
    Key("Organization", "abroad"): organization(part_of="https://other.example.org/fhir/Organization/region"),
    Key("Organization", "round-a"): organization(part_of="Organization/round-b"),
    Key("Organization", "round-b"): organization(part_of="Organization/round-a"),
    Key("Organization", "orphan"): organization(part_of="Organization/gone"),
    Key("Encounter", "visit"): {
        "resourceType": "Encounter",
        "serviceProvider": {"reference": "Organization/ward"},
    },
    Key("Encounter", "owned"): {
        "resourceType": "Encounter",
        "extension": [{"url": OWNER, "valueReference": {"reference": "Organization/skin"}}],
        "serviceProvider": {"reference": "Organization/ward"},
    },
    Key("Encounter", "bare"): {"resourceType": "Encounter"},
    Key("Encounter", "of-p1"): {
        "resourceType": "Encounter",
        "subject": {"reference": "Patient/p1"},
        "serviceProvider": {"reference": "Organization/ward"},
    },
}


def facts(resource: dict[str, Any], *, id: str = "x1", registry: Registry = REGISTRY) -> Facts:
    extractor = EXTRACTOR if registry is REGISTRY else Extractor(registry, base_url=BASE, zone=ZONE)
    entries = extractor.entries(resource, key=Key(resource["resourceType"], id), last_updated_ms=0)
    return facts_of(resource, entries=entries, registry=registry, base_url=BASE, lookup=HELD.get)


def owned_by(reference: str) -> dict[str, Any]:
    return {"extension": [{"url": OWNER, "valueReference": {"reference": reference}}]}


@pytest.mark.parametrize(
    ("resource", "unit", "enterprise"),
    [
        ({"resourceType": "Media", **owned_by("Organization/ward")}, "ward", "region"),
        ({"resourceType": "Media", **owned_by(f"{BASE}/Organization/ward")}, "ward", "region"),
        ({"resourceType": "Media", **owned_by("https://other.example.org/fhir/Organization/ward")}, None, None),
        ({"resourceType": "Media", **owned_by("Practitioner/ward")}, None, None),
        ({"resourceType": "Media", **owned_by("Organization/region")}, "region", "region"),
        ({"resourceType": "Media", **owned_by("Organization/absent")}, "absent", "absent"),
        ({"resourceType": "Media", **owned_by("Organization/orphan")}, "orphan", "gone"),
        ({"resourceType": "Media", **owned_by("Organization/abroad")}, "abroad", "abroad"),
        ({"resourceType": "Media", **owned_by("Organization/round-a")}, "round-a", None),
        (
            {
                "resourceType": "Media",
                "extension": [{"url": "http://x", "valueReference": {"reference": "Organization/ward"}}],
            },
            None,
            None,
        ),
        ({"resourceType": "Media", "encounter": {"reference": "Encounter/visit"}}, "ward", "region"),
        ({"resourceType": "Media", "encounter": {"reference": "Encounter/owned"}}, "skin", "region"),
        ({"resourceType": "Media", "encounter": {"reference": "Encounter/bare"}}, None, None),
        ({"resourceType": "Media", "encounter": {"reference": "Encounter/absent"}}, None, None),
        (
            {"resourceType": "Media", **owned_by("Organization/skin"), "encounter": {"reference": "Encounter/visit"}},
            "skin",
            "region",
        ),
        ({"resourceType": "DocumentReference", "custodian": {"reference": "Organization/skin"}}, "skin", "region"),
        (
            {
                "resourceType": "DocumentReference",
                "custodian": {"identifier": {"value": "1"}},
                "context": {"encounter": [{"reference": "EpisodeOfCare/e"}, {"reference": "Encounter/visit"}]},
            },
            "ward",
            "region",
        ),
        (
            {
                "resourceType": "DocumentReference",
                **owned_by("Organization/ward"),
                "custodian": {"reference": "Organization/skin"},
            },
            "ward",
            "region",
        ),
        ({"resourceType": "Encounter", "serviceProvider": {"reference": "Organization/skin"}}, "skin", "region"),
        ({"resourceType": "Patient", "managingOrganization": {"reference": "Organization/skin"}}, None, None),
        ({"resourceType": "Organization", **owned_by("Organization/skin")}, None, None),
    ],
)
def test_unit_and_enterprise(resource: dict[str, Any], unit: str | None, enterprise: str | None) -> None:
    found = facts(resource)
    assert (found.unit, found.enterprise) == (unit, enterprise)


@given(parents=st.dictionaries(st.integers(0, 30), st.integers(0, 30)), start=st.integers(0, 30))
def test_climbing_always_ends(parents: dict[int, int], start: int) -> None:
    bodies = {
        Key("Organization", str(child)): organization(part_of=f"Organization/{parent}")
        for child, parent in parents.items()
    }
    media = {"resourceType": "Media", **owned_by(f"Organization/{start}")}
    entries = EXTRACTOR.entries(media, key=Key("Media", "m"), last_updated_ms=0)
    found = facts_of(media, entries=entries, registry=REGISTRY, base_url=BASE, lookup=bodies.get)
    assert found.unit == str(start)
    assert found.enterprise is None or int(found.enterprise) not in parents


def test_what_a_media_tells() -> None:
    media = {
        "resourceType": "Media",
        "meta": {
            "tag": [{"system": DEPARTMENT, "code": "derm"}],
            "security": [
                {"system": CONFIDENTIAL, "code": "R"},
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SDV"},
                {"code": "local"},
            ],
        },
        **owned_by("Organization/ward"),
        "status": "completed",
        "modality": {"coding": [{"system": "http://x", "code": "DERM"}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/visit"},
        "operator": {"reference": "Practitioner/d"},
        "content": {"contentType": "image/png", "url": "Binary/b1"},
    }
    assert facts(media) == Facts(
        patients=("p1",),
        unit="ward",
        enterprise="region",
        authors=("Practitioner/d",),
        encounter="Encounter/visit",
        status="completed",
        source="staff",
        confidentiality="R",
        labels=("http://terminology.hl7.org/CodeSystem/v3-ActCode|SDV", "|local"),
        binaries=("b1",),
        tokens={
            "department": (f"{DEPARTMENT}|derm", "derm"),
            "kind": ("image",),
            "modality": ("http://x|derm", "derm"),
            "status": ("http://hl7.org/fhir/event-status|completed", "completed"),
        },
    )


def test_what_says_nothing_tells_nothing() -> None:
    assert facts({"resourceType": "Media"}) == Facts()


@pytest.mark.parametrize("codes", [(), ("N",), ("U", "R"), ("R", "V", "N"), ("L",), ("secret",), ("U", "r")])
def test_the_strictest_confidentiality_binds(codes: tuple[str, ...]) -> None:
    security = [{"system": CONFIDENTIAL, "code": code} for code in codes]
    expected = "N"
    if codes:
        known = [code for code in CONFIDENTIALITY if code in codes]
        expected = "V" if len(known) < len(codes) else known[-1]
    assert facts({"resourceType": "Media", "meta": {"security": security}}).confidentiality == expected


def test_a_label_without_its_system_does_not_make_a_record_more_open() -> None:
    found = facts({"resourceType": "Media", "meta": {"security": [{"code": "U"}]}})
    assert (found.confidentiality, found.labels) == ("N", ("|U",))


@pytest.mark.parametrize(
    ("resource", "source"),
    [
        ({"operator": {"reference": "Patient/p1"}}, "patient"),
        ({"operator": {"reference": "RelatedPerson/r1"}}, "patient"),
        ({"operator": {"reference": "Practitioner/d"}}, "staff"),
        ({"operator": {"reference": "https://other.example.org/Patient/p1"}}, "staff"),
        ({"meta": {"tag": [{"system": "https://fhirmedia.org/CodeSystem/source", "code": "external"}]}}, "external"),
        ({"meta": {"tag": [{"system": "https://fhirmedia.org/CodeSystem/source", "code": "patient"}]}}, "patient"),
        (
            {
                "meta": {"tag": [{"system": "https://fhirmedia.org/CodeSystem/source", "code": "staff"}]},
                "operator": {"reference": "Patient/p1"},
            },
            "staff",
        ),
        ({"meta": {"tag": [{"system": "https://fhirmedia.org/CodeSystem/source", "code": "drone"}]}}, "external"),
    ],
)
def test_source(resource: dict[str, Any], source: str) -> None:
    assert facts({"resourceType": "Media", **resource}).source == source


def test_a_document_of_two_people_names_both() -> None:
    document = {
        "resourceType": "DocumentReference",
        "subject": {"reference": "Patient/a"},
        "author": [{"reference": "Patient/b"}, {"reference": "https://other.example.org/Patient/c"}],
        "content": [
            {"attachment": {"url": f"{BASE}/Binary/b1"}},
            {"attachment": {"url": "Binary/b2"}},
            {"attachment": {"url": "Binary/b2/_history/1"}},
            {"attachment": {"url": "https://other.example.org/fhir/Binary/b3"}},
            {"attachment": {"title": "nothing"}},
        ],
    }
    found = facts(document)
    assert found.patients == ("a", "b")
    assert found.authors == ("Patient/b",)
    assert found.binaries == ("b1", "b2")


def test_an_encounter_of_somebody_else_owns_nothing_and_tells_nothing() -> None:
    def media(*, of: str | None, visit: str) -> dict[str, Any]:
        subject = {"subject": {"reference": f"Patient/{of}"}} if of else {}
        return {"resourceType": "Media", **subject, "encounter": {"reference": f"Encounter/{visit}"}}

    assert facts(media(of="p1", visit="of-p1")).unit == "ward"
    assert tag(media(of="p1", visit="of-p1")) is not None
    for body in (media(of="p2", visit="of-p1"), media(of=None, visit="of-p1"), media(of="p1", visit="visit")):
        assert facts(body).unit is None
        assert tag(body) is None


def test_an_encounter_and_a_patient_are_their_own() -> None:
    assert facts({"resourceType": "Encounter", "status": "planned"}, id="e1").encounter == "Encounter/e1"
    assert facts({"resourceType": "Patient"}, id="p1").patients == ("p1",)


def test_facts_of_a_type_added_by_the_switchboard_alone(tmp_path: Path) -> None:
    folder = copied(tmp_path / "profiles")
    registry = load_registry(with_entries(folder, [entry(folder, "Procedure", ["status", "code"])]))
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"coding": [{"code": "X"}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/of-p1"},
        "performer": [{"actor": {"reference": "Practitioner/d"}}],
        "recorder": {"reference": "Practitioner/e"},
    }
    assert facts(procedure, registry=registry) == Facts(
        patients=("p1",),
        unit="ward",
        enterprise="region",
        authors=("Practitioner/d", "Practitioner/e"),
        encounter="Encounter/of-p1",
        status="completed",
        tokens={"code": ("x",), "status": ("http://hl7.org/fhir/event-status|completed", "completed")},
    )


def tag(resource: dict[str, Any]) -> Any:
    owner = ownership(resource, resource["resourceType"], registry=REGISTRY, base_url=BASE, lookup=HELD.get)
    return department_tag(resource, owner, registry=REGISTRY)


def test_the_department_is_that_of_the_nearest_organization() -> None:
    derm = {"system": DEPARTMENT, "code": "derm", "display": "Derm"}
    assert tag({"resourceType": "Media", **owned_by("Organization/skin")}) == derm
    assert tag({"resourceType": "Media", **owned_by("Organization/ward")}) == derm
    assert tag({"resourceType": "Media", "encounter": {"reference": "Encounter/visit"}}) == derm
    assert tag({"resourceType": "Media", **owned_by("Organization/hospital")})["code"] == "hospital"


def test_no_department_is_invented() -> None:
    chosen = {"tag": [{"system": DEPARTMENT, "code": "eye"}]}
    assert tag({"resourceType": "Media", "meta": chosen, **owned_by("Organization/skin")}) is None
    other = {"tag": [{"system": "http://x", "code": "eye"}]}
    assert tag({"resourceType": "Media", "meta": other, **owned_by("Organization/skin")}) is not None
    for nobody in ("region", "absent", "round-a", "orphan"):
        assert tag({"resourceType": "Media", **owned_by(f"Organization/{nobody}")}) is None
    assert tag({"resourceType": "Media"}) is None
    assert tag({"resourceType": "Patient", "managingOrganization": {"reference": "Organization/skin"}}) is None


def test_references_that_decide_access() -> None:
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "extension": [{"url": "http://x"}, *owned_by("Organization/ward")["extension"]],
        "subject": {"reference": "Patient/a"},
        "author": [{"reference": "Practitioner/d"}, {"reference": "Patient/b"}],
        "custodian": {"reference": "Organization/skin"},
        "authenticator": {"reference": "Practitioner/absent"},
        "content": [
            {"attachment": {"url": "Binary/b1"}},
            {"attachment": {"url": "https://other.example.org/Binary/b"}},
        ],
        "context": {"encounter": [{"reference": "Encounter/absent"}]},
    }
    assert set(access_references(document, registry=REGISTRY, base_url=BASE)) == {
        ("DocumentReference.subject", Key("Patient", "a")),
        ("DocumentReference.author", Key("Patient", "b")),
        ("DocumentReference.extension[1].value", Key("Organization", "ward")),
    }
    unowned = {name: value for name, value in document.items() if name not in ("extension", "custodian")}
    assert set(access_references(unowned, registry=REGISTRY, base_url=BASE)) == {
        ("DocumentReference.subject", Key("Patient", "a")),
        ("DocumentReference.author", Key("Patient", "b")),
        ("DocumentReference.context.encounter", Key("Encounter", "absent")),
    }
    patient: dict[str, Any] = {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/skin"}}
    assert access_references(patient, registry=REGISTRY, base_url=BASE) == ()
