"""The Registry: what is served comes from `profiles/` alone, and what cannot be served stops the start."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.r4.checker import check
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import COMMON, load_registry
from fhirmedia.r4.switchboard import read_switchboard
from fhirmedia.r4.values import QuantityValue, TokenValue
from scripts.make_search_parameters import compartment, parameters
from scripts.make_switchboard import made as made_statement
from tests.fhir.official import definitions
from tests.fhir.switchboards import copied, entry, read, whole_r4, with_entries, write

STATEMENT = "CapabilityStatement-fhirmedia.json"
REGISTRY = load_registry()
WRITTEN = {"read", "vread", "create", "update", "delete", "history-instance", "search-type"}
"""What every stored type but Binary has, whatever else."""

COMMON_CODES = {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"}
STORED = {
    "Patient", "Media", "DocumentReference", "ImagingStudy", "Binary", "DiagnosticReport", "Practitioner",
    "PractitionerRole", "Organization", "Location", "HealthcareService", "Encounter", "EpisodeOfCare", "Appointment",
    "ServiceRequest", "Task", "CareTeam", "List", "Group", "RelatedPerson", "Person", "Device", "BodyStructure",
    "Specimen", "Observation", "Condition", "Procedure", "Provenance", "Endpoint", "Basic",
}  # fmt: skip
DEFINITIONS = {
    "SearchParameter", "OperationDefinition", "StructureDefinition", "CodeSystem", "ValueSet", "CompartmentDefinition",
}  # fmt: skip
NOT_INDEXED = {"phonetic", "near"}


def test_the_switchboard_serves_what_it_is_meant_to() -> None:
    assert REGISTRY.types.keys() == STORED | DEFINITIONS | {"AuditEvent"}
    for name, served in REGISTRY.types.items():
        if name == "Binary":
            assert {"read", "create", "update", "delete"} <= served.interactions
            assert not {"search-type", "vread", "history-instance"} & served.interactions
        elif name in STORED:
            assert served.interactions >= WRITTEN
        else:
            assert served.interactions == {"read", "search-type"}
    assert "search-system" in REGISTRY.system_interactions


def test_stored_types_have_every_parameter_that_can_be_indexed() -> None:
    official = read(profiles(), "r4/search-parameters.json")
    ours = {(base, each.values[0]["code"]) for each in own_definitions() for base in each.values[0].get("base", ())}
    for name in STORED - {"Binary"}:
        own = {code for kind, code in ours if kind == name}
        parameters = set(REGISTRY.types[name].parameters)
        assert parameters == COMMON_CODES | (official[name].keys() - NOT_INDEXED) | own, name
    assert sum(len(REGISTRY.types[name].parameters) for name in STORED) > 600
    assert set(COMMON) == COMMON_CODES


def test_the_switchboard_is_what_the_script_makes_of_the_tables() -> None:
    assert made_statement(read_switchboard(profiles())) == read(profiles(), STATEMENT), (
        "run scripts/make_switchboard.py"
    )


def test_membership_is_the_whole_compartment_definition() -> None:
    definition = json.loads(definitions().content("CompartmentDefinition-patient.json"))
    official = {each["code"]: tuple(each.get("param", ())) for each in definition["resource"]}
    for name, served in REGISTRY.types.items():
        assert served.compartment == official[name]
        assert all(parameter.branches for parameter in served.membership)
    assert REGISTRY.served("DocumentReference").compartment == ("subject", "author")


def test_the_facts_are_what_the_definitions_say() -> None:
    source = definitions()
    for name, made in (
        ("search-parameters.json", parameters(source)),
        ("compartment-patient.json", compartment(source)),
    ):
        assert json.loads((profiles() / "r4" / name).read_text("utf-8")) == made


def test_directory_and_read_only_types() -> None:
    assert {name for name, served in REGISTRY.types.items() if served.directory} == {
        "Endpoint",
        "HealthcareService",
        "Location",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
    }
    assert {name for name, served in REGISTRY.types.items() if served.definition} == DEFINITIONS
    assert {name for name, served in REGISTRY.types.items() if served.read_only} == DEFINITIONS | {"AuditEvent"}


def test_what_everybody_may_read_is_about_nobody() -> None:
    """No patient's data in a type without owner: R4 puts none of them into a compartment, and our table neither."""
    for served in REGISTRY.types.values():
        if (served.directory or served.definition) and served.name != "Patient":
            assert served.membership == ()
            assert served.facts.about == ()
            assert not any("Patient" in parameter.targets for parameter in served.parameters.values()), served.name


def own_definitions() -> list[Any]:
    present = [profiles() / folder for folder in sorted(DEFINITIONS) if (profiles() / folder).is_dir()]
    return [
        pytest.param(json.loads(file.read_text("utf-8")), id=file.name) for one in present for file in one.iterdir()
    ]


@pytest.mark.parametrize("definition", own_definitions())
def test_own_definitions_are_sound_and_bear_our_canonical_address(definition: dict[str, Any]) -> None:
    kind = definition["resourceType"]
    assert definition["url"] == f"{REGISTRY.table.canonical}/{kind}/{definition['id']}"
    assert check(definition, type=kind) == []


def test_what_the_fact_table_names_is_defined() -> None:
    table = REGISTRY.table
    defined = {parameter.values[0]["url"] for parameter in own_definitions()}
    assert {table.owning_unit, table.department_system, table.source_system} <= defined


def test_targets_of_a_patient_parameter_are_patients_only() -> None:
    for name, served in REGISTRY.types.items():
        patient = served.parameters.get("patient")
        assert patient is None or patient.targets == ("Patient",), name
    subject = REGISTRY.parameter("Media", "subject")
    assert subject is not None
    assert {"Patient", "Group"} < set(subject.targets)


def test_asking_for_what_is_not_served() -> None:
    with pytest.raises(Failure) as unknown:
        REGISTRY.served("Consent")
    assert (unknown.value.category, unknown.value.issues[0].code) == (Category.NOT_FOUND, "not-supported")
    with pytest.raises(Failure) as refused:
        REGISTRY.require("AuditEvent", "create")
    assert refused.value.category is Category.NOT_ALLOWED
    with pytest.raises(Failure) as searched:
        REGISTRY.require("Binary", "search-type")
    assert searched.value.category is Category.NOT_ALLOWED
    assert REGISTRY.require("Media", "create") is REGISTRY.types["Media"]
    assert REGISTRY.parameter("Media", "date") is None
    assert REGISTRY.parameter("Consent", "date") is None


def test_one_entry_serves_one_more_type(tmp_path: Path) -> None:
    folder = copied(tmp_path / "profiles")
    statement = read(folder, STATEMENT)
    listed = statement["rest"][0]["resource"]
    listed[:] = [each for each in listed if each["type"] != "Observation"]
    write(folder, STATEMENT, statement)
    assert "Observation" not in load_registry(folder).types
    codes = ["_id", "patient", "code", "combo-code-value-quantity"]
    registry = load_registry(with_entries(folder, [entry(folder, "Observation", codes)]))
    served = registry.require("Observation", "search-type")
    assert served.compartment == ("subject", "performer")
    assert set(served.parameters) == set(codes)
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "component": [
            {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value, "unit": "mmHg"}}
            for code, value in (("8480-6", 120), ("8462-4", 80))
        ],
    }
    extractor = Extractor(registry, base_url="http://fhir.example.org", zone=ZoneInfo("Europe/Stockholm"))
    entries = extractor.entries(observation, key=Key("Observation", "o1"), last_updated_ms=0)
    assert entries.patients == ("p1",)
    assert entries.values["code"] == (TokenValue("http://loinc.org", "85354-9"),)
    assert entries.values["combo-code-value-quantity$1"] == (
        TokenValue("http://loinc.org", "85354-9", 0),
        TokenValue(None, "8480-6", 1),
        TokenValue(None, "8462-4", 2),
    )
    assert entries.values["combo-code-value-quantity$2"] == (
        QuantityValue(120.0, 120.0, unit="mmHg", group=1),
        QuantityValue(80.0, 80.0, unit="mmHg", group=2),
    )


def test_every_type_of_r4_could_be_served_with_all_its_parameters(tmp_path: Path) -> None:
    registry = load_registry(whole_r4(tmp_path / "profiles"))
    assert set(registry.types) == resource_types() - {"Parameters"}
    assert len(registry.types) > 140
    assert sum(len(served.parameters) for served in registry.types.values()) > 1_600
    for served in registry.types.values():
        assert set(COMMON) <= set(served.indexed)


def refusal(folder: Path) -> str:
    with pytest.raises(Failure) as refused:
        load_registry(folder)
    assert refused.value.category is Category.INVALID
    return refused.value.issues[0].text


def own_parameter(**changes: Any) -> dict[str, Any]:
    parameter = {
        "resourceType": "SearchParameter",
        "url": "https://example.org/SearchParameter/mine",
        "code": "mine",
        "base": ["Media"],
        "type": "token",
        "expression": "Media.status",
    }
    return {key: value for key, value in {**parameter, **changes}.items() if value is not None}


def listing(**changes: Any) -> dict[str, Any]:
    listed = {"name": "mine", "definition": "https://example.org/SearchParameter/mine", "type": "token"}
    interactions = [{"code": "read"}]
    return {"type": "Media", "interaction": interactions, "searchParam": [{**listed, **changes}]}


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ({"expression": None}, "has no expression for Media"),
        ({"expression": "Patient.active"}, "has no expression for Media"),
        ({"expression": "Media.status.lower()"}, "the function lower()"),
        ({"expression": "Media.colour"}, "an element colour that Media does not have"),
        ({"type": "date", "expression": "Media.bodySite"}, "cannot be made of values of type CodeableConcept"),
        ({"type": "special"}, "is made of words, and code has none"),
        ({"type": "fancy"}, "has no expression for Media"),
        ({"code": "status"}, "takes the code status, which Media already has"),
        ({"code": "_tag"}, "takes the code _tag, which Media already has"),
        ({"code": "when"}, "takes the code when, which Media already has"),
        ({"code": "other"}, "no definition of a search parameter mine on Media"),
        ({"url": "https://example.org/SearchParameter/another"}, "with another definition or type"),
    ],
)
def test_a_parameter_that_cannot_be_served_stops_the_start(
    tmp_path: Path, parameter: dict[str, Any], sentence: str
) -> None:
    folder = with_entries(copied(tmp_path / "profiles"), [listing(type=parameter.get("type", "token"))])
    write(folder, "SearchParameter/zz-mine.json", own_parameter(**parameter))
    assert sentence in refusal(folder)


def test_our_own_parameter_is_served_when_it_is_sound(tmp_path: Path) -> None:
    folder = with_entries(copied(tmp_path / "profiles"), [listing()])
    write(folder, "SearchParameter/zz-mine.json", own_parameter())
    mine = load_registry(folder).parameter("Media", "mine")
    assert mine is not None
    assert mine.expression == "Media.status"


def test_a_type_r4_does_not_have_stops_the_start(tmp_path: Path) -> None:
    folder = with_entries(copied(tmp_path / "profiles"), [{"type": "Photograph", "interaction": []}])
    assert "no resource type of FHIR R4" in refusal(folder)


def test_a_type_outside_the_compartment_definition_stops_the_start(tmp_path: Path) -> None:
    folder = copied(tmp_path / "profiles")
    held = read(folder, "r4/compartment-patient.json")
    del held["Media"]
    write(folder, "r4/compartment-patient.json", held)
    assert "does not say whether it holds Media" in refusal(folder)


def test_a_type_listed_twice_stops_the_start(tmp_path: Path) -> None:
    folder = copied(tmp_path / "profiles")
    statement = read(folder, STATEMENT)
    statement["rest"][0]["resource"].append(statement["rest"][0]["resource"][0])
    write(folder, STATEMENT, statement)
    assert "lists Patient twice" in refusal(folder)


def test_words_are_searched_where_they_are_listed(tmp_path: Path) -> None:
    folder = copied(tmp_path / "profiles")
    with_entries(folder, [entry(folder, "Media", ["_content"])])
    media = load_registry(folder).types["Media"]
    assert media.words == {"_content"}
    assert "_content" not in media.parameters
