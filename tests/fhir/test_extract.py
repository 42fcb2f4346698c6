"""Index entries: what each FHIR type becomes, compartments, our cross-type parameters, bounded values."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fhirpathpy
import pytest
from fhirpathpy.models import models
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.records import Key
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.extract import Extractor, with_last_updated
from fhirmedia.r4.fold import indexed_plain
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.tokens import token_value
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    StringValue,
    TokenValue,
    UriValue,
)
from tests.fhir.official import definitions
from tests.fhir.switchboards import whole_r4

BASE = "https://fhir.example.org/fhir"
ZONE = ZoneInfo("Europe/Stockholm")
SNOMED = "http://snomed.info/sct"
SERVED = Extractor(load_registry(), base_url=BASE, zone=ZONE)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """All types of R4 with all their parameters."""
    folder: Path = whole_r4(tmp_path_factory.mktemp("whole") / "profiles")
    return Extractor(load_registry(folder), base_url=BASE, zone=ZONE)


def entries_of(resource: dict[str, Any], extractor: Extractor = SERVED, id: str = "x1") -> IndexEntries:
    return extractor.entries(resource, key=Key(resource["resourceType"], id), last_updated_ms=0)


def day(text: str, zone_hours: int = 1) -> int:
    """The midnight of a winter day in Stockholm, in milliseconds UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) - zone_hours * 3_600_000


def test_id_and_time_come_from_the_record() -> None:
    entries = entries_of({"resourceType": "Media"}, id="aB-1")
    assert entries.values["_id"] == (TokenValue(None, "aB-1"),)
    stamped = with_last_updated(entries, 1_700_000_000_123)
    assert stamped.values["_lastUpdated"] == (DateValue(1_700_000_000_123, 1_700_000_000_124),)
    assert entries.values["_lastUpdated"] == (DateValue(0, 1),)
    assert {**stamped.values, "_lastUpdated": ()} == {**entries.values, "_lastUpdated": ()}
    assert (stamped.key, stamped.patients) == (entries.key, entries.patients)


def test_an_unreadable_date_hides_nothing_else() -> None:
    entries = entries_of({"resourceType": "Media", "createdDateTime": "soon", "status": "completed"})
    assert "created" not in entries.values
    assert "when" not in entries.values
    assert entries.values["status"]


def test_equal_values_are_kept_once() -> None:
    site = {"coding": [{"system": SNOMED, "code": "1"}]}
    study = {"resourceType": "ImagingStudy", "series": [{"bodySite": site["coding"][0]}] * 900}
    assert entries_of(study).values["body-site"] == (TokenValue(SNOMED, "1"),)


DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
ISSUED = "2023-01-01T00:00:00Z"
TIMES: dict[str, list[tuple[str, Any]]] = {
    "Media": [
        ("createdDateTime", "2024-01-02"), ("createdPeriod", {"start": "2024-01-02"}), ("issued", ISSUED)],
    "DocumentReference": [("context", {"period": {"start": "2024-01-02"}}), ("date", ISSUED)],
    "ImagingStudy": [("started", "2024-01-02")],
    "DiagnosticReport": [
        ("effectiveDateTime", "2024-01-02"), ("effectivePeriod", {"start": "2024-01-02"}), ("issued", ISSUED)],
}  # fmt: skip


@pytest.mark.parametrize("type", TIMES)
def test_when_is_one_time_and_what_happened_comes_before_what_was_issued(type: str) -> None:
    for chosen in product((False, True), repeat=len(TIMES[type])):
        elements = dict(pair for pair, taken in zip(TIMES[type], chosen, strict=True) if taken)
        if "createdDateTime" in elements and "createdPeriod" in elements:
            continue  # a choice has one form
        if "effectiveDateTime" in elements and "effectivePeriod" in elements:
            continue
        found = entries_of({"resourceType": type, **elements}).values.get("when", ())
        assert len(found) == bool(elements)
        if elements:
            (value,) = found
            assert isinstance(value, DateValue)
            happened = elements.keys() - {"issued", "date"}
            assert value.lo == (day("2024-01-02") if happened else day("2023-01-01", 0))


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ({"resourceType": "Media", "content": {"contentType": "image/jpeg"}}, {"image"}),
        ({"resourceType": "Media", "content": {"contentType": "video/mp4"}}, {"video"}),
        ({"resourceType": "Media", "content": {"contentType": "audio/wav"}}, {"audio"}),
        ({"resourceType": "Media", "content": {"contentType": "application/pdf"}}, {"document"}),
        ({"resourceType": "Media", "content": {"contentType": "application/dicom"}}, {"dicom"}),
        ({"resourceType": "Media", "content": {"contentType": "font/woff"}}, set()),
        ({"resourceType": "Media", "content": {}}, set()),
        ({"resourceType": "Media", "type": {"text": "photo"}, "content": {"contentType": "image/png"}}, {"image"}),
        (
            {
                "resourceType": "Media",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "video"}]},
                "content": {"contentType": "image/gif"},
            },
            {"video"},
        ),
        ({"resourceType": "DocumentReference"}, {"document"}),
        ({"resourceType": "ImagingStudy"}, {"dicom"}),
        ({"resourceType": "DiagnosticReport"}, {"document"}),
    ],
)
def test_kind(resource: dict[str, Any], kind: set[str]) -> None:
    assert set(entries_of(resource).values.get("kind", ())) == {TokenValue(None, code) for code in kind}


@pytest.mark.parametrize("type", ["Media", "DocumentReference", "ImagingStudy", "DiagnosticReport"])
def test_department_is_the_tag_of_our_system_only(type: str) -> None:
    tags = [{"system": DEPARTMENT, "code": "derm"}, {"system": "http://x", "code": "eye"}, {"code": "ent"}]
    entries = entries_of({"resourceType": type, "meta": {"tag": tags}})
    assert entries.values["department"] == (TokenValue(DEPARTMENT, "derm"),)
    assert len(entries.values["_tag"]) == 3


def test_body_site_is_one_code_for_three_spellings() -> None:
    concept = {"coding": [{"system": SNOMED, "code": "1"}]}
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.bodySite"
    for resource in (
        {"resourceType": "Media", "bodySite": concept},
        {"resourceType": "DocumentReference", "extension": [{"url": url, "valueCodeableConcept": concept}]},
        {
            "resourceType": "DocumentReference",
            "extension": [{"url": url, "extension": [{"url": "concept", "valueCodeableConcept": concept}]}],
        },
        {"resourceType": "ImagingStudy", "series": [{"bodySite": concept["coding"][0]}]},
    ):
        assert entries_of(resource).values["body-site"] == (TokenValue(SNOMED, "1"),)


@pytest.mark.parametrize(
    ("resource", "patients"),
    [
        ({"resourceType": "Media", "subject": {"reference": "Patient/a"}}, ("a",)),
        ({"resourceType": "Media", "subject": {"reference": f"{BASE}/Patient/a"}}, ("a",)),
        ({"resourceType": "Media", "subject": {"reference": "Patient/a/_history/2"}}, ("a",)),
        ({"resourceType": "Media", "subject": {"reference": "https://other.example.org/fhir/Patient/a"}}, ()),
        ({"resourceType": "Media", "subject": {"reference": f"{BASE}x/Patient/a"}}, ()),
        ({"resourceType": "Media", "subject": {"reference": f"{BASE}//Patient/a"}}, ()),
        ({"resourceType": "Media", "subject": {"reference": "Group/a"}}, ()),
        (
            {
                "resourceType": "Media",
                "subject": {"reference": "#a"},
                "contained": [{"resourceType": "Patient", "id": "a"}],
            },
            (),
        ),
        ({"resourceType": "Media", "subject": {"identifier": {"value": "1"}, "type": "Patient"}}, ()),
        ({"resourceType": "Media", "operator": {"reference": "Patient/a"}}, ()),
        (
            {
                "resourceType": "DocumentReference",
                "subject": {"reference": "Patient/a"},
                "author": [{"reference": "Practitioner/d"}, {"reference": "Patient/b"}, {"reference": "Patient/a"}],
            },
            ("a", "b"),
        ),
        ({"resourceType": "ImagingStudy", "subject": {"reference": "Patient/a"}}, ("a",)),
        ({"resourceType": "Encounter", "subject": {"reference": "Patient/a"}}, ("a",)),
        ({"resourceType": "DiagnosticReport", "subject": {"reference": "Patient/a"}}, ("a",)),
        ({"resourceType": "Patient"}, ("x1",)),
        ({"resourceType": "Patient", "link": [{"other": {"reference": "Patient/a"}}]}, ("x1", "a")),
        (
            {
                "resourceType": "AuditEvent",
                "agent": [{"who": {"reference": "Patient/a"}}],
                "entity": [{"what": {"reference": "Patient/b"}}, {"what": {"reference": "Media/m"}}],
            },
            ("a", "b"),
        ),
    ],
)
def test_compartments(resource: dict[str, Any], patients: tuple[str, ...]) -> None:
    assert entries_of(resource).patients == patients


def test_compartments_of_all_examples_follow_from_the_official_files(everything: Extractor) -> None:
    """Computed twice: by us, and by fhirpathpy from the definitions as HL7 publishes them."""
    source = definitions()
    definition = json.loads(source.content("CompartmentDefinition-patient.json"))
    by_code: dict[tuple[str, str], str] = {}
    for parameter in source.resources("SearchParameter"):
        if parameter.get("url", "").startswith("http://hl7.org/fhir/SearchParameter/") and "expression" in parameter:
            for kind in parameter.get("base", ()):
                if not parameter["id"].startswith("example"):
                    by_code[kind, parameter["code"]] = parameter["expression"]
    inside = 0
    for listed in definition["resource"]:
        kind = listed["code"]
        paths = [
            fhirpathpy.compile(f"{branch.split('.where(resolve()')[0].strip()}.reference", models["r4"])
            for code in listed.get("param", ())
            for branch in by_code[kind, code].split("|")
            if branch.strip().startswith(f"{kind}.")
        ]
        for name in source.names(f"{kind}-"):
            resource = json.loads(source.content(name))
            if resource.get("resourceType") != kind or "id" not in resource:
                continue
            expected = {resource["id"]} if kind == "Patient" else set()
            references = [text for path in paths for text in path(resource, {})]
            expected |= {text.split("/")[1] for text in references if text.startswith("Patient/")}
            assert set(entries_of(resource, everything, resource["id"]).patients) == expected, name
            inside += bool(expected)
    assert inside > 300


@given(value=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=1500))
def test_long_values_are_bounded_and_still_meet_their_query(value: str) -> None:
    uri = "http://x/" + value
    patient = {
        "resourceType": "Patient",
        "meta": {"profile": [uri], "source": uri},
        "identifier": [{"system": uri, "value": value}],
    }
    values = entries_of(patient).values
    assert values["identifier"] == (token_value(uri, value),)
    (identifier,), (profile,) = values["identifier"], values["_profile"]
    assert isinstance(identifier, TokenValue)
    assert isinstance(profile, UriValue)
    for text in (identifier.system, identifier.code, profile.value):
        assert text is not None
        assert len(text.encode()) <= 500


@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=400), min_size=1, max_size=30
    )
)
def test_long_names_are_bounded(everything: Extractor, words: list[str]) -> None:
    name = " ".join(words)
    found = entries_of({"resourceType": "Patient", "name": [{"text": name}]}, everything).values["name"]
    for value in found:
        assert isinstance(value, StringValue)
        assert len(value.plain) <= 200
        assert len(value.exact.encode()) <= 500
    assert any(isinstance(value, StringValue) and value.plain == indexed_plain(name) for value in found)


def test_every_official_example_can_be_indexed(everything: Extractor) -> None:
    source, known = definitions(), resource_types() - {"Parameters"}
    count = 0
    for name in source.names(""):
        if name.startswith(("StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter")):
            continue
        resource = json.loads(source.content(name), parse_float=Decimal)
        if isinstance(resource.get("id"), str) and resource.get("resourceType") in known:
            assert entries_of(resource, everything, resource["id"]).values["_id"]
            count += 1
    assert count > 700
