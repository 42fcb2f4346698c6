"""The table of result parameters (R4, search): what a Bundle holds, counts and takes along, whichever engine answers.

Whoever asks the self link of a Bundle is given the same, self link included.

Rows are of the corpus `reach`: two patients, three units, two labels. The total is absent where a row states none.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.conformance import normal
from tests.contracts.corpora import HERE, corpus
from tests.fhir.rest import link
from tests.following.beside import ENGINES, caught_up, served_by
from tests.servers import Served

ROWS = json.loads((HERE / "table" / "results.json").read_text("utf-8"))
CALLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("user/*.rs", {}),
    "derm": ("user/*.rs", {"units": ["derm"]}),
    "anna": ("patient/*.rs", {"patient": "anna"}),
}
_ALWAYS = {"resourceType", "id", "meta"}


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_by(request, tmp_path_factory.mktemp("results") / "data") as server:
        entries = [
            {"request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}, "resource": each}
            for each, _ in corpus("reach")
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = server.http.post(server.base, json=bundle, headers=server.importer())
        assert answer.status_code == 200, answer.text
        caught_up(server)
        yield server


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['query']} {row.get('caller', '')}".strip())
def test_a_bundle_holds(served: Served, row: dict[str, Any]) -> None:
    scope, bound = CALLERS[row.get("caller", "")]
    answer = served.http.get(f"{served.base}/{row['query']}", headers=served.headers(scope, **bound))
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    by_mode: dict[str, list[dict[str, Any]]] = {"match": [], "include": [], "outcome": []}
    for entry in bundle.get("entry", ()):
        by_mode[entry["search"]["mode"]].append(entry["resource"])
    assert [each["id"] for each in by_mode["match"]] == row["ids"]
    assert bundle.get("total") == row.get("total")
    assert (link(bundle, "next") is not None) is row.get("next", False)
    along = [f"{each['resourceType']}/{each['id']}" for each in by_mode["include"]]
    assert sorted(along) == sorted(row.get("included", ()))
    assert by_mode["outcome"] == []
    for each in by_mode["match"]:
        tags = {tag["code"] for tag in each["meta"].get("tag", ())}
        assert ("SUBSETTED" in tags) is row.get("subsetted", False)
        assert set(row.get("elements", each)) - _ALWAYS == each.keys() - _ALWAYS
    said = f"{served.base}/{row.get('self', normal(row['query']))}"
    again = served.http.get(said, headers=served.headers(scope, **bound)).json()
    for each in (bundle, again):
        assert link(each, "self") == said
        assert (each.get("entry"), each.get("total")) == (bundle.get("entry"), bundle.get("total"))


def test_every_row_has_its_reason() -> None:
    assert len(ROWS) >= 40
    assert all(row["why"] for row in ROWS)
    assert len({row["id"] for row in ROWS}) == len(ROWS)
