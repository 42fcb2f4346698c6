"""batch: every entry as if it were sent by itself, each with an answer of its own (FHIR R4, http 3.1.0.11)."""

import base64
import json
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from fhirmedia.core.records import Key
from tests.access.records import a, identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import Body, answers, batch, entry, keys, new, post, read, statuses, transaction
from tests.fhir.rest import created, refusal
from tests.servers import Served


def test_every_interaction_has_its_own_answer(served: Served) -> None:
    there = created(served, new("Media", identifier=identifier("b-1")))
    key = f"Media/{there['id']}"
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
    change = base64.b64encode(json.dumps([{"op": "add", "path": "/deviceName", "value": "x"}]).encode()).decode()
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": change}
    answer = post(
        served,
        batch(
            entry("GET", key),
            entry("GET", "Media?identifier=b-1"),
            entry("GET", f"{key}/_history/1"),
            entry("GET", f"{key}/_history"),
            entry("GET", "Media/_history?_count=1"),
            entry("GET", "_history?_count=1"),
            entry("GET", "Patient/anna/*?_count=1"),
            entry("GET", "?_type=Media&_count=1"),
            entry("HEAD", "Patient/anna"),
            entry("GET", "Patient/anna", ifNoneMatch='W/"1"'),
            entry("POST", "Media", new("Media")),
            entry("POST", "Binary", binary),
            entry("POST", "Media", new("Media"), ifNoneExist="identifier=b-1"),
            entry("PUT", key, there | {"deviceName": "camera"}),
            entry("PATCH", "Media?identifier=b-1", patch),
            entry("DELETE", f"Media/{created(served, new('Media'))['id']}"),
            entry("DELETE", f"Media?_id={created(served, new('Media'))['id']}"),
            entry("PUT", "Media?identifier=b-2", new("Media")),
        ),
    )
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == ["200"] * 9 + ["304", "201", "201", "200", "200", "200", "204", "204", "201"]
    shown = [each.get("resource", {}) for each in answer.json()["entry"]]
    assert [each.get("type") for each in shown[1:8]] == ["searchset", None, *["history"] * 3, *["searchset"] * 2]
    assert read(served, key)["deviceName"] == "x"


def test_one_refusal_leaves_the_others_alone(served: Served) -> None:
    answer = post(
        served,
        batch(
            entry("POST", "Media", new("Media", of="nobody")),
            entry("POST", "Media", new("Media")),
            entry("GET", "Media/never"),
            entry("PUT", "Media/never", a("Media", "never")),
            entry("POST", "Media", {"resourceType": "Media"}),
            entry("DELETE", "Media?_count=1"),
            entry("GET", "AuditEvent"),
            entry("GET", "https://other.example.org/fhir/Patient/1"),
            entry("POST", "Media/$validate", new("Media")),
            entry("GET", "Binary/never"),
            entry("POST", "Bundle", transaction()),
            entry("POST", "Media", new("Media", partOf=[{"reference": "Media?_id=x"}])),
        ),
    )
    expected = ["422", "201", "404", "405", "400", "400", "403", "400", "400", "400", "404", "400"]
    assert statuses(answer) == expected
    for each in answers(answer):
        if each["status"][:1] == "4":
            assert each["outcome"]["issue"][0]["severity"] == "error"
            assert "location" not in each


def test_the_order_is_that_of_a_transaction(served: Served) -> None:
    """What one entry asks for, others have written; R4 forbids clients to rely on it."""
    there = created(served, new("Media", identifier=identifier("b-3")))
    answer = post(
        served,
        batch(
            entry("GET", "Media?identifier=b-3"),
            entry("POST", "Media", new("Media", identifier=identifier("b-3"))),
            entry("DELETE", f"Media/{there['id']}"),
        ),
    )
    assert statuses(answer) == ["200", "201", "204"]
    (found,) = answer.json()["entry"][0]["resource"]["entry"]
    assert f"Media/{found['resource']['id']}" == keys(served, answer)[0]


def test_each_entry_has_its_row(served: Served) -> None:
    answer = post(
        served, batch(entry("GET", "Patient/anna"), entry("GET", "Media/never"), entry("GET", "Media?identifier=none"))
    )
    rows = by_request(served.folder)[answer.headers["x-request-id"]]
    told = sorted((row.interaction, row.outcome) for row in rows)
    assert told == [("batch", "0"), ("read", "0"), ("read", "4"), ("search-type", "0")]
    assert [row.interaction for row in rows if row.query_sha256 is not None] == ["search-type"]
    assert {touch.key for row in rows for touch in row.touched} == {Key("Patient", "anna"), Key("Media", "never")}
    refused = post(served, batch(entry("POST", "Media/x/y", new("Media"))))
    rows = by_request(served.folder)[refused.headers["x-request-id"]]
    assert sorted((row.interaction, row.outcome) for row in rows) == [("batch", "0"), ("batch", "4")]


def test_many_entries_are_answered_in_their_order(served: Served) -> None:
    bundle = batch(*(entry("POST", "Media", new("Media", deviceName=str(number))) for number in range(100)))
    answer = post(served, bundle, Prefer="return=representation")
    assert [each["resource"]["deviceName"] for each in answer.json()["entry"]] == [str(each) for each in range(100)]


@pytest.mark.parametrize("kind", [batch, transaction])
def test_xml_is_taken_and_given(served: Served, kind: Callable[..., Body]) -> None:
    xml = f"""<Bundle xmlns="http://hl7.org/fhir"><type value="{kind()["type"]}"/><entry>
        <fullUrl value="urn:uuid:p"/><resource><Patient><active value="true"/></Patient></resource>
        <request><method value="POST"/><url value="Patient"/></request></entry></Bundle>"""
    headers = served.headers() | {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = served.http.post(served.base, content=xml.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert '<status value="201 Created"/>' in answer.text


def test_others_are_answered_while_a_large_bundle_is_taken_in(served: Served) -> None:
    """The loop goes on between entries; of three large ones at once, one is told to come again."""
    padding = "x" * 2**20
    bundle = batch(*(entry("POST", "Media", new("Media", note=[{"text": padding}])) for _ in range(5)))
    seen: list[Any] = []

    def send() -> None:
        seen.append(post(served, bundle))

    senders = [Thread(target=send) for _ in range(6)]
    for each in senders:
        each.start()
    while any(each.is_alive() for each in senders):
        assert served.http.get(f"{served.base}/Patient/anna", headers=served.headers()).status_code == 200
    for each in seen:
        if each.status_code == 429:
            assert refusal(each, 429)["code"] == "throttled"
            assert int(each.headers["retry-after"]) > 0
        else:
            assert statuses(each) == ["201"] * 5
    assert {each.status_code for each in seen} == {200, 429}


def test_a_crash_costs_one_entry_its_answer_and_no_other(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("fhirmedia.interactions.batch.patch_matching", crash)
    patch = {"resourceType": "Parameters"}
    answer = post(served, batch(entry("POST", "Media", new("Media")), entry("PATCH", "Media?_id=x", patch)))
    assert statuses(answer) == ["201", "500"]
    assert answers(answer)[1]["outcome"]["issue"][0]["code"] == "exception"
    assert "secret" not in answer.text
    rows = by_request(served.folder)[answer.headers["x-request-id"]]
    assert sorted((row.interaction, row.outcome) for row in rows) == [("batch", "0"), ("batch", "12"), ("create", "0")]


def test_a_leap_second_is_no_time_the_client_is_known_to_have(served: Served) -> None:
    answer = post(served, batch(entry("GET", "Patient/anna", ifModifiedSince="2016-12-31T23:59:60Z")))
    assert statuses(answer) == ["200"]
