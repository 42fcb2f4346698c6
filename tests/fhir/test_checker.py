"""The strict checker as a whole: sound resources, several findings at once, no echo, resources inside resources."""

import pytest

from fhirmedia.r4.checker import check
from fhirmedia.r4.checker_findings import ISSUES_MAX
from fhirmedia.r4.json_types import JsonObject
from tests.fhir.samples import TYPES, sample
from tests.fhir.spoiling import EXTENDED, Spoil, found, put, within


@pytest.mark.parametrize("type", TYPES)
def test_samples_are_sound(type: str) -> None:
    assert check(sample(type), type=type) == []


PROVENANCE: JsonObject = {
    "resourceType": "Provenance",
    "id": "p",
    "target": [{"reference": "#"}],
    "recorded": "2020-01-01T00:00:00Z",
    "agent": [{"who": {"display": "x"}}],
}
CAMERA: JsonObject = {"resourceType": "Device", "id": "camera"}
OWNER: JsonObject = {"resourceType": "Organization", "id": "o", "name": "x"}
MEDICATION: JsonObject = {"resourceType": "Medication", "id": "m"}

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"

SOUND: list[tuple[str, str, Spoil]] = [
    ("a leap second", "Media", put(issued="2016-12-31T23:59:60Z")),
    ("a leap day", "Patient", put(birthDate="2000-02-29")),
    ("white space in base64", "Media", within("content", data=" QUJD\r\n\tREVG ")),
    ("whole numbers as decimals", "Media", put(duration=12)),
    ("special spaces in a string", "Media", put(deviceName="a\u00a0b\u2028c\td")),
    ("a reference without a literal", "Media", put(subject={"display": "somebody"})),
    ("Meta as the value of an extension", "Media", put(extension=[{"url": "u", "valueMeta": {"versionId": "1"}}])),
    ("contained that refers to its container", "Media", put(contained=[CAMERA, PROVENANCE])),
    (
        "contained that refers to a contained",
        "Media",
        put(contained=[{**CAMERA, "owner": {"reference": "#o"}}, OWNER]),
    ),
    ("contained of a type nobody serves", "Media", put(contained=[CAMERA, MEDICATION], partOf=[{"reference": "#m"}])),
]


@pytest.mark.parametrize(("type", "spoil"), [pytest.param(*row[1:], id=row[0]) for row in SOUND])
def test_lets_through(type: str, spoil: Spoil) -> None:
    assert found(type, spoil) == []


def test_a_mandatory_primitive_may_say_why_it_is_missing() -> None:
    resource = sample("Media")
    del resource["status"]
    resource["_status"] = dict(EXTENDED)
    assert check(resource, type="Media") == []


def test_the_type_must_be_the_one_expected() -> None:
    assert [i.expression for i in check(sample("Media"), type="Patient")] == ["Patient.resourceType"]
    assert [i.expression for i in check({}, type="Patient")] == ["Patient.resourceType"]
    assert [i.code for i in check({"resourceType": "Foo"}, type="Foo")] == ["structure"]
    assert [i.code for i in check({"resourceType": "Resource"}, type="Resource")] == ["structure"]


def test_tells_several_findings_at_once_and_not_without_end() -> None:
    several = found("Patient", put(gender="x", birthDate="y", active="z", foo=1))
    assert [path for _, path in several] == ["Patient.active", "Patient.gender", "Patient.birthDate", "Patient.foo"]
    assert len(found("Patient", put(identifier=[{}] * 100_000))) == ISSUES_MAX


def test_nothing_that_was_sent_is_repeated_but_names_of_elements() -> None:
    canary = "Kari Nordmann 13116900216"
    resource: JsonObject = {
        "resourceType": "Media",
        "status": canary,
        canary: 1,
        "_" + canary: 1,
        "n13116900216": 1,
        "subject": {"reference": canary, canary: {}, "type": canary},
        "identifier": canary,
        "height": canary,
        "text": {"status": canary, "div": f"<{canary}>"},
        "issued": canary,
        "contained": [{"resourceType": canary, "id": canary}],
        "extension": [{"url": canary, canary: canary}],
        "content": {"contentType": canary, "data": canary, "size": canary},
    }
    issues = check(resource, type="Media")
    assert len(issues) > 10
    for issue in issues:
        for piece in ("Kari", "Nordmann", "13116900216"):
            assert piece not in issue.text + str(issue.expression)


def test_resources_in_bundles_and_parameters_are_checked_as_themselves() -> None:
    borrowed: JsonObject = {"status": "completed", "content": {"title": "x"}, "device": {"reference": "#camera"}}
    bundle: JsonObject = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": sample("Media"), "request": {"method": "POST", "url": "Media"}},
            {"resource": {**sample("Patient"), "gender": "x"}},
            {"resource": {"resourceType": "Media", **borrowed}},
            {"resource": {"resourceType": "Foo"}},
        ],
    }
    assert [(i.code, i.expression) for i in check(bundle, type="Bundle")] == [
        ("code-invalid", "Bundle.entry[1].resource.gender"),
        ("invariant", "Bundle.entry[2].resource.device.reference"),
        ("structure", "Bundle.entry[3].resource.resourceType"),
    ]
    parameters: JsonObject = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "part": [{"name": "b", "resource": {**sample("Binary"), "data": "?"}}]},
            {"name": "c", "valueString": "x", "valueCode": "y"},
            {"name": "d", "resource": sample("Media")},
            {"name": "e", "valueReference": {"reference": "#camera"}},
        ],
    }
    assert [i.expression for i in check(parameters, type="Parameters")] == [
        "Parameters.parameter[0].part[0].resource.data",
        "Parameters.parameter[1].value",
        "Parameters.parameter[3].value.reference",
    ]


@pytest.mark.parametrize(
    ("status", "sound"),
    [
        ({"coding": [{"system": CLINICAL, "code": "active"}]}, True),
        ({"coding": [{"system": "http://example.org", "code": "a"}, {"system": CLINICAL, "code": "active"}]}, True),
        (EXTENDED, True),
        ({"coding": [{"system": CLINICAL, "code": "a"}]}, False),
        ({"coding": [{"system": "http://example.org", "code": "active"}]}, False),
        ({"coding": [{"code": "active"}]}, False),
        ({"text": "active"}, False),
    ],
)
def test_a_concept_of_a_required_list_has_a_coding_of_it(status: JsonObject, sound: bool) -> None:
    condition: JsonObject = {"resourceType": "Condition", "subject": {"display": "x"}, "clinicalStatus": status}
    issues = check(condition, type="Condition")
    assert [(i.code, i.expression) for i in issues] == ([] if sound else [("code-invalid", "Condition.clinicalStatus")])
