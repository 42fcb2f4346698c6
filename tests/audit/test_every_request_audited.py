"""No request of a known caller goes by without its row, and the row names everything the answer told of."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.core.records import Key, parse_key
from tests.access.callers import KNOWN, STRANGERS, headers_of
from tests.access.enumeration import ROUTES, Answer, answers, furnish
from tests.access.records import a
from tests.audit.rows import by_request, disclosures
from tests.servers import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("audited") / "data") as server:
        furnish(server)
        yield server


def told(answer: Answer) -> set[Key]:
    """Every resource an answer names: in its address, its Location or its body.

    An address that ends behind a type names none. What is sent to be validated is judged without a look at what is
    stored, so only a refusal names the instance that was asked.
    """
    response = answer.response
    path = response.request.url.path.removeprefix("/fhir/")
    keys = set()
    is_told_of = answer.route[1].startswith("/fhir/{type}/{id}") and not answer.route[1].endswith("/$validate")
    if is_told_of or response.status_code >= 400:
        with_id = path.split("/")[:2]
        if len(with_id) == 2 and with_id[0] and not with_id[1].startswith(("_", "$")):
            keys.add(Key(*with_id))
    if "location" in response.headers:
        kind, id = response.headers["location"].partition("/fhir/")[2].split("/")[:2]
        keys.add(Key(kind, id))
    if response.headers.get("content-type", "").startswith("application/fhir+json") and response.content:
        keys |= set(named(response.json()))
    return keys


def named(body: dict[str, Any]) -> Iterator[Key]:
    """Resources of ours in a body."""
    if body["resourceType"] == "Bundle":
        for entry in body.get("entry", ()):
            yield from named(entry.get("resource", {"resourceType": "OperationOutcome"}))
    elif "id" in body:
        yield Key(body["resourceType"], body["id"])


def outcome_of(response: httpx.Response) -> str:
    return "0" if response.status_code < 400 else "4"


def test_every_answer_has_its_row(served: Served, record_property: Callable[[str, object], None]) -> None:
    given = [answer for answer in answers(served, KNOWN) if ROUTES.get(answer.route) != "public"]
    given = [answer for answer in given if answer.route[1] != "/fhir/metadata" and answer.route[1].startswith("/fhir")]
    rows = by_request(served.folder)
    wrong = []
    for answer in given:
        found = rows.get(answer.response.headers["x-request-id"], [])
        # Each run of a streamed answer has a row of its own.
        is_streamed = answer.route[1].endswith("/$everything") and answer.response.status_code < 400
        if not found or (len(found) > 1 and not is_streamed):
            wrong.append(f"{answer}: {len(found)} rows")
            continue
        touched = {touch.key for row in found for touch in row.touched}
        missing = told(answer) - touched
        if missing:
            wrong.append(f"{answer}: the row does not name {sorted(missing)}")
        if {row.outcome for row in found} != {outcome_of(answer.response)}:
            wrong.append(f"{answer}: outcome {found[0].outcome} for {answer.response.status_code}")
        if answer.response.status_code >= 400 and any(touch.depth != "refused" for touch in found[0].touched):
            wrong.append(f"{answer}: a refusal is told as if something had been given")
    record_property("answers compared", len(given))
    assert wrong == []
    assert len(given) > 1000


BAD_REQUESTS = [
    ("GET", "/Media/m 1", {}, 404),
    ("GET", "/Media/anna-derm?_format=turtle", {}, 406),
    ("GET", "/Nothing/x", {}, 404),
    ("GET", "/Media?colour=red", {}, 400),
    ("GET", "/Media?_cursor=none", {}, 400),
    ("GET", "/Media/anna-derm/_history?_count=x", {}, 400),
    ("GET", "/Media/anna-derm/_history/last", {}, 404),
    ("POST", "/Media", {"content": b"{"}, 400),
    ("POST", "/Media", {"content": b"{}", "headers": {"Content-Type": "text/turtle"}}, 415),
    ("POST", "/Binary", {"content": b"x", "headers": {"Content-Type": "image/png"}}, 400),
    ("PUT", "/Media/anna-derm", {"json": a("Media", "other")}, 400),
    ("PUT", "/Media/anna-derm", {"json": a("Media", "anna-derm"), "headers": {"If-Match": 'W/"99"'}}, 412),
    ("PUT", "/Media/anna-derm", {"json": a("Media", "anna-derm"), "headers": {"If-Match": "latest"}}, 400),
    ("DELETE", "/Media/anna-derm", {"headers": {"If-Match": 'W/"99"'}}, 412),
    ("GET", "/Observation/anna/Media", {}, 404),
    ("POST", "/Media/_search", {"content": b"_count=1"}, 415),
]


@pytest.mark.parametrize(("method", "path", "sent", "status"), BAD_REQUESTS)
def test_requests_that_cannot_be_understood_have_their_row_too(
    served: Served, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    headers = headers_of("system", served) | sent.get("headers", {})
    rest = {name: value for name, value in sent.items() if name != "headers"}
    answer = served.http.request(method, served.base + path, headers=headers, **rest)
    assert answer.status_code == status, answer.text
    (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
    assert row.outcome == "4"
    assert row.issue == answer.json()["issue"][0]["code"]
    assert (row.subject, row.client) == ("urn:fhirmedia:demo|demo", "fhirmedia-demo")
    if "/anna-derm" in path:
        assert parse_key("Media/anna-derm") in {touch.key for touch in row.touched}


def test_another_ones_cursor_is_told(served: Served) -> None:
    mine, theirs = headers_of("own-unit", served), headers_of("system", served)
    first = served.http.get(f"{served.base}/Media?_count=1", headers=theirs).json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    refused = served.http.get(following, headers=mine)
    assert refused.status_code == 403
    (row,) = by_request(served.folder)[refused.headers["x-request-id"]]
    assert (row.outcome, row.issue) == ("4", "forbidden")


def test_strangers_are_counted(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        for kind in STRANGERS:
            for _ in range(3):
                headers = headers_of(kind, served)
                assert served.http.get(f"{served.base}/Media/x", headers=headers).status_code == 401
                assert served.http.post(f"{served.base}/Media", headers=headers, content=b"{}").status_code == 401
    counted = [row for row in disclosures(tmp_path / "data") if row.interaction.startswith("unauthenticated")]
    told = {(row.interaction, row.issue) for row in counted}
    assert told == {
        ("unauthenticated 12 GET /fhir/{type}/{id}", "login"),
        ("unauthenticated 12 POST /fhir/{type}", "login"),
        ("unauthenticated 3 GET /fhir/{type}/{id}", "expired"),
        ("unauthenticated 3 POST /fhir/{type}", "expired"),
    }
    assert {(row.subject, row.client, row.outcome, row.address) for row in counted} == {
        ("unknown", "unknown", "4", "127.0.0.1")
    }
