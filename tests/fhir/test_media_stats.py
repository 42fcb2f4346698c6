"""$media-stats: counts equal what a search lists, divide as it would, and tell an analyst nothing about anybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.settings import Settings
from tests.access.records import DEPARTMENT, a, places, put
from tests.fhir.rest import refusal
from tests.fhir.timelines import DCM, SCT, concept
from tests.servers import Served, serving

ANALYST = "user/*.s"


def media(number: int, patient: str, **other: Any) -> dict[str, Any]:
    kind = ("image/jpeg", "video/mp4")[number % 2]
    site = concept(SCT, ("14975008", "85562004", "77568009")[number % 3])
    return a(
        "Media",
        f"m{number}",
        of=patient,
        unit=("derm", "eyes")[number % 2],
        createdDateTime=f"{2020 + number % 3}-0{1 + number % 2}-01",
        bodySite=site,
        modality={"coding": [{"system": DCM, "code": "XC"}]},
        content={"contentType": kind, "title": "x"},
        **other,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("stats") / "data") as server:
        put(server, *places(), *(a("Patient", f"p{number}") for number in range(12)))
        put(server, *(media(number, f"p{number % 12}") for number in range(24)))
        put(
            server, *(a("DocumentReference", f"d{number}", of="p0", date="2022-06-01T00:00:00Z") for number in range(3))
        )
        yield server


def counted(served: Served, query: str, **bound: Any) -> tuple[Any, dict[str, dict[str, Any]]]:
    """The total, and each facet's counts by code."""
    scope = bound.pop("scope", "user/*.rs")
    answer = served.http.get(f"{served.base}/{query}", headers=served.headers(scope, **bound))
    assert answer.status_code == 200, answer.text
    total: Any = None
    facets: dict[str, dict[str, Any]] = {}
    for part in answer.json()["parameter"]:
        if part["name"] == "total":
            total = number_of(part)
        elif part["name"] == "facet":
            name, *values = part["part"]
            facets[name["valueCode"]] = {
                value["part"][0]["valueCoding"]["code"]: number_of(value["part"][1])
                for value in values
                if value["name"] == "value"
            }
    return total, facets


def number_of(part: dict[str, Any]) -> Any:
    return part.get("valueInteger", part.get("valueString"))


def listed(served: Served, query: str, **bound: Any) -> int:
    """What a search says of the same."""
    headers = served.headers("user/*.rs", **bound)
    total: int = served.http.get(f"{served.base}/{query}&_total=accurate", headers=headers).json()["total"]
    return total


def test_counts_are_those_of_searches(served: Served) -> None:
    total, facets = counted(served, "Media/$media-stats?facet=kind,body-site,department&facet=year,month")
    assert total == listed(served, "Media?_count=1") == 24
    assert facets["kind"] == {"image": 12, "video": 12}
    assert facets["body-site"] == {"14975008": 8, "85562004": 8, "77568009": 8}
    assert facets["department"] == {"derm": 12, "eyes": 12}
    assert facets["year"] == {"2020": 8, "2021": 8, "2022": 8}
    assert sum(facets["month"].values()) == 24
    for facet in ("kind", "body-site", "department"):
        for code, count in facets[facet].items():
            assert listed(served, f"Media?{facet}={code}") == count


def test_codes_are_shown_as_they_were_written(served: Served) -> None:
    assert counted(served, "Media/$media-stats?facet=media-modality")[1]["media-modality"] == {"XC": 24}


def test_a_facet_ignores_its_own_condition(served: Served) -> None:
    query = "Media/$media-stats?kind=image&facet=kind,body-site"
    total, facets = counted(served, query)
    assert total == 12
    assert facets["kind"] == {"image": 12, "video": 12}
    assert sum(facets["body-site"].values()) == 12
    assert counted(served, query + "&own-filter=true")[1]["kind"] == {"image": 12}


def test_it_is_asked_where_searches_are(served: Served) -> None:
    assert counted(served, "$media-stats?_type=Media,DocumentReference&facet=kind")[1]["kind"] == {
        "image": 12, "video": 12, "document": 3,
    }  # fmt: skip
    assert counted(served, "Patient/p0/$media-stats?facet=kind&_type=Media,DocumentReference") == (
        5,
        {"kind": {"document": 3, "image": 2}},
    )
    form = {"facet": "kind", "kind": "image"}
    headers = served.headers("user/*.rs") | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = served.http.post(f"{served.base}/Media/$media-stats", data=form, headers=headers)
    assert answer.json()["parameter"][0] == {"name": "total", "valueInteger": 12}


def test_nothing_hidden_is_counted(served: Served) -> None:
    total, facets = counted(served, "Media/$media-stats?facet=department,kind", units=["derm"])
    assert (total, facets) == (12, {"department": {"derm": 12}, "kind": {"image": 12}})
    alone = counted(served, "Media/$media-stats?facet=kind", scope="patient/*.rs", patient="p1")
    assert alone == (2, {"kind": {"video": 2}})


def test_an_analyst_learns_nothing_about_few(served: Served) -> None:
    assert counted(served, "Media/$media-stats?facet=kind", scope=ANALYST) == (20, {"kind": {"image": 10, "video": 10}})
    # Four patients for each body site: all of them are hidden, and the total is rounded.
    total, facets = counted(served, "Media/$media-stats?facet=body-site", scope=ANALYST)
    assert (total, set(facets["body-site"].values())) == (20, {"<5"})
    assert counted(served, "Media/$media-stats?patient=p1&facet=kind", scope=ANALYST) == ("<5", {})


def test_a_single_hidden_number_is_never_alone(served: Served) -> None:
    put(served, media(100, "p3", note=[{"text": "rare"}]) | {"content": {"contentType": "audio/wav"}})
    try:
        total, facets = counted(served, "Media/$media-stats?facet=kind", scope=ANALYST)
        assert total == 25
        assert facets["kind"] in (
            {"image": 10, "audio": "<5", "video": "<5"},
            {"video": 10, "audio": "<5", "image": "<5"},
        )
    finally:
        served.http.delete(f"{served.base}/Media/m100", headers=served.importer())


def test_an_analyst_lists_nothing(served: Served) -> None:
    headers = served.headers(ANALYST)
    assert refusal(served.http.get(f"{served.base}/Media", headers=headers), 403)["code"] == "forbidden"


REFUSED = {
    "Media/$media-stats?facet=nonsense": "facet",
    "Media/$media-stats?facet=": "facet",
    "Media/$media-stats?own-filter=maybe": "own-filter",
    "Media/$media-stats?_count=5": "_count",
    "Media/$media-stats?_include=Media:patient": "_include",
    "Media/$media-stats?_sort=when": "_sort",
    "Media/$media-stats?nonsense=1": "nonsense",
    "Patient/$media-stats?facet=kind": "facet",
    "AuditEvent/$media-stats": "_type",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_it_does_not_take_is_refused_by_name(served: Served, query: str) -> None:
    answer = served.http.get(f"{served.base}/{query}", headers=served.headers("user/*.rs", roles=["auditor"]))
    assert REFUSED[query] in refusal(answer, 400)["diagnostics"]


def test_the_department_of_a_facet_has_its_system(served: Served) -> None:
    answer = served.http.get(f"{served.base}/Media/$media-stats?facet=department", headers=served.headers())
    (facet,) = (part for part in answer.json()["parameter"] if part["name"] == "facet")
    assert facet["part"][1]["part"][0]["valueCoding"] == {"system": DEPARTMENT, "code": "derm"}


def test_too_many_counts_of_an_analyst_are_refused_for_a_while(tmp_path: Path) -> None:
    with serving(tmp_path / "data", Settings(environment="test", counts_per_hour=2)) as server:
        put(server, *places(), *(a("Patient", f"p{number}") for number in range(6)))
        analyst, staff = server.headers(ANALYST), server.headers("user/*.rs")
        assert server.http.get(f"{server.base}/Patient?_summary=count", headers=analyst).json()["total"] == 5
        few = server.http.get(f"{server.base}/Patient?_summary=count&_id=p1", headers=analyst).json()
        assert "total" not in few
        (remark,) = (entry["resource"]["issue"][0] for entry in few["entry"])
        assert (remark["severity"], remark["code"]) == ("information", "suppressed")
        for query in ("Patient?_summary=count", "Patient/$media-stats"):
            answer = server.http.get(f"{server.base}/{query}", headers=analyst)
            assert refusal(answer, 429)["code"] == "throttled"
            assert 1700 < int(answer.headers["Retry-After"]) <= 1801
            assert server.http.get(f"{server.base}/{query}", headers=staff).status_code == 200
