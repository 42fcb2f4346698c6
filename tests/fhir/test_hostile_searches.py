"""Searches made to be costly are refused in words or answered with bounded work: counted in steps of the database."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.access.records import a, places
from tests.access.watching import Watch, watched
from tests.fhir.rest import names, refusal
from tests.servers import Served, serving

ROWS = 600
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def pictures() -> list[dict[str, object]]:
    """Pictures with long texts, in a circle of parts."""
    return [
        a(
            "Media",
            f"m{number:03}",
            deviceName="a" * 180 + f" {number}",
            note=[{"text": "ab " * 60}],
            encounter={"reference": f"Encounter/e{number % 5}"},
        )
        for number in range(ROWS)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Watch]]:
    with watched() as watch, serving(tmp_path_factory.mktemp("hostile") / "data") as server:
        circle = [a("Encounter", f"e{n}", partOf={"reference": f"Encounter/e{(n + 1) % 5}"}) for n in range(5)]
        entries = [
            {"request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}, "resource": each}
            for each in [*places(), *circle, *pictures()]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = server.http.post(server.base, json=bundle, headers=server.importer())
        assert answer.status_code == 200, answer.text
        yield server, watch


@pytest.fixture(scope="module")
def served(world: tuple[Served, Watch]) -> Served:
    return world[0]


DEEP = "encounter:Encounter." + "part-of:Encounter." * 4 + "status"
HAS = "_has:Media:encounter:" + "encounter:Encounter._has:Media:encounter:" * 4 + "status"
TOO_MUCH = {
    "a wildcard of two letters": "Media?device-name:contains=aa",
    "contains alone": "Media?device-name:contains=aaa",
    "a thousand and one values": "Media?_id=" + ",".join(["x"] * 1001),
    "hundred and one parameters": "Media?" + "&".join(["status=completed"] * 101),
    "twenty-one includes": "Media?" + "&".join(["_include=Media:encounter"] * 21),
    "a deep chain": f"Media?{DEEP}=x",
    "a deep _has": f"Encounter?{HAS}=x",
    "words without end": "Media?_content=" + "%20".join(["ab"] * 33),
    "alternatives without end": "Media?_content=" + "%20OR%20".join(["ab"] * 33),
    "sort keys without end": "Media?_sort=" + ",".join(["_id"] * 100),
    "five sort keys": "Media?_sort=when,created,status,_id,identifier",
}
MALFORMED = {
    "a wildcard": "Media?_content=a*",
    "brackets": "Media?_content=((a))",
    "an unknown value set": "Media?laterality:in=http://evil.example/ValueSet/of-a-million",
    "a negative count": "Media?_count=-1",
    "a count that is no number": "Media?_count=1e9",
    "an endless number": "Observation?value-quantity=" + "9" * 4000,
    "an exponent": "Observation?value-quantity=1e999999999",
    "a year beyond": "Media?when=99999",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused_before_it_is_searched(world: tuple[Served, Watch], name: str) -> None:
    served, watch = world
    watch.clear()
    issue = refusal(served.http.get(f"{served.base}/{TOO_MUCH[name]}", headers=served.headers()), 400)
    assert issue["code"] in ("too-costly", "value", "not-supported", "invalid")
    assert len(issue["diagnostics"]) > 15
    assert watch.statements == []


@pytest.mark.parametrize("name", MALFORMED)
def test_what_means_nothing_is_refused_before_it_is_searched(world: tuple[Served, Watch], name: str) -> None:
    served, watch = world
    watch.clear()
    refusal(served.http.get(f"{served.base}/{MALFORMED[name]}", headers=served.headers()), 400)
    assert watch.statements == []


def test_sizes_have_ends(served: Served) -> None:
    headers = served.headers()
    assert served.http.get(f"{served.base}/Media?_id=" + "x" * 20_000, headers=headers).status_code == 414
    form = "_id=" + "x" * 300_000
    answer = served.http.post(f"{served.base}/Media/_search", content=form, headers=headers | FORM)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "query",
    [
        "_id=" + ",".join(f"m{number:03}" for number in range(0, 600, 2)),
        "identifier=" + ",".join(f"urn:n|x{number}" for number in range(1000)),
        "status:not=completed&status:not=x&device-name:missing=true",
        "_content=" + quote(" ".join(["ab"] * 30)),
        "_content=" + quote('"' + " ".join(["ab"] * 30) + '"'),
        "device-name:contains=aaaaaaaab&patient=anna",
        "encounter.part-of.part-of._id=e3",
        "_has:DiagnosticReport:media:status=final",
        "_count=1000000000",
        "_sort=device-name,-_lastUpdated,when,_id&_count=5",
        "when=ge0001&when=le9999&created:missing=true",
    ],
    ids=lambda query: query[:40],
)
def test_the_work_is_bounded(world: tuple[Served, Watch], query: str) -> None:
    """At most so many instructions for each record of the archive, whatever is asked."""
    served, watch = world
    watch.clear()
    answer = served.http.post(f"{served.base}/Media/_search", content=query, headers=served.headers() | FORM)
    assert answer.status_code in (200, 400), answer.text
    assert len(names(answer.json()) if answer.status_code == 200 else []) <= 1000
    assert watch.steps < 60 * ROWS
    assert 0 < len(watch.statements) < 100


def test_circles_of_includes_end(world: tuple[Served, Watch]) -> None:
    served, watch = world
    for query in (
        "Encounter?_id=e0&_include:iterate=Encounter:part-of",
        "Encounter?_id=e0&_include:iterate=*&_revinclude:iterate=Encounter:part-of",
    ):
        watch.clear()
        bundle = served.http.get(f"{served.base}/{query}", headers=served.headers()).json()
        found = [entry["fullUrl"].removeprefix(f"{served.base}/") for entry in bundle["entry"]]
        assert len(found) == len(set(found))
        assert {f"Encounter/e{n}" for n in range(5)} <= set(found)
        assert len(watch.statements) < 200


def test_a_search_that_takes_too_long_is_stopped(world: tuple[Served, Watch], monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is asked while SQLite works, after a number of its instructions, and not only between statements."""
    served, watch = world
    monkeypatch.setattr("fhirmedia.backends.index_sql._Budget.exceeded", lambda _self: True)
    watch.clear()
    answer = served.http.get(
        f"{served.base}/Media?_content=ab&status:not=x&_sort=device-name", headers=served.headers()
    )
    assert refusal(answer, 400)["code"] == "too-costly"
    assert watch.steps < 1_000


INJECTED = (
    "' OR 1=1 --", '" OR ""="', "'; DROP TABLE res_row; --", "x') UNION SELECT body FROM record_version --", "%' OR '1",
    "\\", "\\' OR 1", "a\x00b", "${7*7}", "{{7*7}}", "1; SELECT sleep(9)", "NEAR(a b, 9)", "res_row:x", "^zq", "q + z",
    '{"query":{"match_all":{}}}', "Patient.where(true)", "name.matches('(a+)+$')", "(a+)+" * 50 + "$",
)  # fmt: skip


@pytest.mark.parametrize("value", INJECTED, ids=range(len(INJECTED)))
@pytest.mark.parametrize(
    "parameter", ["identifier", "device-name", "device-name:exact", "_content", "_id", "_source", "subject"]
)
def test_nothing_is_injected(world: tuple[Served, Watch], parameter: str, value: str) -> None:
    served, watch = world
    watch.clear()
    answer = served.http.get(f"{served.base}/Media?{parameter}={quote(value)}", headers=served.headers())
    if answer.status_code == 200:
        assert names(answer.json()) == []
    else:
        refusal(answer, 400)
    assert not any(value in statement for statement in watch.statements if len(value) > 3)
    assert watch.steps < 60 * ROWS
