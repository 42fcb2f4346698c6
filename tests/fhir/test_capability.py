"""/metadata: the switchboard as a statement about one instance, sound R4, and true."""

from typing import Any

from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhirmedia.r4.capability import capability_statement
from fhirmedia.r4.checker import check
from fhirmedia.r4.registry import load_registry

REGISTRY = load_registry()
BASE = "https://fhir.example.org/fhir"


def statement(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = capability_statement(
        REGISTRY, base_url=BASE, software_version="1.2.3", now_ms=1_700_000_000_123, **more
    )
    return made


def test_it_is_sound_r4() -> None:
    for made in (statement(), statement(oauth={"token": f"{BASE}/token"}), REGISTRY.statement):
        assert check(made, type="CapabilityStatement") == []
        CapabilityStatement.model_validate(made)


def test_it_speaks_of_this_instance() -> None:
    made = statement()
    assert made["kind"] == "instance"
    assert made["date"] == "2023-11-14T22:13:20.123Z"
    assert made["software"] == {"name": "fhirmedia", "version": "1.2.3"}
    assert made["implementation"]["url"] == BASE
    assert made["fhirVersion"] == "4.0.1"
    assert made["format"][0] == "application/fhir+json"


def test_every_line_is_what_the_registry_serves() -> None:
    (server,) = statement()["rest"]
    assert [listed["type"] for listed in server["resource"]] == list(REGISTRY.types)
    for listed in server["resource"]:
        served = REGISTRY.types[listed["type"]]
        codes = {interaction["code"] for interaction in listed["interaction"]}
        assert codes == served.interactions
        assert {each["name"]: each["type"] for each in listed.get("searchParam", ())} == {
            code: parameter.kind for code, parameter in served.parameters.items()
        } | dict.fromkeys(served.words, "string")
        assert listed["updateCreate"] is served.update_create is ("update" in codes)
        assert listed["readHistory"] is ("vread" in codes)
        assert listed["conditionalCreate"] is False or "create" in codes
        assert listed["conditionalUpdate"] is False or "update" in codes
        assert listed["conditionalDelete"] == "not-supported" or "delete" in codes
        if served.read_only:
            assert listed["versioning"] == "no-version"
        follows = "search-type" in codes and not served.read_only
        assert ("searchInclude" in listed) is ("searchRevInclude" in listed) is follows
    assert {each["code"] for each in server["interaction"]} == REGISTRY.system_interactions
    assert server["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]


def test_the_references_that_can_be_followed_are_told_from_the_parameters() -> None:
    (server,) = statement()["rest"]
    listed = {each["type"]: each for each in server["resource"]}
    assert listed["Media"]["searchInclude"][:2] == ["*", "Media:based-on"]
    assert "Media:subject" in listed["Media"]["searchInclude"]
    assert {"Media:subject", "Task:patient"} <= set(listed["Patient"]["searchRevInclude"])
    assert "Media:encounter" not in listed["Patient"]["searchRevInclude"]
    names = list(listed["Media"])
    assert names.index("searchInclude") < names.index("searchRevInclude") < names.index("searchParam")


def test_endpoints_are_named_only_where_there_are_any() -> None:
    plain = statement()["rest"][0]["security"]
    assert "extension" not in plain
    assert plain["service"][0]["coding"][0]["code"] == "OAuth"
    made = statement(oauth={"token": f"{BASE}/token", "authorize": f"{BASE}/authorize"})["rest"][0]["security"]
    assert made["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (extension,) = made["extension"]
    assert {each["url"]: each["valueUri"] for each in extension["extension"]} == {
        "token": f"{BASE}/token",
        "authorize": f"{BASE}/authorize",
    }


def test_making_it_leaves_the_switchboard_as_it_is() -> None:
    statement()["rest"][0]["resource"].clear()
    assert REGISTRY.statement["kind"] == "requirements"
    assert len(statement()["rest"][0]["resource"]) == len(REGISTRY.types)
