"""Searches that go through other resources: chains, `_has`, includes; each narrowed to what the caller may see."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.access.records import a, identifier, places, put
from tests.fhir.rest import refusal
from tests.servers import Served, serving


def ref(key: str) -> dict[str, str]:
    """A Reference."""
    return {"reference": key}


def corpus() -> list[dict[str, Any]]:
    """Anna in dermatology, Bo in the eye clinic, and who looked after them."""
    anna, bo = {"name": [{"family": "Sørensen"}]}, {"name": [{"family": "Berg"}]}
    return [
        *places(),
        a("Organization", "derm", partOf=ref("Organization/north"), name="Dermatology"),
        a("Practitioner", "dr", name=[{"family": "Lind"}], identifier=identifier("dr-1")),
        a("Practitioner", "nurse", name=[{"family": "Ek"}]),
        a("Patient", "anna", birthDate="1950-03-01", generalPractitioner=[ref("Practitioner/dr")], **anna),
        a("Patient", "bo", birthDate="1990-07-01", managingOrganization=ref("Organization/north"), **bo),
        a("Encounter", "e1", identifier=identifier("E-1"), participant=[{"individual": ref("Practitioner/dr")}]),
        a("Encounter", "e2", of="bo", unit="eyes", status="planned"),
        a("Media", "m1", encounter=ref("Encounter/e1"), operator=ref("Practitioner/dr"), createdDateTime="2024-03-01"),
        a("Media", "m2", operator=ref("Practitioner/nurse"), createdDateTime="2024-02-01", status="in-progress"),
        a("Media", "m3", of="bo", unit="eyes", encounter=ref("Encounter/e2"), operator=ref("Practitioner/dr")),
        a("Media", "m4", unit="eyes", operator=ref("Practitioner/nobody")),
        a("DiagnosticReport", "r1", media=[{"link": ref("Media/m1")}], resultsInterpreter=[ref("Practitioner/dr")]),
        a("DiagnosticReport", "r2", of="bo", unit="eyes", media=[{"link": ref("Media/m3/_history/1")}]),
        a("DocumentReference", "d1", author=[ref("Practitioner/dr")], relatesTo=[
            {"code": "replaces", "target": ref("DocumentReference/d0")}]),
        a("DocumentReference", "d0", status="superseded", relatesTo=[
            {"code": "replaces", "target": ref("DocumentReference/d00")}]),
        a("DocumentReference", "d00", status="superseded"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("chains") / "data") as server:
        put(server, *corpus())
        yield server


def entries(served: Served, query: str, **bound: Any) -> dict[str, list[str]]:
    """Keys by search mode, in order."""
    scope = bound.pop("scope", "user/*.rs")
    answer = served.http.get(f"{served.base}/{query}", headers=served.headers(scope, **bound))
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = {"match": [], "include": [], "outcome": []}
    for entry in answer.json().get("entry", ()):
        found[entry["search"]["mode"]].append(entry.get("fullUrl", "").removeprefix(f"{served.base}/"))
    return found


def matches(served: Served, query: str, **bound: Any) -> str:
    """The ids of the matches."""
    return " ".join(key.partition("/")[2] for key in entries(served, query, **bound)["match"])


def included(served: Served, query: str, **bound: Any) -> str:
    """The Keys of what went along, sorted."""
    return " ".join(sorted(entries(served, query, **bound)["include"]))


CHAINED = {
    "Media?patient.family=sorensen": "m1 m2 m4",
    "Media?subject:Patient.family=Berg": "m3",
    "Media?patient.family:exact=berg": "",
    "Media?patient.birthdate=lt1960&status=in-progress": "m2",
    "Media?patient.family=berg,sorensen": "m1 m2 m3 m4",
    "Media?patient.family=berg&patient.birthdate=lt1960": "",
    "Media?encounter.identifier=urn:numbers|E-1": "m1",
    "Media?encounter.participant:Practitioner.family=lind": "m1",
    "Media?patient.general-practitioner:Practitioner.identifier=dr-1": "m1 m2 m4",
    "Media?operator:Practitioner.family=lind": "m1 m3",
    "Media?operator:Practitioner.family:missing=false": "m1 m2 m3",
    "Media?patient.family:not=x&_id=m1": None,
    "Media?encounter.status:not=planned": "m1",
    "Media?patient=anna&operator:Practitioner.family=ek": "m2",
    "Media?patient.organization:Organization.name=a%20place": "m3",
    "Patient?_has:Media:patient:status=in-progress": "anna",
    "Patient?_has:Media:patient:_id=m3": "bo",
    "Patient?_has:Media:patient:status:not=completed": "anna",
    "Practitioner?_has:Media:operator:status=completed": "dr",
    "Practitioner?_has:Media:operator:patient.family=sorensen": "dr nurse",
    "Practitioner?_has:Media:operator:patient=anna&_has:Media:operator:patient=bo": "dr",
    "Patient?_has:Media:patient:_has:DiagnosticReport:media:status=final": "anna bo",
    "Patient?_has:Media:patient:_has:DiagnosticReport:media:_id=r2": "bo",
    "Media?_has:DiagnosticReport:media:_id=r1": "m1",
    "Media?_has:DiagnosticReport:media:results-interpreter:Practitioner.family=lind": "m1",
    "Patient/anna/Media?operator:Practitioner.family=lind": "m1",
    "?_type=Media,DocumentReference&patient.family=berg": "m3",
}


@pytest.mark.parametrize("query", [query for query, ids in CHAINED.items() if ids is not None])
def test_a_chain_is_followed(served: Served, query: str) -> None:
    assert matches(served, query) == CHAINED[query]


NARROWED = {
    "Media?patient.family=berg": "",
    "Media?patient.family=sorensen": "m1 m2",
    "Media?encounter.status=planned": "",
    "Patient?_has:Media:patient:_id=m3": "",
    "Patient?_has:Media:patient:_id=m1": "anna",
    "Patient?_has:DiagnosticReport:patient:_id=r2": "",
    "Practitioner?_has:Media:operator:patient=bo": "",
}


@pytest.mark.parametrize("query", NARROWED)
def test_no_chain_goes_through_what_is_hidden(served: Served, query: str) -> None:
    assert matches(served, query, units=["derm"]) == NARROWED[query]


@pytest.mark.parametrize("query", ["Media?patient.family=x", "Patient?_has:Media:patient:status=x"])
def test_a_type_without_scope_ends_a_chain(served: Served, query: str) -> None:
    scope = "user/Media.rs" if query.startswith("Media") else "user/Patient.rs"
    answer = served.http.get(f"{served.base}/{query}", headers=served.headers(scope))
    assert refusal(answer, 403)["code"] == "forbidden"


REFUSED = {
    "Media?subject.identifier=x": "subject",
    "Media?status.name=x": "status",
    "Media?patient:Practitioner.family=x": "patient",
    "Media?patient.nonsense=x": "patient.nonsense",
    "Media?patient.family:nonsense=x": "family",
    "Media?patient.birthdate=yesterday": "birthdate",
    "Media?patient.general-practitioner:Practitioner.nonsense=x": "patient.general-practitioner",
    "Patient?_has:Media:patient=x": "_has",
    "Patient?_has:Nonsense:patient:status=x": "_has",
    "Patient?_has:Media:status:status=x": "_has",
    "Patient?_has:Media:encounter:status=x": "_has",
    "Patient?_has:AuditEvent:patient:type=x": "_has",
    "Patient?_has:Media:patient:nonsense=x": "_has",
    "Media?_include=Media:status": "_include",
    "Media?_include=Media": "_include",
    "Media?_include=Media:": "_include",
    "Media?_include=Media:patient:": "_include",
    "Media?_include=Patient:organization": "_include",
    "Media?_include=Media:patient:Practitioner": "_include",
    "Media?_include:nonsense=Media:patient": "_include",
    "Media?_revinclude=Media:encounter": "_revinclude",
    "Media?_revinclude=AuditEvent:entity": "_revinclude",
    "Media?_include=Media:patient&_summary=text": "_summary",
}

UNKNOWN = (
    "Media?patient.nonsense=x",
    "Media?patient.general-practitioner:Practitioner.nonsense=x",
    "Patient?_has:Media:patient:nonsense=x",
)
"""A name that nobody knows is all that leniency forgives."""


@pytest.mark.parametrize("query", REFUSED)
def test_what_cannot_be_followed_is_refused_by_name(served: Served, query: str) -> None:
    for prefer in ("handling=strict", "handling=lenient"):
        answer = served.http.get(f"{served.base}/{query}", headers=served.headers() | {"Prefer": prefer})
        if prefer == "handling=lenient" and query in UNKNOWN:
            (outcome,) = (entry["resource"] for entry in answer.json()["entry"] if entry["search"]["mode"] == "outcome")
            assert REFUSED[query] in outcome["issue"][0]["diagnostics"]
            continue
        assert REFUSED[query] in refusal(answer, 400)["diagnostics"], query


def test_depth_and_number_are_bounded(served: Served) -> None:
    deep = "patient.general-practitioner:Practitioner._has:Media:operator:patient.organization:Organization.name"
    costly = [f"Media?{deep}=x", "Media?" + "&".join(["_include=Media:patient"] * 21)]
    for query in costly:
        assert refusal(served.http.get(f"{served.base}/{query}", headers=served.headers()), 400)["code"] == "too-costly"


INCLUDED = {
    "Media?_id=m1&_include=Media:patient": "Patient/anna",
    "Media?_include=Media:patient&_include=Media:encounter": "Encounter/e1 Encounter/e2 Patient/anna Patient/bo",
    "Media?_include=Media:subject:Patient&_id=m3": "Patient/bo",
    "Media?_id=m4&_include=Media:operator": "",
    "Media?_id=m1&_include=*": "Encounter/e1 Patient/anna Practitioner/dr",
    "Media?_id=m1&_include=Media:*": "Encounter/e1 Patient/anna Practitioner/dr",
    "Media?_id=m1&_include=Media:*:Patient": "Patient/anna",
    "Patient?_id=anna&_revinclude=Media:patient": "Media/m1 Media/m2 Media/m4",
    "Patient?_id=anna&_revinclude=Media:patient&_revinclude:iterate=DiagnosticReport:media":
        "DiagnosticReport/r1 Media/m1 Media/m2 Media/m4",
    "Patient?_id=anna&_revinclude=Media:patient&_include:iterate=Media:operator":
        "Media/m1 Media/m2 Media/m4 Practitioner/dr Practitioner/nurse",
    "Media?_id=m3&_include=Media:patient&_include:iterate=Patient:organization": "Organization/north Patient/bo",
    "Media?_id=m3&_include=Media:patient&_include=Media:encounter&_include:iterate=Organization:partof":
        "Encounter/e2 Patient/bo",
    "DocumentReference?_id=d1&_include=DocumentReference:relatesto": "DocumentReference/d0",
    "DocumentReference?_id=d1&_include:iterate=DocumentReference:relatesto":
        "DocumentReference/d0 DocumentReference/d00",
    "DiagnosticReport?_id=r2&_include=DiagnosticReport:media": "Media/m3",
    "Media?_id=m1&_revinclude=*": "DiagnosticReport/r1",
    "?_type=Media,DocumentReference&_id=m1,d1&_include=Media:operator&_include=DocumentReference:author":
        "Practitioner/dr",
    "Patient/anna/Media?_id=m1&_include=Media:operator": "Practitioner/dr",
    "Media?_id=m1&_include=Media:patient&_summary=count": "",
}  # fmt: skip


@pytest.mark.parametrize("query", INCLUDED)
def test_what_is_asked_for_goes_along(served: Served, query: str) -> None:
    assert included(served, query) == INCLUDED[query]


NARROWED_INCLUDES = {
    "Patient?_id=anna&_revinclude=Media:patient": "Media/m1 Media/m2",
    "Patient?_id=bo&_revinclude=Media:patient&_revinclude=Encounter:patient": "",
    "Practitioner?_id=dr&_revinclude=Media:operator": "Media/m1",
    "Practitioner?_id=dr&_revinclude=Media:operator&_include:iterate=Media:encounter": "Encounter/e1 Media/m1",
}


@pytest.mark.parametrize("query", NARROWED_INCLUDES)
def test_nothing_hidden_goes_along(served: Served, query: str) -> None:
    assert included(served, query, units=["derm"]) == NARROWED_INCLUDES[query]


def test_a_type_without_scope_does_not_go_along(served: Served) -> None:
    query = "Media?_id=m1&_include=Media:patient&_include=Media:operator&_revinclude=DiagnosticReport:media"
    assert (
        included(served, query, scope="user/Media.rs user/Practitioner.r user/DiagnosticReport.s") == "Practitioner/dr"
    )


def test_what_went_along_is_on_every_page_and_in_the_audit(served: Served) -> None:
    headers, url = served.headers(), f"{served.base}/Media?_count=1&_include=Media:patient&patient=anna"
    pages = []
    while url:
        bundle = served.http.get(url, headers=headers).json()
        assert bundle["total"] == 3 if not pages else "total" not in bundle
        pages.append([entry["fullUrl"].removeprefix(f"{served.base}/") for entry in bundle["entry"]])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert pages == [[f"Media/{each}", "Patient/anna"] for each in ("m1", "m2", "m4")]
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    events = served.http.get(f"{served.base}/AuditEvent?patient=anna&_sort=-date&_count=1", headers=auditor).json()
    entities = events["entry"][0]["resource"]["entity"]
    named = {entity["what"].get("reference", "").partition("/_history")[0] for entity in entities if "what" in entity}
    assert {"Media/m4", "Patient/anna"} <= named


def test_a_page_gives_fewer_matches_rather_than_cut_includes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhirmedia.custody.including.MOST_INCLUDED", 1)
    found = entries(served, "Media?_include=Media:patient")
    assert found == {"match": ["Media/m1", "Media/m2"], "include": ["Patient/anna"], "outcome": []}
    refused = served.http.get(f"{served.base}/Patient?_id=anna&_revinclude=Media:patient", headers=served.headers())
    assert refusal(refused, 400)["code"] == "too-costly"


def test_included_resources_are_whole_where_elements_are_chosen(served: Served) -> None:
    query = f"{served.base}/Media?_id=m1&_include=Media:patient&_elements=status"
    match, patient = (entry["resource"] for entry in served.http.get(query, headers=served.headers()).json()["entry"])
    assert "subject" not in match
    assert patient["name"] == [{"family": "Sørensen"}]
