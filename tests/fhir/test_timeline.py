"""The timeline over HTTP: every parameter on every type that has it, by type, system and compartment, GET and POST."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from fhirmedia.r4.query_string import decode_query, encode_query
from fhirmedia.r4.registry import load_registry
from tests.fhir.rest import link, matches, names, refusal
from tests.fhir.timeline_rows import ROWS, TOGETHER
from tests.fhir.timelines import BO, FOUR, NEWEST_FIRST, OLDEST_FIRST, furnished
from tests.servers import Served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CLINICAL = [*FOUR.split(","), "Encounter"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with furnished(tmp_path_factory.mktemp("timeline") / "data") as (served, _):
        yield served


@pytest.fixture(scope="module")
def staff(world: Served) -> dict[str, str]:
    return world.headers()


def _encoded(world: Served, query: str) -> str:
    return quote(query.replace("BASE", world.base), safe="=&:/,|")


def _ids(bundle: Any) -> set[str]:
    return {each["id"] for each in matches(bundle)}


@pytest.mark.parametrize(("type", "query"), [(type, query) for type, rows in ROWS.items() for query in rows])
def test_by_type(world: Served, staff: dict[str, str], type: str, query: str) -> None:
    expected = set(ROWS[type][query].split())
    text = _encoded(world, query)
    got = world.http.get(f"{world.base}/{type}?{text}", headers=staff).json()
    assert got["resourceType"] == "Bundle", got
    assert _ids(got) == expected
    assert got["total"] == len(expected)
    assert {each["resourceType"] for each in matches(got)} <= {type}
    assert all(each["fullUrl"] == f"{world.base}/{type}/{each['resource']['id']}" for each in got.get("entry", ()))
    posted = world.http.post(f"{world.base}/{type}/_search", content=text, headers=staff | FORM).json()
    assert names(posted) == names(got)
    assert link(posted, "self") == link(got, "self")


def test_every_parameter_of_ours_has_a_row_that_finds_something() -> None:
    shown = {
        (type, name.partition(":")[0])
        for type, rows in ROWS.items()
        for query, ids in rows.items()
        for name, _ in decode_query(query)
        if ids
    }
    registry = load_registry()
    parameters = [(name, each) for name, served in registry.types.items() for each in served.parameters.values()]
    assert {(name, each.code) for name, each in parameters if each.url.startswith(registry.table.canonical)} <= shown


@pytest.mark.parametrize("query", TOGETHER)
def test_by_system(world: Served, staff: dict[str, str], query: str) -> None:
    expected, text = set(TOGETHER[query].split()), f"_type={FOUR}&{_encoded(world, query)}"
    got = world.http.get(f"{world.base}/?{text}", headers=staff).json()
    assert set(names(got)) == expected
    assert got["total"] == len(expected)
    without_slash = world.http.get(f"{world.base}?{text}", headers=staff).json()
    posted = world.http.post(f"{world.base}/_search", content=text, headers=staff | FORM).json()
    mixed = world.http.post(f"{world.base}/_search?_type={FOUR}", content=_encoded(world, query), headers=staff | FORM)
    assert names(without_slash) == names(posted) == names(mixed.json()) == names(got)


@pytest.mark.parametrize(("type", "query"), [(type, query) for type in CLINICAL for query in ROWS[type]])
def test_by_compartment(world: Served, staff: dict[str, str], type: str, query: str) -> None:
    """The same as the type's own search and the patient."""
    text = _encoded(world, query)
    expected = {id for id in ROWS[type][query].split() if not id.endswith("-bo")}
    got = world.http.get(f"{world.base}/Patient/anna/{type}?{text}", headers=staff).json()
    assert _ids(got) == expected
    assert got["total"] == len(expected)
    assert (link(got, "self") or "").startswith(f"{world.base}/Patient/anna/{type}?")
    bound = world.http.get(f"{world.base}/{type}?{text}&patient=anna", headers=staff).json()
    assert _ids(bound) == expected


def test_the_timeline_of_a_patient(world: Served, staff: dict[str, str]) -> None:
    for order, expected in (("-when", NEWEST_FIRST), ("when", OLDEST_FIRST)):
        for search in (
            f"{world.base}/?_type={FOUR}&patient=anna&_sort={order}",
            f"{world.base}/Patient/anna/*?_type={FOUR}&_sort={order}",
        ):
            assert tuple(names(world.http.get(search, headers=staff).json())) == expected
    posted = world.http.post(
        f"{world.base}/Patient/anna/*/_search", content=f"_type={FOUR}&_sort=-when", headers=staff | FORM
    )
    assert tuple(names(posted.json())) == NEWEST_FIRST


def test_a_whole_compartment(world: Served, staff: dict[str, str]) -> None:
    found = names(world.http.get(f"{world.base}/Patient/anna/*", headers=staff).json())
    assert set(found) == {*NEWEST_FIRST, "Encounter/e-visit", "Encounter/e-plan", "Patient/anna"}
    assert found == sorted(found)
    of_bo = names(world.http.get(f"{world.base}/Patient/bo/*", headers=staff).json())
    assert set(of_bo) == {*BO, "Patient/bo"}
    nobody = world.http.get(f"{world.base}/Patient/nobody/*", headers=staff).json()
    assert (nobody["total"], matches(nobody)) == (0, [])


def test_a_type_outside_the_compartment_never_means_everything(world: Served, staff: dict[str, str]) -> None:
    for path in ("Patient/anna/Organization", "Patient/anna/*?_type=Organization"):
        refusal(world.http.get(f"{world.base}/{path}", headers=staff), 400)
    refusal(world.http.get(f"{world.base}/Patient/an%20na/Media", headers=staff), 400)


@pytest.mark.parametrize(
    ("query", "culprit"),
    [
        (f"_type={FOUR}&body-site=x", "DiagnosticReport"),
        (f"_type={FOUR}&category=x", "ImagingStudy"),
        (f"_type={FOUR}&_sort=started", "Media"),
        ("_type=Media,Nothing", "_type"),
        ("_type=", "_type"),
        ("_type=Media&_type=Patient", "_type"),
        ("_type=Media,Binary", "_type"),
        ("_type=Media,AuditEvent", "AuditEvent"),
        ("patient=anna", "patient"),
    ],
)
def test_each_parameter_must_exist_on_every_type(
    world: Served, staff: dict[str, str], query: str, culprit: str
) -> None:
    issue = refusal(world.http.get(f"{world.base}/?{query}", headers=staff), 400)
    assert culprit in issue["diagnostics"]


@pytest.mark.parametrize(
    "sort", ["status", "-status", "_id", "-_lastUpdated", "kind,-when", "-identifier", "created,_id"]
)
def test_orders_hold_and_what_is_missing_comes_last(world: Served, staff: dict[str, str], sort: str) -> None:
    found = names(world.http.get(f"{world.base}/Media?_sort={sort}", headers=staff).json())
    assert found == [f"Media/{id}" for id in ORDERS[sort].split()]


ORDERS = {
    "status": "m-bo m-lesion m-sound m-undated m-gait",
    "-status": "m-gait m-undated m-bo m-lesion m-sound",
    "_id": "m-bo m-gait m-lesion m-sound m-undated",
    "-_lastUpdated": "m-bo m-gait m-lesion m-sound m-undated",
    "kind,-when": "m-sound m-lesion m-gait m-bo m-undated",
    "-identifier": "m-sound m-bo m-lesion m-gait m-undated",
    "created,_id": "m-gait m-bo m-lesion m-sound m-undated",
}


def test_the_self_link_says_what_was_done(world: Served, staff: dict[str, str]) -> None:
    for asked in (
        "status=completed&kind=audio",
        "when=ge2023&when=lt2024",
        "patient=BASE/Patient/bo",
        "_count=2&_sort=-when,_id&_total=accurate",
        "identifier=a%5C%2Cb,c%7Cd",
        "_summary=count",
        "identifier:not=M-1&_format=json",
        "when=2022-06-01T10:00:00%2B02:00",
    ):
        url = f"{world.base}/Media?{asked.replace('BASE', world.base)}"
        first = world.http.get(url, headers=staff).json()
        said = link(first, "self")
        assert said is not None
        again = world.http.get(said, headers=staff).json()
        assert link(again, "self") == said
        assert (names(again), again.get("total")) == (names(first), first.get("total"))
        wanted, stated = decode_query(url.partition("?")[2]), decode_query(said.partition("?")[2])
        assert wanted == stated
        assert said == f"{world.base}/Media?{encode_query(tuple(wanted))}"


def test_a_lost_plus_is_read_as_one(world: Served, staff: dict[str, str]) -> None:
    found = world.http.get(f"{world.base}/Media?when=2022-06-01T10:00:00+02:00", headers=staff).json()
    assert _ids(found) == {"m-sound"}


def test_a_count_above_the_most_is_stated_as_the_most(world: Served, staff: dict[str, str]) -> None:
    bundle = world.http.get(f"{world.base}/Media?_count=100000", headers=staff).json()
    assert link(bundle, "self") == f"{world.base}/Media?_count=1000"
