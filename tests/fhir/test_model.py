"""The second opinion: what it says, what it must not say, and that it takes nothing away."""

from copy import deepcopy

import pytest

from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.model import check_model
from tests.fhir.samples import TYPES, sample


@pytest.mark.parametrize("type", TYPES)
def test_samples_are_sound_and_left_as_they_are(type: str) -> None:
    resource = sample(type)
    before = deepcopy(resource)
    assert check_model(resource, type=type) == []
    assert resource == before


def test_findings_name_the_element_and_never_the_value() -> None:
    resource = sample("Media")
    resource["issued"] = "Kari Nordmann"
    resource["Kari Nordmann"] = "x"
    resource["unknownElement"] = "Kari Nordmann"
    resource["identifier"] = [{"value": 13116900216}]
    del resource["content"]
    issues = check_model(resource, type="Media")
    assert {(issue.code, issue.expression) for issue in issues} >= {
        ("required", "Media.content"),
        ("structure", "Media.issued"),
        ("structure", "Media.unknownElement"),
        ("structure", "Media.identifier[0].value"),
    }
    for issue in issues:
        assert not any(piece in issue.text + str(issue.expression) for piece in ("Kari", "Nordmann", "13116900216"))


@pytest.mark.parametrize(
    "members",
    [
        {"extension": [{"url": "u", "valueMeta": {"versionId": "1"}}]},
        {"extension": [{"url": "u", "valueCode": "x", "_valueCode": {"id": "a"}}]},
        {"contained": [{"resourceType": "MedicinalProduct", "id": "m"}]},
    ],
)
def test_what_r4_permits_and_r4b_forbids_is_no_finding(members: JsonObject) -> None:
    resource = {**sample("Patient"), **members}
    assert check_model(resource, type="Patient") == []


def test_a_finding_behind_a_type_without_a_model_keeps_its_place() -> None:
    contained: Json = [{"resourceType": "Evidence", "id": "m", "status": "active"}, {"resourceType": "Basic"}]
    issues = check_model({**sample("Patient"), "contained": contained}, type="Patient")
    assert [issue.expression for issue in issues] == ["Patient.contained[1].code"]


@pytest.mark.parametrize("type", ["Bundle", "Parameters", "MedicinalProduct", "Evidence"])
def test_types_without_a_model_are_left_to_the_checker(type: str) -> None:
    assert check_model({"resourceType": type, "foo": 1}, type=type) == []
