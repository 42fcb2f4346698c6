"""$explain-search: what a search was understood as, narrowed and answered by; without values, alike in all worlds."""

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
    chain = "(any (chain patient (all (of-type Patient) (match family 1))) (match patient:Patient.family 1))"
    assert understood == f"(all (of-type Media) {chain} (not (match status 1)))"
    assert found["engine"] == ["database"]
    assert "secret" not in str(found)


def test_rights_stand_in_what_is_searched(served: Served) -> None:
    assert "(fact unit)" in told(served, "Media/$explain-search", units=["derm"])["narrowed"][0]
    assert (
        "(fact sole_patient)"
        in told(served, "Media/$explain-search", scope="patient/*.rs", patient="anna")["narrowed"][0]
    )


def test_the_plan_is_for_operators(served: Served) -> None:
    query = "Media/$explain-search?patient=anna&_sort=-when"
    assert "plan" not in told(served, query)
    (plan,) = told(served, query, roles=["operator"])["plan"]
    assert plan.startswith("shape D patient")
    assert "anna" not in plan


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
