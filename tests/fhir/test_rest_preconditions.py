"""What a write may expect to find (If-Match, If-None-Match with `*`), and what it may ask to be told (Prefer)."""

from collections.abc import Iterator

import pytest

from tests.access.records import a, places, put
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("preconditions") / "data") as server:
        put(server, *places())
        yield server


@pytest.mark.parametrize("type", ["Patient", "Binary"])
def test_put_only_where_nothing_is(served: Served, type: str) -> None:
    url, sent = f"{served.base}/{type}/only-{type.lower()}", {"resourceType": type, "id": f"only-{type.lower()}"}
    if type == "Binary":
        sent |= {"contentType": "text/plain", "data": "QUJD"}
    headers = served.importer() | {"If-None-Match": "*"}
    assert served.http.put(url, json=sent, headers=headers).status_code == 201
    with nothing_stored(served):
        told = refusal(served.http.put(url, json=sent, headers=headers), 412)
    assert "If-None-Match" in told["diagnostics"]
    assert served.http.delete(url, headers=served.importer()).status_code == 204
    assert served.http.put(url, json=sent, headers=headers).status_code == 201


def test_put_only_where_something_is(served: Served) -> None:
    headers = served.importer() | {"If-Match": "*"}
    url, sent = f"{served.base}/Patient/there", {"resourceType": "Patient", "id": "there"}
    with nothing_stored(served):
        told = refusal(served.http.put(url, json=sent, headers=headers), 412)
    assert "If-Match" in told["diagnostics"]
    assert served.http.put(url, json=sent, headers=served.importer()).status_code == 201
    assert served.http.put(url, json=sent, headers=headers).status_code == 200
    assert served.http.delete(url, headers=served.importer()).status_code == 204
    refusal(served.http.put(url, json=sent, headers=headers), 412)


@pytest.mark.parametrize(
    "wrong",
    [
        {"If-None-Match": 'W/"1"'},
        {"If-None-Match": ""},
        {"If-None-Match": "*", "If-Match": 'W/"1"'},
        {"If-None-Match": "*", "If-Match": "*"},
        {"If-Match": "first"},
    ],
)
def test_other_expectations(served: Served, wrong: dict[str, str]) -> None:
    url, sent = f"{served.base}/Patient/other", {"resourceType": "Patient", "id": "other"}
    with nothing_stored(served):
        refusal(served.http.put(url, json=sent, headers=served.importer() | wrong), 400)


def test_who_may_not_choose_the_id_learns_nothing(served: Served) -> None:
    """Neither header tells an absent id from a hidden one."""
    put(served, a("Media", "hidden", unit="eyes"))
    headers = served.headers("user/*.cruds", units=["derm"])
    for condition in ({"If-None-Match": "*"}, {"If-Match": "*"}):
        told = []
        for id in ("hidden", "absent"):
            sent = a("Media", id)
            answer = served.http.put(f"{served.base}/Media/{id}", json=sent, headers=headers | condition)
            told.append((answer.status_code, answer.json()))
        assert told[0] == told[1]


def test_a_delete_says_as_much_as_is_preferred(served: Served) -> None:
    for prefer, status in ((None, 204), ("return=minimal", 204), ("return=representation", 204)):
        made = created(served, {"resourceType": "Patient"})
        headers = served.headers() | ({"Prefer": prefer} if prefer else {})
        answer = served.http.delete(f"{served.base}/Patient/{made['id']}", headers=headers)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["etag"] == 'W/"2"'
    made = created(served, {"resourceType": "Patient"})
    headers = served.headers() | {"Prefer": "return=OperationOutcome"}
    answer = served.http.delete(f"{served.base}/Patient/{made['id']}", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.json()["issue"][0]["severity"] == "information"
