"""One more entry in the switchboard, and the program serves one more type: no line of code knows of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fhirmedia
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import load_registry
from tests.access.records import OWNING_UNIT, places, put
from tests.fhir.rest import created, names, refusal
from tests.fhir.switchboards import entry, read, with_entries
from tests.servers import Served, served_process

TYPE = "QuestionnaireResponse"


def answers(of: str, **more: Any) -> dict[str, Any]:
    """What somebody answered, owned by dermatology."""
    return {
        "resourceType": TYPE,
        "status": "completed",
        "subject": {"reference": f"Patient/{of}"},
        "author": {"reference": f"Patient/{of}"},
        "authored": "2026-03-01",
        "questionnaire": "https://example.org/Questionnaire/skin|2",
        "extension": [{"url": OWNING_UNIT, "valueReference": {"reference": "Organization/derm"}}],
        "item": [{"linkId": "1", "answer": [{"valueString": "it itches"}]}],
    } | more


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The program installed elsewhere, as a wheel lays it out, with the entry in its switchboard."""
    home = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(Path(fhirmedia.__file__).parent, home / "fhirmedia", ignore=shutil.ignore_patterns("__pycache__"))
    folder = home / "fhirmedia" / "profiles"
    shutil.copytree(str(profiles()), folder, dirs_exist_ok=True)
    official = read(folder, "r4/search-parameters.json")[TYPE]
    alike = next(
        each
        for each in read(folder, "CapabilityStatement-fhirmedia.json")["rest"][0]["resource"]
        if each["type"] == "Basic"
    )
    with_entries(folder, [{**alike, **entry(folder, TYPE, ["_id", *official]), "interaction": alike["interaction"]}])
    environment = {"PYTHONPATH": str(home), "PYTHONSAFEPATH": "1"}
    with served_process(home / "data", environment=environment) as (server, _):
        put(server, *places())
        yield server


def test_the_program_as_it_is_does_not_serve_the_type() -> None:
    assert TYPE not in load_registry().types


def test_it_is_stated_created_read_and_searched(served: Served) -> None:
    staff = served.headers()
    statement = served.http.get(f"{served.base}/metadata").json()
    assert TYPE in [each["type"] for each in statement["rest"][0]["resource"]]
    made = created(served, answers("anna"))
    key = f"{TYPE}/{made['id']}"
    assert served.http.get(f"{served.base}/{key}", headers=staff).json() == made
    for query in (
        "patient=anna",
        "subject=Patient/anna",
        "status=completed",
        "authored=2026-03",
        "author=Patient/anna",
        "questionnaire=https://example.org/Questionnaire/skin|2",
        "status:missing=false",
    ):
        found = served.http.get(f"{served.base}/{TYPE}?{query}&_id={made['id']}", headers=staff).json()
        assert names(found) == [key], query
    assert key in names(served.http.get(f"{served.base}/Patient/anna/*", headers=staff).json())
    definition = f"{served.base}/SearchParameter?code=authored&base={TYPE}"
    assert len(names(served.http.get(definition, headers=staff).json())) == 1
    changed = served.http.put(f"{served.base}/{key}", json={**made, "status": "amended"}, headers=staff)
    assert changed.json()["meta"]["versionId"] == "2"


def test_it_is_checked_like_any_other(served: Served) -> None:
    url, staff = f"{served.base}/{TYPE}", served.headers()
    refusal(served.http.post(url, json=answers("anna", status="done"), headers=staff), 400)
    refusal(served.http.post(url, json=answers("nobody"), headers=staff), 422)


def test_its_access_is_that_of_its_patient_and_unit(served: Served) -> None:
    mine = created(served, answers("bo"))
    one = f"{served.base}/{TYPE}/{mine['id']}"
    for sees, headers in (
        (True, served.headers("patient/*.rs", patient="bo")),
        (False, served.headers("patient/*.rs", patient="anna")),
        (True, served.headers(units=["derm"])),
        (False, served.headers(units=["eyes"])),
    ):
        assert served.http.get(one, headers=headers).status_code == (200 if sees else 404)
        listed = names(served.http.get(f"{served.base}/{TYPE}", headers=headers).json())
        assert (f"{TYPE}/{mine['id']}" in listed) is sees
