"""R4's constraints: each one of a served type or a datatype with a pair, one that keeps it and one that breaks it."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirmedia.core.errors import Failure
from fhirmedia.r4.checker import check
from fhirmedia.r4.constraints import compile_constraint
from fhirmedia.r4.elements import element_table, resource_types, table
from fhirmedia.r4.invariants import advice, invariants_on, place_of, require_invariants
from fhirmedia.r4.profiles_path import profiles
from scripts.make_invariants import made_text
from scripts.make_other_releases import made_text as made_releases
from tests.fhir.official import definitions
from tests.fhir.samples import sample

UCUM = "http://unitsofmeasure.org"
EXTENSION = [{"url": "http://example.org/x", "valueCode": "masked"}]
REFERENCE = {"reference": "Patient/p"}
CODED = {"coding": [{"system": "http://example.org/s", "code": "a"}]}
RESOLVED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}
ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
ERROR = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]
}
HOME = {"use": "home", "system": "phone", "value": "1"}
DAY = "2021-03-01"
TEN, NINE = "2021-03-01T10:00:00Z", "2021-03-01T09:00:00Z"

Pair = tuple[str, str, dict[str, Any], dict[str, Any]]
"""Key, place, members that keep the constraint, members that break it."""

PAIRS: list[Pair] = [
    ("age-1", "Age", {"value": 1, "code": "a", "system": UCUM}, {"value": 1}),
    ("age-1", "Age", {"value": 1, "code": "a", "system": UCUM}, {"value": 0, "code": "a", "system": UCUM}),
    ("age-1", "Age", {"code": "a", "system": UCUM}, {"value": 1, "code": "a", "system": "http://example.org/s"}),
    ("app-1", "Appointment.participant", {"actor": REFERENCE}, {"status": "accepted"}),
    ("app-1", "Appointment.participant", {"type": [CODED]}, {"period": {"start": DAY}}),
    ("app-2", "Appointment", {"start": TEN, "end": TEN}, {"start": TEN}),
    ("app-2", "Appointment", {}, {"end": TEN}),
    ("app-3", "Appointment", {"status": "booked", "start": TEN, "end": TEN}, {"status": "booked"}),
    ("app-3", "Appointment", {"status": "proposed"}, {"status": "arrived"}),
    ("app-4", "Appointment", {"cancelationReason": CODED, "status": "cancelled"},
     {"cancelationReason": CODED, "status": "booked"}),
    ("app-4", "Appointment", {"cancelationReason": CODED, "status": "noshow"},
     {"cancelationReason": CODED, "status": "arrived"}),
    ("att-1", "Attachment", {"data": "QUJD", "contentType": "text/plain"}, {"data": "QUJD"}),
    ("att-1", "Attachment", {"url": "http://example.org/a"}, {"data": "QUJD", "title": "x"}),
    ("con-1", "Condition.stage", {"summary": CODED}, {"type": CODED}),
    ("con-1", "Condition.stage", {"assessment": [REFERENCE]}, {"type": CODED}),
    ("con-2", "Condition.evidence", {"code": [CODED]}, {"extension": EXTENSION}),
    ("con-2", "Condition.evidence", {"detail": [REFERENCE]}, {"extension": EXTENSION}),
    ("con-4", "Condition", {"abatementDateTime": DAY, "clinicalStatus": RESOLVED},
     {"abatementString": "x", "clinicalStatus": ACTIVE}),
    ("con-4", "Condition", {"clinicalStatus": ACTIVE}, {"abatementDateTime": DAY}),
    ("con-5", "Condition", {"verificationStatus": ERROR}, {"verificationStatus": ERROR, "clinicalStatus": ACTIVE}),
    ("cpt-2", "ContactPoint", {"value": "1", "system": "phone"}, {"value": "1"}),
    ("cnt-3", "Count", {"value": 2, "code": "1", "system": UCUM}, {"value": Decimal("2.5"), "code": "1"}),
    ("cnt-3", "Count", {"code": "1"}, {"value": 2, "code": "kg"}),
    ("dis-1", "Distance", {"value": 1, "code": "m", "system": UCUM}, {"value": 1}),
    ("dis-1", "Distance", {"unit": "m"}, {"code": "m", "system": "http://example.org/s"}),
    ("drq-1", "DataRequirement.codeFilter", {"path": "a"}, {"path": "a", "searchParam": "b"}),
    ("drq-1", "DataRequirement.codeFilter", {"searchParam": "a"}, {"valueSet": "http://example.org/v"}),
    ("drq-2", "DataRequirement.dateFilter", {"path": "a"}, {"path": "a", "searchParam": "b"}),
    ("drq-2", "DataRequirement.dateFilter", {"searchParam": "a"}, {"valueDateTime": DAY}),
    ("drt-1", "Duration", {"value": 1, "code": "h", "system": UCUM}, {"code": "h", "system": UCUM}),
    ("drt-1", "Duration", {"value": 1}, {"value": 1, "code": "h", "system": "http://example.org/s"}),
    ("exp-1", "Expression", {"expression": "a"}, {"language": "text/cql"}),
    ("exp-1", "Expression", {"reference": "http://example.org/e"}, {"name": "a"}),
    ("grp-1", "Group", {"actual": True, "member": [{"entity": REFERENCE}]},
     {"actual": False, "member": [{"entity": REFERENCE}]}),
    ("lst-1", "List", {"emptyReason": CODED}, {"emptyReason": CODED, "entry": [{"item": REFERENCE}]}),
    ("lst-2", "List", {"mode": "changes", "entry": [{"item": REFERENCE, "deleted": True}]},
     {"mode": "snapshot", "entry": [{"item": REFERENCE, "deleted": True}]}),
    ("lst-3", "List", {"mode": "working", "entry": [{"item": REFERENCE, "date": DAY}]},
     {"mode": "snapshot", "entry": [{"item": REFERENCE, "date": DAY}]}),
    ("obs-3", "Observation.referenceRange", {"low": {"value": 1}}, {"type": CODED}),
    ("obs-3", "Observation.referenceRange", {"text": "x"}, {"age": {"low": {"value": 1}}}),
    ("obs-3", "Observation.referenceRange", {"high": {"value": 1}}, {"appliesTo": [CODED]}),
    ("obs-6", "Observation", {"dataAbsentReason": CODED}, {"dataAbsentReason": CODED, "valueString": "x"}),
    ("obs-6", "Observation", {"valueBoolean": False}, {"dataAbsentReason": CODED, "valueBoolean": False}),
    ("obs-7", "Observation", {"code": CODED, "component": [{"code": CODED}]},
     {"code": CODED, "component": [{"code": CODED}], "valueString": "x"}),
    ("obs-7", "Observation", {"code": CODED, "component": [{"code": {"text": "other"}}], "valueString": "x"},
     {"code": CODED, "component": [{"code": {}}, {"code": CODED}], "_valueString": {"extension": EXTENSION}}),
    ("org-1", "Organization", {"name": "x"}, {}),
    ("org-1", "Organization", {"identifier": [{"value": "x"}]}, {"active": True}),
    ("org-2", "Organization.address", {"use": "work", "text": "x"}, {"use": "home", "text": "x"}),
    ("org-3", "Organization.telecom", {**HOME, "use": "work"}, HOME),
    ("pat-1", "Patient.contact", {"name": {"text": "x"}}, {"gender": "other"}),
    ("pat-1", "Patient.contact", {"telecom": [HOME]}, {"relationship": [CODED]}),
    ("pat-1", "Patient.contact", {"address": {"text": "x"}}, {"period": {"start": DAY}}),
    ("pat-1", "Patient.contact", {"organization": {"reference": "Organization/o"}}, {"extension": EXTENSION}),
    ("per-1", "Period", {"start": NINE, "end": TEN}, {"start": TEN, "end": NINE}),
    ("per-1", "Period", {"start": "2021-03", "end": "2021"}, {"start": "2022", "end": "2021-12-31"}),
    ("per-1", "Period", {"start": TEN, "end": "2021-03-01T11:00:00+01:00"}, {"start": TEN, "end": "2021-02-27"}),
    ("per-1", "Period", {"start": TEN, "_end": {"extension": EXTENSION}}, {"start": "2021-03-04", "end": TEN}),
    ("ppc-1", "Consent", {"policyRule": CODED}, {}),
    ("prr-1", "ServiceRequest", {"orderDetail": [CODED], "code": CODED}, {"orderDetail": [CODED]}),
    ("qty-3", "Quantity", {"code": "mm", "system": UCUM}, {"code": "mm"}),
    ("qty-3", "Age", {"code": "a", "system": UCUM}, {"code": "a"}),
    ("qty-3", "Count", {"code": "1", "system": UCUM}, {"code": "1"}),
    ("qty-3", "Distance", {"code": "m", "system": UCUM}, {"code": "m"}),
    ("qty-3", "Duration", {"value": 1, "code": "h", "system": UCUM}, {"code": "h"}),
    ("rng-2", "Range", {"low": {"value": 1}, "high": {"value": 1}}, {"low": {"value": 2}, "high": {"value": 1}}),
    ("rng-2", "Range", {"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "kg"}},
     {"low": {"value": Decimal("1.1"), "unit": "kg"}, "high": {"value": 1, "unit": "kg"}}),
    ("rat-1", "Ratio", {"numerator": {"value": 1}, "denominator": {"value": 2}}, {"numerator": {"value": 1}}),
    ("rat-1", "Ratio", {"extension": EXTENSION}, {"denominator": {"value": 1}}),
    ("sev-1", "AuditEvent.entity", {"name": "x"}, {"name": "x", "query": "QUJD"}),
    ("inv-1", "Task", {"authoredOn": NINE, "lastModified": TEN}, {"authoredOn": TEN, "lastModified": NINE}),
    ("inv-1", "Task", {"lastModified": NINE}, {"authoredOn": "2022", "lastModified": "2021"}),
    ("tim-1", "Timing.repeat", {"duration": 1, "durationUnit": "h"}, {"duration": 1}),
    ("tim-2", "Timing.repeat", {"period": 1, "periodUnit": "h"}, {"period": 1}),
    ("tim-4", "Timing.repeat", {"duration": 0, "durationUnit": "h"}, {"duration": -1, "durationUnit": "h"}),
    ("tim-5", "Timing.repeat", {"period": 0, "periodUnit": "h"}, {"period": -1, "periodUnit": "h"}),
    ("tim-6", "Timing.repeat", {"period": 1, "periodUnit": "h", "periodMax": 2}, {"periodMax": 2}),
    ("tim-7", "Timing.repeat", {"duration": 1, "durationUnit": "h", "durationMax": 2}, {"durationMax": 2}),
    ("tim-8", "Timing.repeat", {"count": 1, "countMax": 2}, {"countMax": 2}),
    ("tim-9", "Timing.repeat", {"offset": 1, "when": ["AC"]}, {"offset": 1}),
    ("tim-9", "Timing.repeat", {"when": ["C"]}, {"offset": 1, "when": ["C"]}),
    ("tim-10", "Timing.repeat", {"timeOfDay": ["10:00:00"]}, {"timeOfDay": ["10:00:00"], "when": ["AC"]}),
    ("trd-1", "TriggerDefinition", {"type": "periodic", "timingDate": DAY},
     {"type": "periodic", "timingDate": DAY, "data": [{"type": "Patient"}]}),
    ("trd-2", "TriggerDefinition", {"type": "data-added", "data": [{"type": "Patient"}],
     "condition": {"language": "text/cql", "expression": "a"}},
     {"type": "named-event", "name": "x", "condition": {"language": "text/cql", "expression": "a"}}),
    ("trd-3", "TriggerDefinition", {"type": "named-event", "name": "x"}, {"type": "named-event"}),
    ("trd-3", "TriggerDefinition", {"type": "data-added", "data": [{"type": "Patient"}]}, {"type": "data-added"}),
    ("trd-3", "TriggerDefinition", {"type": "periodic", "timingDate": DAY}, {"type": "periodic"}),
    ("inv-1", "Parameters.parameter", {"name": "x", "valueCode": "a"}, {"name": "x"}),
    ("inv-1", "Parameters.parameter", {"name": "x", "part": [{"name": "y", "valueCode": "a"}]},
     {"name": "x", "valueCode": "a", "resource": {"resourceType": "Basic", "code": CODED}}),
    ("bdl-1", "Bundle", {"type": "searchset", "total": 1}, {"type": "batch", "total": 1}),
    ("bdl-2", "Bundle", {"type": "searchset", "entry": [{"search": {"mode": "match"}}]},
     {"type": "collection", "entry": [{"search": {"mode": "match"}}]}),
    ("bdl-3", "Bundle", {"type": "batch", "entry": [{"request": {"method": "GET", "url": "a"}}]},
     {"type": "batch", "entry": [{"fullUrl": "urn:x:y"}]}),
    ("bdl-4", "Bundle", {"type": "history", "entry": [{"response": {"status": "200"}}]},
     {"type": "searchset", "entry": [{"response": {"status": "200"}}]}),
    ("bdl-5", "Bundle.entry", {"request": {"method": "GET", "url": "a"}}, {"fullUrl": "urn:x:y"}),
    ("bdl-8", "Bundle.entry", {"fullUrl": "http://example.org/Basic/1"},
     {"fullUrl": "http://example.org/Basic/1/_history/2"}),
    ("bdl-9", "Bundle", {"type": "document", "identifier": {"system": "urn:x:y", "value": "1"}}, {"type": "document"}),
    ("bdl-10", "Bundle", {"type": "document", "timestamp": TEN}, {"type": "document"}),
]  # fmt: skip

SERVED = frozenset(
    "Patient Media DocumentReference ImagingStudy Binary DiagnosticReport Practitioner PractitionerRole Organization"
    " Location HealthcareService Encounter EpisodeOfCare Appointment ServiceRequest Task CareTeam List Group"
    " RelatedPerson Person Device BodyStructure Specimen Observation Condition Procedure Provenance AuditEvent Endpoint"
    " Basic Consent Bundle Parameters".split()
)
LEFT = {
    ("ctm-1", "CareTeam.participant"): "asks for what a reference leads to",
    ("con-3", "Condition"): "advice whose expression compares a concept with a text",
    ("bdl-7", "Bundle"): "the interactions that take a Bundle look at its entries",
    ("bdl-11", "Bundle"): "documents are not taken",
    ("bdl-12", "Bundle"): "messages are not taken",
}
"""Constraints of served types that are not held, with the reason."""
UNTRIED = frozenset(("ppc-2", "ppc-3", "ppc-4", "ppc-5"))
"""Whose condition names a system of no meaning, so that nothing breaks them."""


def table_rows(part: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(profiles().joinpath("r4", "invariants.json").read_text("utf-8"))[part]
    return rows


def holds(key: str, place: str, members: dict[str, Any]) -> bool:
    owner, member, _ = place_of(place)
    invariant = next(one for one in invariants_on(owner) if one.key == key and one.member == member)
    return invariant.holds(members, members)


@pytest.mark.parametrize(("key", "place", "kept", "broken"), PAIRS)
def test_a_pair(key: str, place: str, kept: dict[str, Any], broken: dict[str, Any]) -> None:
    assert holds(key, place, kept)
    assert not holds(key, place, broken)


def test_every_constraint_of_a_served_type_or_datatype_has_a_pair_and_a_sentence_of_ours() -> None:
    tried = {(key, place) for key, place, _, _ in PAIRS}
    for row in table_rows("held"):
        type = row["on"].partition(".")[0]
        if row["severity"] == "error" and (type in SERVED or type not in resource_types()) and type[:7] != "Element":
            assert (row["key"], row["on"]) in tried or row["key"] in UNTRIED, row
            assert row["key"] in UNTRIED or row.get("says", "").split(" ")[0] in ("must", "should"), row
    left = {(row["key"], row["on"]) for row in table_rows("left") if row["on"].partition(".")[0] in SERVED}
    assert left == set(LEFT)


def test_the_table_is_what_the_standard_says() -> None:
    known = {(row["key"], row["on"]): row["says"] for row in table_rows("held") if "says" in row}
    text = profiles().joinpath("r4", "invariants.json").read_text("utf-8")
    assert made_text(definitions(), known) == text


def test_every_row_compiles() -> None:
    require_invariants(resource_types())


BROKEN = [
    ("Organization", {"telecom": [{**HOME, "use": "work"}, HOME], "name": "x"}, "Organization.telecom[1]", "(org-3)"),
    ("Organization", {"name": "x", "address": [{"use": "home", "text": "x"}]}, "Organization.address[0]", "(org-2)"),
    ("Patient", {"telecom": [{"value": "1"}]}, "Patient.telecom[0]", "(cpt-2)"),
    ("Patient", {"contact": [{"gender": "other"}]}, "Patient.contact[0]", "(pat-1)"),
    ("Basic", {"code": {"text": "x"}, "extension": [{"url": "u", "valuePeriod": {"start": "2021", "end": "2020"}}]},
     "Basic.extension[0].value", "(per-1)"),
    ("Task", {"status": "draft", "intent": "order", "lastModified": "2020", "authoredOn": "2021"}, "Task", "(inv-1)"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "members", "expression", "key"), BROKEN)
def test_the_checker_tells_the_place(type: str, members: dict[str, Any], expression: str, key: str) -> None:
    found = check({"resourceType": type, **members}, type=type)
    assert [(issue.code, issue.expression, issue.text[-len(key) :]) for issue in found] == [
        ("invariant", expression, key)
    ]


def test_several_at_once_and_none_about_what_has_no_shape() -> None:
    found = check(
        {"resourceType": "Patient", "telecom": [{"value": "1"}, {"value": 1}], "contact": [{"gender": "other"}]},
        type="Patient",
    )
    told = [(issue.code, issue.expression) for issue in found]
    assert told == [
        ("invariant", "Patient.telecom[0]"),
        ("value", "Patient.telecom[1].value"),
        ("invariant", "Patient.contact[0]"),
    ]


def test_a_contained_resource_is_the_resource_of_its_own_constraints() -> None:
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": CODED, "valueString": "x"}
    outer: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "whole"},
        "contained": [{**observation, "component": [{"code": CODED, "valueString": "y"}]}],
        "hasMember": [{"reference": "#o"}],
    }
    assert [issue.expression for issue in check(outer, type="Observation")] == ["Observation.contained[0]"]
    outer["contained"][0].pop("component")
    assert check(outer, type="Observation") == []


def test_advice_is_no_error() -> None:
    basic: dict[str, Any] = {"resourceType": "Basic", "code": {"text": "x"}}
    assert check(basic, type="Basic") == []
    assert [(one.severity, one.text[-7:]) for one in advice(basic, type="Basic")] == [("warning", "(dom-6)")]
    div = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
    assert advice({**basic, "text": {"status": "generated", "div": div}}, type="Basic") == []
    assert advice({"resourceType": "Binary", "contentType": "text/plain"}, type="Binary") == []


@pytest.mark.parametrize(
    "expression",
    [
        "start.matches('a')",
        "nothing.exists()",
        "start.resolve()",
        "%context.start.exists()",
        "start.exists() and",
        "(start.exists()",
        "start.exists() start",
        "start[0]",
        "start.exists(",
        "= 1",
        "",
        "start.where(end.exists()).empty()",
    ],
)
def test_outside_the_subset_is_refused(expression: str) -> None:
    with pytest.raises(Failure):
        compile_constraint(expression, table("Period"))


def test_three_valued_logic() -> None:
    owner = table("Quantity")
    absent: dict[str, Any] = {"code": "x"}
    for expression, expected in {
        "unit = 'x'": False,
        "(unit = 'x').not()": False,
        "unit = 'x' or code = 'x'": True,
        "(unit = 'x' and code = 'y').not()": True,
        "(unit = 'x') xor true": False,
        "false implies unit = 'x'": True,
        "unit = 'x' implies code = 'x'": True,
        "code = 'x' implies unit = 'x'": False,
        "code != 'y'": True,
        "code in ('x' | 'y')": True,
        "code in ('y' | 'z')": False,
        "true = 1": False,
        "code": True,
        "unit": False,
        "code.count() + unit.count() = 1": True,
        "1 < 2 and 2 > 1 and 2 >= 2 and (2 < 2).not()": True,
    }.items():
        assert compile_constraint(expression, owner)(absent, absent) is expected, expression


def test_datatypes_are_reached_by_their_tables() -> None:
    assert element_table(table("Patient").elements["telecom"]) is table("ContactPoint")
    with pytest.raises(LookupError):
        place_of("Patient.gender")
    with pytest.raises(LookupError):
        place_of("Patient.name.period.start")


OTHER_RELEASES = [
    ("Media", {"occurrenceDateTime": DAY}, "Media.occurrenceDateTime is not an element of R4 Media; STU3 has it"),
    ("DocumentReference", {"modality": [CODED]},
     "DocumentReference.modality is not an element of R4 DocumentReference; R5 has it"),
    ("Patient", {"contained": [{"resourceType": "ActorDefinition", "id": "a"}]},
     "Patient.contained[0].resourceType must be a resource type of FHIR R4; R5 has it"),
    ("Patient", {"contained": [{"resourceType": "NutritionProduct", "id": "a"}]},
     "Patient.contained[0].resourceType must be a resource type of FHIR R4; R4B and R5 have it"),
    ("Patient", {"animal": {"species": CODED}}, "Patient.animal is not an element of R4 Patient; STU3 has it"),
    ("Patient", {"nonsense": 1}, "Patient.nonsense is not an element of R4 Patient"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "members", "text"), OTHER_RELEASES)
def test_what_another_release_has_is_refused_by_name(type: str, members: dict[str, Any], text: str) -> None:
    found = check({**sample(type), **members}, type=type)
    assert text in [issue.text for issue in found]


@pytest.mark.long
def test_the_names_of_other_releases_are_those_of_the_models() -> None:
    assert made_releases() == profiles().joinpath("r4", "other-releases.json").read_text("utf-8")


CHECK_MAX_WALKS = 20
"""What `scripts/bench rest` bounds by 0.3 ms of CPU takes about ten walks over the resource."""


def test_a_strict_check_of_a_media_is_quick() -> None:
    """Against a bare walk over the same members, since this machine may be slow, busy or measured line by line."""
    media, checks, walks = sample("Media"), [], []
    assert check(media, type="Media") == []
    for _ in range(50):
        checks.append(_cpu_s(lambda: check(media, type="Media")))
        walks.append(_cpu_s(lambda: _members(media, "Media")))
    print(f"a strict check of a Media takes {min(checks) * 1e6:.0f} us of CPU, a walk {min(walks) * 1e6:.0f} us")
    assert min(checks) <= CHECK_MAX_WALKS * min(walks)


def _cpu_s(call: Callable[[], object], times: int = 20) -> float:
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times


def _members(value: Any, path: str) -> int:
    if isinstance(value, dict):
        return 1 + sum([_members(each, f"{path}.{name}") for name, each in value.items()])
    if isinstance(value, list):
        return 1 + sum([_members(each, f"{path}[{at}]") for at, each in enumerate(value)])
    return 1


@pytest.mark.parametrize("components", [1, 5000])
def test_many_codings_are_looked_for_among_many_in_no_time(components: int) -> None:
    """obs-7: in one component, or in each of as many."""
    codings = [[{"system": "http://example.org/s", "code": f"{kind}{at}"} for at in range(5000)] for kind in "ab"]
    own = [codings[1]] if components == 1 else [[each] for each in codings[1]]
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": codings[0]},
        "valueString": "x",
        "component": [{"code": {"coding": each}} for each in own],
    }
    holds = compile_constraint(
        "component.code.where(coding.intersect(%resource.code.coding).exists()).empty()", table("Observation")
    )
    started = time.process_time()
    assert holds(resource, resource)
    assert time.process_time() - started < 1
    resource["component"][-1]["code"]["coding"].append(dict(reversed(codings[0][-1].items())))
    assert not holds(resource, resource)
