"""$explain-search: what a search was understood as, narrowed and answered by, in words; alike in all worlds."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.access.records import a, places, put
from tests.fhir.rest import refusal
from tests.servers import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("explain") / "data") as server:
        put(server, *places(), a("Media", "m1", createdDateTime="2024"))
        yield server


def told(served: Served, query: str, prefer: str = "", **bound: Any) -> dict[str, list[str]]:
    headers = served.headers(bound.pop("scope", "user/*.rs"), **bound) | {"Prefer": prefer}
    answer = served.http.get(f"{served.base}/{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    parts: dict[str, list[str]] = {}
    for part in answer.json()["parameter"]:
        parts.setdefault(part["name"], []).append(part.get("valueString", part.get("valueCode")))
    return parts


def test_a_search_is_told_in_its_conditions(served: Served) -> None:
    found = told(served, "Media/$explain-search?patient.family=secret&status:not=completed")
    assert found["type"] == ["Media"]
    (understood,) = found["understood"]
    chain = "patient refers to one of which (the type is Patient and family begins with 'secret')"
    inside = "patient:Patient.family begins with 'secret'"
    status = "not (status is 'completed' of any system)"
    assert understood == f"the type is Media and ({chain} or {inside}) and {status}"
    assert found["engine"] == ["database"]


SENTENCES = {
    "Media?when=ge2024": "when goes on after 2023-12-31T23:00:00.000Z",
    "Media?when=2024-05-01T10:00:00Z": "when lies within [2024-05-01T10:00:00.000Z, 2024-05-01T10:00:01.000Z)",
    "Media?identifier=urn:x|1,2": "identifier is '1' of urn:x or is '2' of any system",
    "Media?identifier=urn:x|": "identifier is any code of urn:x",
    "Media?identifier=|7": "identifier is '7' without a system",
    "Media?operator:missing=true": "operator is absent",
    "Media?operator:missing=false": "not (operator is absent)",
    "Media?text=naevus -ben": "text has a word that begins with 'naevus' and not a word that begins with 'ben'",
    'Media?text="stort hår",b': "text has the phrase 'stort hår' or text has a word that begins with 'b'",
    "Media?patient=anna": "patient refers to Patient/anna",
    "Media?patient:identifier=urn:x|9": "patient refers to the identifier '9' of urn:x",
    "Media?content-type:below=image": "content-type is 'image' or below it of any system",
    "Media?_profile:below=http://x.example/a": "_profile is or is below http://x.example/a",
    "Patient?family:exact=Zorn": "family is exactly 'Zorn'",
    "Patient?family:contains=orn&_id=p": "family contains 'orn'",
    "Patient?birthdate=lt2000": "birthdate begins before 1999-12-31T23:00:00.000Z",
    "Patient?_has:Media:subject:status=completed": "subject refers to it from one of which (the type is Media and",
    "Observation?value-quantity=gt5||mg": "value-quantity reaches above 5 in mg",
    "Observation?code-value-quantity=urn:c|x$lt5": "has together code-value-quantity$1 that is 'x' of urn:c and",
}


@pytest.mark.parametrize("query", SENTENCES)
def test_every_value_is_told_as_it_was_understood(served: Served, query: str) -> None:
    kind, _, parameters = query.partition("?")
    assert SENTENCES[query] in told(served, f"{kind}/$explain-search?{parameters}")["understood"][0]


def test_rights_stand_in_what_is_searched(served: Served) -> None:
    assert (
        "its unit is among those your rights name"
        in told(served, "Media/$explain-search", units=["derm"])["narrowed"][0]
    )
    assert (
        "its sole patient is among those your rights name"
        in told(served, "Media/$explain-search", scope="patient/*.rs", patient="anna")["narrowed"][0]
    )


def test_the_plan_is_for_operators(served: Served) -> None:
    query = "Media/$explain-search?patient=anna&_sort=-when"
    assert "plan" not in told(served, query)
    (plan,) = told(served, query, roles=["operator"])["plan"]
    assert plan.startswith("shape D patient")
    assert int(plan.rpartition("\nrows visited ")[2]) >= 1
    assert "anna" not in plan


def test_rows_that_are_hidden_are_visited(served: Served) -> None:
    put(served, *(a("Media", f"seen{number}", unit="derm") for number in range(3)))
    query = "Media/$explain-search?status=completed&_sort=-_lastUpdated"
    plans = [told(served, query, roles=["operator"], **more)["plan"][0] for more in ({}, {"units": ["nowhere"]})]
    assert [int(plan.rpartition(" ")[2]) >= 3 for plan in plans] == [True, True]
    assert "visited" not in str(told(served, query))


def test_what_is_projected_has_no_plan(served: Served) -> None:
    found = told(served, "AuditEvent/$explain-search", scope="user/AuditEvent.rs", roles=["auditor", "operator"])
    assert (found["engine"], found.get("plan")) == (["projection"], None)


def test_what_was_forgiven_is_told(served: Served) -> None:
    assert told(served, "$explain-search?_type=Media&nonsense=1", prefer="handling=lenient")["ignored"] == ["nonsense"]


def test_what_is_hidden_changes_nothing(served: Served) -> None:
    before = told(served, "Media/$explain-search?status=completed", units=["derm"])
    put(served, *(a("Media", f"hidden{number}", unit="eyes") for number in range(20)))
    assert told(served, "Media/$explain-search?status=completed", units=["derm"]) == before


def test_a_search_that_would_be_refused_is(served: Served) -> None:
    for query, status in (("Media/$explain-search?nonsense=1", 400), ("Patient/x/$explain-search?_type=Device", 400)):
        refusal(served.http.get(f"{served.base}/{query}", headers=served.headers()), status)
    forbidden = served.http.get(f"{served.base}/Media/$explain-search", headers=served.headers("user/Patient.rs"))
    assert refusal(forbidden, 403)["code"] == "forbidden"
