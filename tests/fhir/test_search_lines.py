"""NDJSON: every match on a line of its own, narrowed like any search, each page in the audit."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.access.records import a, places, put
from tests.fhir.rest import refusal
from tests.servers import Served, serving

LINES = {"Accept": "application/fhir+ndjson"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("lines") / "data") as server:
        put(server, *places())
        put(
            server,
            *(a("Media", f"m{n}", unit=("derm", "eyes")[n % 2], createdDateTime=f"2024-01-0{n}") for n in range(1, 8)),
        )
        yield server


def lines(served: Served, query: str, **bound: Any) -> list[dict[str, Any]]:
    headers = served.headers(bound.pop("scope", "user/*.rs"), **bound) | LINES
    answer = served.http.get(f"{served.base}/{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == LINES["Accept"]
    return [json.loads(line) for line in answer.text.splitlines()]


def test_every_match_is_a_line(served: Served) -> None:
    found = lines(served, "Media?_sort=-when")
    assert [each["id"] for each in found] == [f"m{n}" for n in range(7, 0, -1)]
    assert all(each["resourceType"] == "Media" and each["meta"]["versionId"] for each in found)
    assert lines(served, "Media?when=2030") == []


def test_pages_are_joined(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lines(served, "?_type=Media,Patient")
    monkeypatch.setattr("fhirmedia.interactions.search_lines.RUN", 2)
    assert lines(served, "?_type=Media,Patient") == whole
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    newest = served.http.get(f"{served.base}/AuditEvent?patient=anna&_count=3&_sort=-date", headers=auditor).json()
    told = [json.dumps(event["resource"]) for event in newest["entry"]]
    named = [{f"m{n}" for n in range(1, 8) if f"Media/m{n}" in event} for event in told]
    assert any(named)
    assert all(len(each) <= 2 for each in named)


def test_lines_are_narrowed(served: Served) -> None:
    assert [each["id"] for each in lines(served, "Media?_elements=status", units=["derm"])] == ["m2", "m4", "m6"]
    assert lines(served, "Media", scope="patient/*.rs", patient="bo") == []


def test_it_is_posted_like_a_search(served: Served) -> None:
    headers = served.headers("user/*.rs") | LINES | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = served.http.post(f"{served.base}/Media/_search", data={"when": "2024-01-02"}, headers=headers)
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == ["m2"]


@pytest.mark.parametrize("query", ["_include=Media:patient", "_summary=count", "_cursor=x", "nonsense=1"])
def test_what_lines_cannot_hold_is_refused(served: Served, query: str) -> None:
    answer = served.http.get(f"{served.base}/Media?{query}", headers=served.headers() | LINES)
    refusal(answer, 400)
