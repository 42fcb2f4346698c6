"""Definitions are served from `profiles/`: read and searched by whoever has the scope, and changed by nobody."""

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhirmedia.r4.checker import check
from fhirmedia.r4.conformance import definition_types, definitions
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import BUILT_IN, load_registry
from tests.fhir import official
from tests.fhir.rest import matches, names, pages, refusal
from tests.servers import FHIR_JSON, Served

REGISTRY = load_registry()
TYPES = definition_types(REGISTRY)
ALL: list[Any] = list(definitions(REGISTRY))
R4 = "http://hl7.org/fhir"


def found(served: Served, query: str, headers: dict[str, str] | None = None) -> Any:
    answer = served.http.get(f"{served.base}/{query}", headers=headers or served.headers())
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_definition_is_sound_and_has_an_address_of_its_own() -> None:
    assert {each["resourceType"] for each in ALL} == set(TYPES)
    assert len({(each["resourceType"], each["id"]) for each in ALL}) == len(ALL)
    assert len({each["url"] for each in ALL}) == len(ALL)
    for definition in ALL:
        kind = definition["resourceType"]
        assert check(definition, type=kind) == []
        get_fhir_model_class(kind).model_validate(definition)
        assert definition["url"].endswith(f"/{kind}/{definition['id']}")


def test_every_file_of_ours_is_served() -> None:
    for kind in TYPES:
        folder = profiles() / kind
        files = sorted(folder.iterdir(), key=str) if folder.is_dir() else []
        held = {each["id"] for each in ALL if each["resourceType"] == kind}
        for file in files:
            resource = json.loads(file.read_text("utf-8"))
            assert resource["resourceType"] == kind
            assert resource["id"] in held
            assert file.name == f"{resource['id']}.json"


def test_every_parameter_stated_leads_to_its_definition(served: Served) -> None:
    held = {each["url"]: each for each in ALL}
    for name, each in REGISTRY.types.items():
        for parameter in each.parameters.values():
            definition = held[parameter.url]
            assert definition["code"] == parameter.code
            assert definition["type"] == parameter.kind
            assert name in definition["base"] or {"Resource", "DomainResource"} & set(definition["base"])
        for listed in each.words:
            assert f"{R4}/SearchParameter/{BUILT_IN[listed]}" in held
    one = found(served, f"SearchParameter?url={R4}/SearchParameter/clinical-date")
    (definition,) = matches(one)
    assert "Procedure" in definition["base"]
    assert "Procedure.performed" in definition["expression"]


def test_the_facts_of_official_definitions_are_those_published() -> None:
    source = official.definitions()
    published = {each["url"]: each for each in source.resources("SearchParameter") if "url" in each}
    ours = [each for each in ALL if each["url"].startswith(f"{R4}/SearchParameter/")]
    assert len(ours) > 350
    for mine in ours:
        theirs = published[mine["url"]]
        for name in ("id", "url", "version", "name", "status", "code", "type"):
            assert mine[name] == theirs[name], (mine["url"], name)
        assert set(mine["base"]) == set(theirs["base"])
        assert mine["description"] != theirs["description"]
    compartment = json.loads(source.content("CompartmentDefinition-patient.json"))
    (mine,) = (each for each in ALL if each["resourceType"] == "CompartmentDefinition")
    assert mine["url"] == compartment["url"]
    assert mine["resource"] == [
        {name: each[name] for name in ("code", "param") if each.get(name)} for each in compartment["resource"]
    ]


@pytest.mark.parametrize("type", TYPES)
def test_each_is_read_and_found_by_url(served: Served, type: str) -> None:
    staff = served.headers()
    for definition in [each for each in ALL if each["resourceType"] == type][:5]:
        read = served.http.get(f"{served.base}/{type}/{definition['id']}", headers=staff)
        assert read.status_code == 200
        assert {name: value for name, value in read.json().items() if name != "meta"} == definition
        assert matches(found(served, f"{type}?url={definition['url']}")) == [read.json()]
        again = served.http.get(
            f"{served.base}/{type}/{definition['id']}", headers=staff | _known(read.headers["etag"])
        )
        assert again.status_code == 304
    refusal(served.http.get(f"{served.base}/{type}/never", headers=staff), 404)


def _known(etag: str) -> dict[str, str]:
    return {"If-None-Match": etag}


def test_they_are_searched_like_anything_else(served: Served) -> None:
    assert names(found(served, "SearchParameter?base=Media&code=when,kind&_sort=-code")) == [
        "SearchParameter/when",
        "SearchParameter/kind",
    ]
    assert names(found(served, "CodeSystem?name=depart")) == ["CodeSystem/department"]
    assert names(found(served, "CodeSystem?code=derm")) == ["CodeSystem/department"]
    assert names(found(served, "StructureDefinition?type=Extension&_id=laterality")) == [
        "StructureDefinition/laterality"
    ]
    assert found(served, "SearchParameter?type=composite&_summary=count")["total"] > 5
    walked = [
        name
        for page in pages(served, f"{served.base}/SearchParameter?_count=100", served.headers())
        for name in names(page)
    ]
    assert len(walked) == len(set(walked)) == sum(each["resourceType"] == "SearchParameter" for each in ALL)
    refusal(served.http.get(f"{served.base}/?_type=CodeSystem,ValueSet", headers=served.headers()), 400)


def test_nobody_changes_them(served: Served) -> None:
    importer = served.importer()
    for type in TYPES:
        resource = next(each for each in ALL if each["resourceType"] == type)
        one = f"{served.base}/{type}/{resource['id']}"
        refusal(served.http.post(f"{served.base}/{type}", json=resource, headers=importer), 405)
        refusal(served.http.put(one, json=resource, headers=importer), 405)
        refusal(served.http.delete(one, headers=importer), 405)


def test_the_version_is_that_of_the_content(served: Served) -> None:
    versions = {each["meta"]["versionId"] for each in matches(found(served, "SearchParameter?_count=1000"))}
    assert len(versions) == sum(each["resourceType"] == "SearchParameter" for each in ALL)


def test_reading_one_is_written_down(served: Served) -> None:
    found(served, "CodeSystem/department", {**served.headers(), "X-Request-Id": "looked-at-a-code-system"})
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    events = matches(found(served, "AuditEvent?_sort=-date&_count=50", {**auditor, "Accept": FHIR_JSON}))
    assert any("CodeSystem/department" in json.dumps(each) for each in events)
