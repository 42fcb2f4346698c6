"""Our own profiles: every rule with what keeps and what breaks it, claims held at write, and what cannot be held."""

from copy import deepcopy
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.checker import check
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.profile_rules import claimed_issues, compile_profile, own_profiles
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import load_registry
from tests.access.records import OWNING_UNIT, a
from tests.fhir.rest import Body, refusal
from tests.servers import Served

CANONICAL = "https://fhirmedia.org/StructureDefinition/"
ANNA = {"reference": "Patient/anna"}
UNIT = [{"url": OWNING_UNIT, "valueReference": {"reference": "Organization/derm"}}]
SHOWN = {"contentType": "image/png", "url": "https://pictures.example.org/1"}
UID = [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]
DAY = "2026-01-01"

KEEPING: dict[str, Body] = {
    "media": {"resourceType": "Media", "status": "completed", "extension": UNIT, "subject": ANNA,
              "createdDateTime": DAY, "content": SHOWN},
    "document": {"resourceType": "DocumentReference", "status": "current", "extension": UNIT, "subject": ANNA,
                 "date": "2026-01-01T00:00:00Z", "content": [{"attachment": SHOWN}]},
    "imaging-study": {"resourceType": "ImagingStudy", "status": "available", "extension": UNIT, "subject": ANNA,
                      "started": DAY, "identifier": UID},
    "report": {"resourceType": "DiagnosticReport", "status": "final", "extension": UNIT, "subject": ANNA,
               "code": {"text": "x"}, "effectiveDateTime": DAY, "conclusion": "x"},
}  # fmt: skip

CHANGES: list[tuple[str, Body, str | None]] = [
    ("media", {"extension": None, "encounter": {"reference": "Encounter/e"}}, None),
    ("media", {"extension": None}, "Media"),
    ("media", {"extension": [{"url": "http://example.org/x", "valueCode": "x"}]}, "Media"),
    ("media", {"subject": None}, "Media"),
    ("media", {"subject": {"reference": "Practitioner/dr"}}, "Media.subject"),
    ("media", {"subject": {"reference": "https://example.org/fhir/Device/1/_history/2"}}, "Media.subject"),
    ("media", {"subject": {"type": "Group", "identifier": {"value": "1"}}}, "Media.subject"),
    ("media", {"subject": {"identifier": {"value": "1"}}}, None),
    ("media", {"subject": {"reference": "https://example.org/fhir/Patient/1/_history/2"}}, None),
    ("media", {"subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}}, None),
    ("media", {"createdDateTime": None, "createdPeriod": {"start": DAY}}, None),
    ("media", {"createdDateTime": None}, "Media"),
    ("media", {"content": {"contentType": "image/png", "data": "QUJD"}}, None),
    ("media", {"content": {"contentType": "image/png"}}, "Media.content"),
    ("media", {"content": {"url": "https://pictures.example.org/1"}}, "Media.content"),
    ("document", {"extension": None, "custodian": {"reference": "Organization/o"}}, None),
    ("document", {"extension": None, "context": {"encounter": [{"reference": "Encounter/e"}]}}, None),
    ("document", {"extension": None}, "DocumentReference"),
    ("document", {"subject": None}, "DocumentReference"),
    ("document", {"subject": {"reference": "Group/g"}}, "DocumentReference.subject"),
    ("document", {"date": None, "context": {"period": {"start": DAY}}}, None),
    ("document", {"date": None}, "DocumentReference"),
    ("document", {"content": [{"attachment": SHOWN}, {"attachment": {"contentType": "text/plain"}}]},
     "DocumentReference.content[1].attachment"),
    ("document", {"content": [{"attachment": SHOWN}, {"attachment": {"url": "https://pictures.example.org/1"}}]},
     "DocumentReference.content[1].attachment"),
    ("imaging-study", {"extension": None, "encounter": {"reference": "Encounter/e"}}, None),
    ("imaging-study", {"extension": None}, "ImagingStudy"),
    ("imaging-study", {"identifier": [{"system": "urn:x:y", "value": "1"}]}, "ImagingStudy"),
    ("imaging-study", {"subject": {"reference": "Device/d"}}, "ImagingStudy.subject"),
    ("imaging-study", {"started": None}, "ImagingStudy"),
    ("report", {"extension": None, "encounter": {"reference": "Encounter/e"}}, None),
    ("report", {"extension": None}, "DiagnosticReport"),
    ("report", {"subject": None}, "DiagnosticReport"),
    ("report", {"subject": {"reference": "Location/l"}}, "DiagnosticReport.subject"),
    ("report", {"effectiveDateTime": None, "issued": "2026-01-01T00:00:00Z"}, None),
    ("report", {"effectiveDateTime": None}, "DiagnosticReport"),
    ("report", {"conclusion": None, "result": [{"reference": "Observation/o"}]}, None),
    ("report", {"conclusion": None, "presentedForm": [SHOWN]}, None),
    ("report", {"conclusion": None}, "DiagnosticReport"),
]  # fmt: skip


@pytest.mark.parametrize("name", KEEPING)
def test_what_keeps_a_profile(name: str) -> None:
    profile = own_profiles()[CANONICAL + name]
    assert profile.type == KEEPING[name]["resourceType"]
    assert check(KEEPING[name], type=profile.type) == []
    assert profile.issues(KEEPING[name]) == []


@pytest.mark.parametrize(("name", "change", "place"), CHANGES)
def test_each_rule(name: str, change: Body, place: str | None) -> None:
    resource = {member: value for member, value in (KEEPING[name] | change).items() if value is not None}
    profile = own_profiles()[CANONICAL + name]
    assert check(resource, type=profile.type) == []
    found = profile.issues(resource)
    assert [issue.expression for issue in found] == ([] if place is None else [place])
    assert all(issue.severity == ("warning" if "fm-report-3" in issue.text else "error") for issue in found)


def test_claims_are_looked_at_and_those_of_others_are_not() -> None:
    broken = KEEPING["media"] | {
        "extension": None,
        "meta": {"profile": ["http://example.org/p", CANONICAL + "media|1.0.0"]},
    }
    broken = {name: value for name, value in broken.items() if value is not None}
    assert [issue.expression for issue in claimed_issues(broken, type="Media")] == ["Media"]
    elsewhere = {**broken, "meta": {"profile": ["http://example.org/p", "https://example.org/media"]}}
    assert claimed_issues(elsewhere, type="Media") == []
    of_another = {**broken, "meta": {"profile": [CANONICAL + "report"]}}
    assert [issue.expression for issue in claimed_issues(of_another, type="Media")] == ["Media.meta.profile[0]"]


def test_a_claim_is_held_at_every_write(served: Served) -> None:
    staff = served.headers()
    plain = a("Media", "-", meta={"profile": [CANONICAL + "media"]})
    issue = refusal(served.http.post(f"{served.base}/Media", json=plain, headers=staff), 400)
    assert issue["expression"] == ["Media"]
    kept = plain | {"createdDateTime": DAY, "content": SHOWN}
    made = served.http.post(f"{served.base}/Media", json=kept, headers=staff)
    assert made.status_code == 201, made.text
    assert made.json()["meta"]["profile"] == [CANONICAL + "media"]
    url = f"{served.base}/Media/{made.json()['id']}"
    without = {name: value for name, value in made.json().items() if name != "createdDateTime"}
    refusal(served.http.put(url, json=without, headers=staff), 400)
    patch = [{"op": "remove", "path": "/createdDateTime"}]
    headers = staff | {"Content-Type": "application/json-patch+json"}
    refusal(served.http.patch(url, json=patch, headers=headers), 422)
    unknown = a("Media", "-", meta={"profile": ["http://example.org/StructureDefinition/strict"]})
    assert served.http.post(f"{served.base}/Media", json=unknown, headers=staff).status_code == 201
    advised = KEEPING["report"] | {"meta": {"profile": [CANONICAL + "report"]}}
    del advised["conclusion"]
    assert served.http.post(f"{served.base}/DiagnosticReport", json=advised, headers=staff).status_code == 201


def test_claiming_by_meta_add_is_a_claim(served: Served) -> None:
    made = served.http.post(f"{served.base}/Media", json=a("Media", "-"), headers=served.headers()).json()
    meta = {"name": "meta", "valueMeta": {"profile": [CANONICAL + "media"]}}
    body = {"resourceType": "Parameters", "parameter": [meta]}
    refusal(served.http.post(f"{served.base}/Media/{made['id']}/$meta-add", json=body, headers=served.headers()), 422)


def test_the_switchboard_names_exactly_our_profiles() -> None:
    statement: Any = load_registry().statement
    named = {
        (entry["type"], url) for entry in statement["rest"][0]["resource"] for url in entry.get("supportedProfile", ())
    }
    assert named == {(profile.type, url) for url, profile in own_profiles().items()}


def test_our_definitions_are_sound() -> None:
    for file in (profiles() / "StructureDefinition").iterdir():
        assert check(parse_json(file.read_bytes()), type="StructureDefinition") == [], file.name


def definition(*elements: Body) -> Body:
    return {"url": "u", "type": "Media", "differential": {"element": [{"path": "Media"}, *elements]}}


@pytest.mark.parametrize(
    "element",
    [
        {"path": "Media.status", "fixedCode": "completed"},
        {"path": "Media.note", "slicing": {"rules": "open"}},
        {"path": "Media.note", "max": "2"},
        {"path": "Media.note", "min": 2},
        {"path": "Media.nonsense", "min": 1},
        {"path": "Media.nonsense.more", "min": 1},
        {"path": "Patient.name", "min": 1},
        {"path": "Media.created[x]", "type": [{"code": "dateTime"}]},
        {
            "path": "Media",
            "constraint": [{"key": "k", "severity": "error", "human": "h", "expression": "a.matches('x')"}],
        },
    ],
)
def test_what_cannot_be_held_is_refused(element: Body) -> None:
    with pytest.raises(Failure) as refused:
        compile_profile(definition(element))
    assert refused.value.category is Category.INVALID


def test_a_maximum_of_none_is_held() -> None:
    profile = compile_profile(definition({"path": "Media.note", "max": "0"}, {"path": "Media.device", "max": "1"}))
    noted = deepcopy(KEEPING["media"]) | {"note": [{"text": "x"}]}
    assert [issue.text for issue in profile.issues(noted)] == ["Media must not have note by its profile"]
    assert profile.issues(KEEPING["media"]) == []
