"""Searches as clients send them: over which types they run, what binds them, and the shape of their answer."""

import pytest

from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.r4.query import All, InCompartment, Match, OfType, ReferenceTest, SortKey
from tests.fhir.search_reading import MADE_UP, PERSON, SERVED, conditions, only, refused, search


def test_the_timeline() -> None:
    parsed = search(
        SERVED,
        "_type=Media,DocumentReference,ImagingStudy,DiagnosticReport&patient=Patient/7b1f&_sort=-when&_count=50",
        type=None,
    )
    assert parsed.types == ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport")
    assert parsed.query == All((OfType(frozenset(parsed.types)), only(parsed)))
    assert only(parsed) == Match("patient", (ReferenceTest(key=Key("Patient", "7b1f")),))
    assert parsed.sort == (SortKey("when", descending=True),)
    assert (parsed.count, parsed.total, parsed.summary) == (50, "default", "false")
    assert parsed.patient_scoped
    assert parsed.ignored == ()
    assert dict(parsed.applied)["_sort"] == "-when"


def test_a_compartment_binds_the_search() -> None:
    parsed = search(SERVED, "status=completed", compartment=("Patient", "p1"))
    assert isinstance(parsed.query, All)
    assert InCompartment("p1") in parsed.query.parts
    assert parsed.patient_scoped


def test_all_types_of_a_compartment() -> None:
    parsed = search(SERVED, "", type=None, compartment=("Patient", "p1"))
    assert {"Patient", "Media", "DocumentReference", "ImagingStudy", "DiagnosticReport"} <= set(parsed.types)
    assert not {"Organization", "Practitioner", "Binary", "AuditEvent"} & set(parsed.types)


def test_foreign_types_are_not_in_the_compartment() -> None:
    for how in ({"type": "Organization"}, {"type": None}):
        text = "" if how["type"] else "_type=Media,Organization"
        assert "Organization" in refused(SERVED, text, compartment=("Patient", "p1"), **how).issues[0].text
    assert refused(SERVED, "", compartment=("Encounter", "e1")).category is Category.NOT_FOUND
    assert refused(SERVED, "", compartment=("Patient", "a b")).category is Category.INVALID


def test_a_system_search_without_types_looks_at_all_that_are_searched() -> None:
    parsed = search(SERVED, "_id=a", type=None)
    assert "Media" in parsed.types
    assert not {"Binary", "AuditEvent"} & set(parsed.types)
    assert refused(SERVED, "patient=a", type=None).category is Category.INVALID


@pytest.mark.parametrize("types", ["Media,Nonsense", "Binary", "Media,", "", "media", "Media,AuditEvent"])
def test_types_that_cannot_be_searched_together_are_refused(types: str) -> None:
    assert refused(SERVED, f"_type={types}", type=None).category is Category.INVALID


def test_types_are_listed_once_and_only_at_the_system() -> None:
    refused(SERVED, "_type=Media")
    refused(SERVED, "_type=Media&_type=Patient", type=None)
    assert search(SERVED, "_type=Media,Media", type=None).types == ("Media",)
    assert search(SERVED, "_type=AuditEvent&patient=a", type=None).types == ("AuditEvent",)


def test_unserved_types_are_not_searched() -> None:
    assert refused(SERVED, "", type="Coverage").category is Category.NOT_FOUND
    assert refused(SERVED, "", type="Binary").category is Category.NOT_ALLOWED


def test_a_parameter_exists_on_every_listed_type() -> None:
    failure = refused(SERVED, "_type=Media,ImagingStudy,DiagnosticReport&body-site=x", type=None)
    assert failure.issues[0].text == "parameter 'body-site' does not exist on DiagnosticReport"
    refused(SERVED, "_type=Media,ImagingStudy,DiagnosticReport&body-site=x", type=None, lenient=True)


def test_audit_events_have_their_own_few_parameters() -> None:
    assert search(SERVED, "patient=p1&date=ge2026&_id=a&_lastUpdated=2026", type="AuditEvent").patient_scoped
    refused(SERVED, "source=x", type="AuditEvent")


def test_what_a_client_sends_without_meaning_is_ignored() -> None:
    parsed = search(SERVED, "_totalMethod=count&_elements=id,resourceType,status&_count=0")
    assert parsed.ignored == ("_totalMethod", "resourceType")
    assert parsed.elements == ("id", "status")
    assert parsed.applied == (("_elements", "id,status"), ("_count", "0"))


def test_repetition_is_and() -> None:
    parsed = search(SERVED, "when=ge2023&when=lt2024&status:not=a&status:not=b")
    assert [str(condition) for condition in conditions(parsed)] == [
        "(match when 1)",
        "(match when 1)",
        "(not (match status 1))",
        "(not (match status 1))",
    ]


@pytest.mark.parametrize(
    ("text", "scoped"),
    [
        ("patient=p1", True),
        ("subject=p1", True),
        ("patient=p1,Patient/p1", True),
        ("patient=p1,p2", False),
        ("patient:missing=false", False),
        ("patient=https://elsewhere.example/Patient/p1", False),
        (f"patient:identifier={PERSON}|1", False),
        ("status=completed", False),
    ],
)
def test_which_searches_are_bound_to_one_patient(text: str, scoped: bool) -> None:
    assert search(SERVED, text).patient_scoped is scoped


def test_a_parameter_of_two_kinds_is_not_searched_over_both() -> None:
    assert "different things" in refused(MADE_UP, "_type=Media,Patient&odd=1", type=None).issues[0].text
    assert refused(MADE_UP, "_type=Media,Patient&_sort=odd", type=None).category is Category.INVALID


def test_result_parameters() -> None:
    parsed = search(SERVED, "_sort=-when,status,_id,-_lastUpdated&_count=10&_total=accurate&_elements=status,created")
    assert [key.parameter for key in parsed.sort] == ["when", "status", "_id", "_lastUpdated"]
    assert [key.descending for key in parsed.sort] == [True, False, False, True]
    assert (parsed.count, parsed.total, parsed.elements) == (10, "accurate", ("status", "created"))


def test_the_count_is_clamped_and_said_so() -> None:
    parsed = search(SERVED, "_count=100000")
    assert (parsed.count, parsed.applied) == (1000, (("_count", "1000"),))
    assert search(SERVED, "").count == 50
    assert search(SERVED, "_count=00000000000000000000001"[:20]).count == 0


def test_a_count_of_zero_asks_for_the_total_alone() -> None:
    for text in ("_count=0", "_summary=count", "_summary=count&_count=20"):
        parsed = search(SERVED, text)
        assert (parsed.count, parsed.summary) == (0, "count")


def test_formats_pass() -> None:
    assert search(SERVED, "_format=json&_pretty=true&_contained=false").applied == (
        ("_format", "json"),
        ("_pretty", "true"),
        ("_contained", "false"),
    )
