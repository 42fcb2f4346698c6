"""Conditional create, update, patch and delete, row by row (FHIR R4, http 3.1.0.4 to 3.1.0.8)."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest

from fhirmedia.core.records import Key
from tests.access.records import a, identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import Body, new, read
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import Served

CHANGE: Any = [{"op": "add", "path": "/deviceName", "value": "camera"}]
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
_NUMBERS = count(1)


@pytest.fixture
def number() -> str:
    """An identifier nobody has yet."""
    return f"c-{next(_NUMBERS)}"


def sent(served: Served, method: str, query: str, body: Body | None = None, **headers: str) -> httpx.Response:
    url, staff = f"{served.base}/Media?{query}", served.headers() | headers
    return served.http.request(method, url, json=body, headers=staff)


def posted(served: Served, condition: str, body: Body, **headers: str) -> httpx.Response:
    staff = served.headers() | {"If-None-Exist": condition} | headers
    return served.http.post(f"{served.base}/Media", json=body, headers=staff)


class TestCreate:
    def test_without_a_match_it_creates(self, served: Served, number: str) -> None:
        answer = posted(served, f"identifier=urn:numbers|{number}", new("Media", identifier=identifier(number)))
        assert answer.status_code == 201
        assert answer.headers["location"].endswith(f"/Media/{answer.json()['id']}/_history/1")

    @pytest.mark.parametrize("mark", ["", "?"])
    def test_a_match_is_left_as_it_is(self, served: Served, number: str, mark: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            answer = posted(served, f"{mark}identifier={number}", new("Media", deviceName="other"))
        assert answer.status_code == 200
        assert answer.json() == there
        assert answer.headers["location"] == f"{served.base}/Media/{there['id']}/_history/1"
        assert answer.headers["etag"] == 'W/"1"'
        (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
        assert [(touch.key, touch.depth) for touch in row.touched] == [(Key("Media", there["id"]), "opened")]
        told = posted(served, f"identifier={number}", new("Media"), Prefer="return=OperationOutcome")
        assert told.json()["issue"][0]["diagnostics"] == "The resource was there already."

    def test_several_matches_are_refused(self, served: Served, number: str) -> None:
        for _ in range(2):
            created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            answer = posted(served, f"identifier={number}", new("Media"))
        assert refusal(answer, 412)["code"] == "multiple-matches"
        (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
        assert [touch.depth for touch in row.touched] == ["refused", "refused"]

    def test_the_match_is_made_before_the_next_one_looks(self, served: Served, number: str) -> None:
        body = new("Media", identifier=identifier(number))
        first, second = (posted(served, f"identifier={number}", body) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.headers["location"] == second.headers["location"]

    def test_what_is_not_valid_is_refused_all_the_same(self, served: Served, number: str) -> None:
        created(served, new("Media", identifier=identifier(number)))
        refusal(posted(served, f"identifier={number}", {"resourceType": "Media"}), 400)

    @pytest.mark.parametrize(
        "condition",
        [
            "",
            "_count=1",
            "_format=json",
            "identifier=1&_sort=_id",
            "identifier=1&_summary=count",
            "identifier=1&_include=Media:subject",
            "identifier=1&_total=none",
            "colour=red",
            "identifier=",
            "identifier=1&_elements=status",
            "identifier=1&resourceType=Media",
            "identifier=%",
            "created=yesterday",
        ],
    )
    def test_a_condition_is_a_search_that_narrows(self, served: Served, condition: str) -> None:
        with nothing_stored(served):
            refusal(posted(served, condition, new("Media"), Prefer="handling=lenient"), 400)

    def test_binaries_are_not_created_on_condition(self, served: Served) -> None:
        headers = served.headers() | {"If-None-Exist": "_id=x"}
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
        refusal(served.http.post(f"{served.base}/Binary", json=binary, headers=headers), 400)
        raw = headers | {"Content-Type": "text/plain"}
        refusal(served.http.post(f"{served.base}/Binary", content=b"hi", headers=raw), 415)


class TestUpdate:
    def test_the_match_is_updated(self, served: Served, number: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        changed = new("Media", identifier=identifier(number), deviceName="camera")
        answer = sent(served, "PUT", f"identifier={number}", changed)
        assert answer.status_code == 200
        assert answer.headers["etag"] == 'W/"2"'
        assert answer.json()["id"] == there["id"]
        assert read(served, f"Media/{there['id']}")["deviceName"] == "camera"
        again = sent(served, "PUT", f"identifier={number}", changed | {"id": there["id"]})
        assert again.headers["etag"] == 'W/"3"'

    def test_another_id_than_that_of_the_match_is_refused(self, served: Served, number: str) -> None:
        created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            answer = sent(served, "PUT", f"identifier={number}", a("Media", "other"))
        assert refusal(answer, 400)["expression"] == ["Media.id"]

    def test_without_a_match_and_without_an_id_it_creates(self, served: Served, number: str) -> None:
        answer = sent(served, "PUT", f"identifier={number}", new("Media", identifier=identifier(number)))
        assert answer.status_code == 201
        assert answer.headers["location"].endswith(f"/Media/{answer.json()['id']}/_history/1")

    def test_an_id_is_chosen_only_by_whom_it_may_be(self, served: Served, number: str) -> None:
        body = a("Media", f"chosen-{number}", identifier=identifier(number))
        with nothing_stored(served):
            refusal(sent(served, "PUT", f"identifier={number}", body), 405)
        answer = sent(served, "PUT", f"identifier={number}", body, **served.importer())
        assert answer.status_code == 201
        assert answer.json()["id"] == f"chosen-{number}"

    def test_an_id_that_is_taken_is_not_chosen(self, served: Served, number: str) -> None:
        there = created(served, new("Media"))
        body = a("Media", there["id"], identifier=identifier(number))
        with nothing_stored(served):
            answer = sent(served, "PUT", f"identifier={number}", body, **served.importer())
        assert refusal(answer, 409)["expression"] == ["Media.id"]

    def test_several_matches_are_refused(self, served: Served, number: str) -> None:
        for _ in range(2):
            created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            assert refusal(sent(served, "PUT", f"identifier={number}", new("Media")), 412)["code"] == "multiple-matches"

    def test_if_match_speaks_of_the_match(self, served: Served, number: str) -> None:
        body = new("Media", identifier=identifier(number))
        with nothing_stored(served):
            refusal(sent(served, "PUT", f"identifier={number}", body, **{"If-Match": 'W/"1"'}), 412)
        created(served, body)
        with nothing_stored(served):
            refusal(sent(served, "PUT", f"identifier={number}", body, **{"If-Match": 'W/"2"'}), 412)
        assert sent(served, "PUT", f"identifier={number}", body, **{"If-Match": 'W/"1"'}).status_code == 200

    def test_it_takes_a_condition(self, served: Served) -> None:
        for query in ("", "_count=2", "_format=json"):
            refusal(sent(served, "PUT", query, new("Media")), 400)

    def test_an_id_has_the_form_of_one(self, served: Served, number: str) -> None:
        refusal(sent(served, "PUT", f"identifier={number}", new("Media") | {"id": "no id"}), 400)


class TestPatch:
    def test_the_match_is_patched(self, served: Served, number: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        answer = sent(served, "PATCH", f"identifier={number}", CHANGE, **JSON_PATCH)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["id"], answer.json()["deviceName"]) == (there["id"], "camera")
        assert answer.headers["etag"] == 'W/"2"'

    def test_a_patch_that_changes_nothing_makes_no_version(self, served: Served, number: str) -> None:
        created(served, new("Media", identifier=identifier(number), deviceName="camera"))
        with nothing_stored(served):
            answer = sent(served, "PATCH", f"identifier={number}", CHANGE, **JSON_PATCH)
        assert answer.headers["etag"] == 'W/"1"'

    def test_none_and_several_are_refused(self, served: Served, number: str) -> None:
        with nothing_stored(served):
            refusal(sent(served, "PATCH", f"identifier={number}", CHANGE, **JSON_PATCH), 404)
        for _ in range(2):
            created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            refusal(sent(served, "PATCH", f"identifier={number}", CHANGE, **JSON_PATCH), 412)

    def test_if_match_speaks_of_the_match(self, served: Served, number: str) -> None:
        created(served, new("Media", identifier=identifier(number)))
        wrong, right = ({"If-Match": f'W/"{version}"'} | JSON_PATCH for version in (2, 1))
        with nothing_stored(served):
            refusal(sent(served, "PATCH", f"identifier={number}", CHANGE, **wrong), 412)
        assert sent(served, "PATCH", f"identifier={number}", CHANGE, **right).status_code == 200


class TestDelete:
    def test_the_one_match_is_deleted(self, served: Served, number: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        answer = sent(served, "DELETE", f"identifier={number}")
        assert answer.status_code == 204
        refusal(served.http.get(f"{served.base}/Media/{there['id']}", headers=served.headers()), 410)
        refusal(sent(served, "DELETE", f"identifier={number}"), 404)

    def test_several_matches_are_refused(self, served: Served, number: str) -> None:
        for _ in range(2):
            created(served, new("Media", identifier=identifier(number)))
        with nothing_stored(served):
            refusal(sent(served, "DELETE", f"identifier={number}"), 412)

    def test_it_takes_a_condition(self, served: Served) -> None:
        for query in ("", "_count=2", "colour=red"):
            with nothing_stored(served):
                refusal(sent(served, "DELETE", query), 400)

    def test_if_match_speaks_of_the_match(self, served: Served, number: str) -> None:
        created(served, new("Media", identifier=identifier(number)))
        refusal(sent(served, "DELETE", f"identifier={number}", **{"If-Match": 'W/"2"'}), 412)
        assert sent(served, "DELETE", f"identifier={number}", **{"If-Match": 'W/"1"'}).status_code == 204


def test_whoever_may_not_search_may_not_set_conditions(served: Served, number: str) -> None:
    """Its answers would tell what a search may not."""
    for scope in ("user/Media.cud", "user/Media.crud", "user/Media.cuds"):
        bare = served.headers(scope)
        for method in ("PUT", "DELETE", "PATCH"):
            headers = bare | (JSON_PATCH if method == "PATCH" else {})
            body = CHANGE if method == "PATCH" else new("Media")
            refusal(sent(served, method, f"identifier={number}", body, **headers), 403)
        refusal(posted(served, f"identifier={number}", new("Media"), **bare), 403)


def test_of_many_at_once_one_creates(served: Served, number: str) -> None:
    """The condition is judged where nothing can come between."""
    body = new("Media", identifier=identifier(number))
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: posted(served, f"identifier={number}", body), range(24)))
    assert sorted(answer.status_code for answer in given) == [200] * 23 + [201]
    assert len({answer.headers["location"] for answer in given}) == 1


def test_of_many_patches_at_once_none_is_lost(served: Served, number: str) -> None:
    created(served, new("Media", identifier=identifier(number), note=[{"text": "first"}]))

    def add(text: str) -> int:
        change: Any = [{"op": "add", "path": "/note/-", "value": {"text": text}}]
        return sent(served, "PATCH", f"identifier={number}", change, **JSON_PATCH).status_code

    with ThreadPoolExecutor(3) as pool:
        told = dict(zip("abcdefghi", pool.map(add, "abcdefghi"), strict=True))
    assert set(told.values()) <= {200, 409}
    (found,) = served.http.get(f"{served.base}/Media?identifier={number}", headers=served.headers()).json()["entry"]
    notes = {note["text"] for note in found["resource"]["note"]}
    assert notes == {"first"} | {text for text, status in told.items() if status == 200}
