"""transaction, row by row (FHIR R4, http 3.1.0.11): conditions, patches, reads, answers."""

import base64
import json
from itertools import count
from typing import Any

import pytest

from fhirmedia.core.records import Key, parse_key
from tests.access.records import a, identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import Body, about, answers, entry, keys, new, patient, post, read, statuses, transaction
from tests.fhir.rest import created, nothing_stored, refusal
from tests.servers import Served

_NUMBERS = count(1)


@pytest.fixture
def number() -> str:
    """An identifier nobody has yet."""
    return f"t-{next(_NUMBERS)}"


class TestConditions:
    def test_a_conditional_create_leads_to_what_is_there(self, served: Served, number: str) -> None:
        bundle = transaction(
            entry("POST", "Patient", patient(number), "urn:uuid:p", ifNoneExist=f"identifier={number}"),
            entry("POST", "Media", new("Media", **about("urn:uuid:p"))),
        )
        first, second = post(served, bundle), post(served, bundle)
        assert statuses(first) == ["201", "201"]
        assert statuses(second) == ["200", "201"]
        assert keys(served, first)[0] == keys(served, second)[0]
        assert answers(second)[0]["etag"] == 'W/"1"'
        assert read(served, keys(served, second)[1])["subject"] == {"reference": keys(served, first)[0]}

    def test_conditional_updates_and_deletes(self, served: Served, number: str) -> None:
        there, gone = (created(served, new("Media", identifier=identifier(f"{number}-{each}"))) for each in "ab")
        bundle = transaction(
            entry("PUT", f"Media?identifier={number}-a", new("Media", deviceName="x"), "urn:uuid:a"),
            entry("DELETE", f"Media?identifier={number}-b"),
            entry(
                "PUT", f"Media?identifier={number}-c", new("Media", identifier=identifier(f"{number}-c")), "urn:uuid:c"
            ),
            entry("POST", "Media", new("Media", partOf=[{"reference": "urn:uuid:a"}, {"reference": "urn:uuid:c"}])),
        )
        answer = post(served, bundle)
        assert statuses(answer) == ["200", "204", "201", "201"]
        updated, made, linked = keys(served, answer)
        assert updated == f"Media/{there['id']}"
        assert read(served, linked)["partOf"] == [{"reference": updated}, {"reference": made}]
        refusal(served.http.get(f"{served.base}/Media/{gone['id']}", headers=served.headers()), 410)

    def test_what_is_deleted_is_no_longer_found(self, served: Served, number: str) -> None:
        old = created(served, patient(number))
        bundle = transaction(
            entry("POST", "Patient", patient(number), ifNoneExist=f"identifier={number}"),
            entry("DELETE", f"Patient/{old['id']}"),
        )
        assert statuses(post(served, bundle)) == ["201", "204"]

    @pytest.mark.parametrize("reverse", [False, True])
    def test_a_condition_does_not_come_to_mean_two(self, served: Served, number: str, reverse: bool) -> None:
        """Whichever stands first: nothing depends on the order of the entries."""
        condition = f"identifier={number}"
        for other in (
            entry("POST", "Patient", patient(number)),
            entry("POST", "Patient", patient(number), ifNoneExist=f"identifier=urn:numbers|{number}"),
            entry("POST", "Patient", patient(number), ifNoneExist=condition),
            entry("PUT", f"Patient?identifier=urn:numbers|{number}", patient(number)),
        ):
            both = [entry("POST", "Patient", patient(number), ifNoneExist=condition), other]
            with nothing_stored(served):
                refusal(post(served, transaction(*(reversed(both) if reverse else both))), 412)

    def test_the_same_condition_twice_is_fine_where_something_is_there(self, served: Served, number: str) -> None:
        there = created(served, patient(number))
        made = entry("POST", "Patient", patient(number), ifNoneExist=f"identifier={number}")
        answer = post(served, transaction(made, made))
        assert statuses(answer) == ["200", "200"]
        assert keys(served, answer) == [f"Patient/{there['id']}"] * 2

    def test_versions_are_expected(self, served: Served) -> None:
        there = created(served, new("Media"))
        key = f"Media/{there['id']}"
        for method, resource in (("PUT", there), ("DELETE", None)):
            with nothing_stored(served):
                issue = refusal(post(served, transaction(entry(method, key, resource, ifMatch='W/"2"'))), 412)
                assert issue["expression"] == ["Bundle.entry[0]"]
        assert statuses(post(served, transaction(entry("PUT", key, there, ifMatch='W/"1"')))) == ["200"]
        assert statuses(post(served, transaction(entry("DELETE", key, ifMatch='W/"2"')))) == ["204"]

    def test_a_resource_is_in_it_once(self, served: Served, number: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        key = f"Media/{there['id']}"
        twice = (
            [entry("PUT", key, there), entry("PUT", key, there)],
            [entry("PUT", key, there), entry("DELETE", key)],
            [entry("DELETE", key), entry("DELETE", key)],
            [entry("PUT", f"Media?identifier={number}", new("Media")), entry("PUT", key, there)],
            [entry("DELETE", f"Media?identifier={number}"), entry("DELETE", key)],
            [entry("DELETE", f"Media?identifier={number}"), entry("DELETE", f"Media?_id={there['id']}")],
        )
        for entries in twice:
            for each in (entries, entries[::-1]):
                with nothing_stored(served):
                    assert refusal(post(served, transaction(*each)), 400)["code"] == "duplicate"


class TestPatches:
    CHANGE = base64.b64encode(json.dumps([{"op": "add", "path": "/deviceName", "value": "camera"}]).encode()).decode()

    def patch(self) -> Body:
        return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": self.CHANGE}

    def test_json_and_fhirpath_patches(self, served: Served, number: str) -> None:
        one, other = (created(served, new("Media", identifier=identifier(f"{number}-{each}"))) for each in "ab")
        parts = [
            {"name": "type", "valueCode": "add"},
            {"name": "path", "valueString": "Media"},
            {"name": "name", "valueString": "encounter"},
            {"name": "value", "valueReference": {"reference": "urn:uuid:e"}},
        ]
        operation = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        answer = post(
            served,
            transaction(
                entry("PATCH", f"Media/{one['id']}", self.patch()),
                entry("PATCH", f"Media?identifier={number}-b", operation, "urn:uuid:m"),
                entry("POST", "Encounter", new("Encounter"), "urn:uuid:e"),
                entry("POST", "Media", new("Media", partOf=[{"reference": "urn:uuid:m"}])),
            ),
        )
        assert statuses(answer) == ["200", "200", "201", "201"]
        patched, by_search, encounter, linked = keys(served, answer)
        assert read(served, patched)["deviceName"] == "camera"
        assert read(served, by_search)["encounter"] == {"reference": encounter}
        assert by_search == f"Media/{other['id']}"
        assert read(served, linked)["partOf"] == [{"reference": by_search}]

    def test_a_patch_that_changes_nothing_makes_no_version(self, served: Served) -> None:
        there = created(served, new("Media", deviceName="camera"))
        with nothing_stored(served):
            answer = post(served, transaction(entry("PATCH", f"Media/{there['id']}", self.patch())))
        assert answers(answer)[0]["etag"] == 'W/"1"'

    def test_refusals_undo_everything(self, served: Served) -> None:
        there = created(served, new("Media"))
        fine, key = entry("POST", "Media", new("Media")), f"Media/{there['id']}"
        text = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
        for bad, status in (
            (entry("PATCH", key, self.patch(), ifMatch='W/"2"'), 412),
            (entry("PATCH", "Media/never", self.patch()), 404),
            (entry("PATCH", "Media?identifier=never", self.patch()), 404),
            (entry("PATCH", key, text), 400),
            (entry("PATCH", key, new("Media")), 400),
        ):
            with nothing_stored(served):
                refusal(post(served, transaction(fine, bad)), status)


class TestReads:
    def test_reads_and_searches_show_what_was_written(self, served: Served, number: str) -> None:
        there = created(served, new("Media", identifier=identifier(number)))
        key = f"Media/{there['id']}"
        answer = post(
            served,
            transaction(
                entry("GET", f"Media?identifier={number}&_sort=-_lastUpdated"),
                entry("GET", key),
                entry("PUT", key, there | {"deviceName": "camera"}),
                entry("POST", "Media", new("Media", identifier=identifier(number))),
                entry("HEAD", key),
                entry("GET", f"Patient/anna/Media?identifier={number}&_summary=count"),
                entry("GET", f"?_type=Media,Encounter&identifier={number}"),
                entry("GET", key, ifNoneMatch='W/"2"'),
                entry("GET", key, ifNoneMatch='W/"1"'),
                entry("GET", key, ifModifiedSince="2038-01-01T00:00:00Z"),
            ),
        )
        assert statuses(answer) == ["200", "200", "200", "201", "200", "200", "200", "304", "200", "304"]
        shown = [each.get("resource") for each in answer.json()["entry"]]
        assert len(shown[0]["entry"]) == len(shown[6]["entry"]) == shown[5]["total"] == 2
        assert (shown[1]["deviceName"], shown[1]["meta"]["versionId"]) == ("camera", "2")
        assert shown[4] is None
        assert shown[7] is None
        rows = by_request(served.folder)[answer.headers["x-request-id"]]
        assert len(rows) == 1
        told = {(str(touch.key), touch.depth) for touch in rows[0].touched}
        assert {(key, "written"), (key, "opened"), (key, "listed")} <= told

    def test_what_is_searched_is_told_as_the_query_of_its_row(self, served: Served, number: str) -> None:
        asked = [f"Media?identifier={number}", f"Patient/anna/*?_type=Media&identifier=%C3%A5{number}"]
        reads = [entry("GET", asked[0]), entry("POST", "Media", new("Media")), entry("GET", "Patient/anna")]
        answer = post(served, transaction(*reads, entry("HEAD", asked[1])))
        assert statuses(answer) == ["200", "201", "200", "200"]
        (event,) = self._events(served, answer)
        told = [each["query"] for each in event["entity"] if "query" in each]
        assert [base64.b64decode(each).decode() for each in told] == ["\n".join(asked)]
        failing = post(served, transaction(entry("GET", asked[0]), entry("GET", "Media/never")))
        refusal(failing, 404)
        assert [each["outcome"] for each in self._events(served, failing)] == ["4"]
        assert base64.b64encode(asked[0].encode()).decode() in str(self._events(served, failing))
        silent = post(served, transaction(entry("POST", "Media", new("Media")), entry("GET", "Patient/anna")))
        assert "query" not in str(self._events(served, silent))

    def test_conditions_of_writes_are_searches_too(self, served: Served, number: str) -> None:
        condition = f"identifier={number}"
        first = post(served, transaction(entry("POST", "Patient", patient(number), ifNoneExist=condition)))
        second = post(served, transaction(entry("PUT", f"Patient?{condition}", patient(number))))
        headers = served.headers() | {"If-None-Exist": condition}
        alone = served.http.post(f"{served.base}/Patient", json=patient(number), headers=headers)
        assert (statuses(first), statuses(second), alone.status_code) == (["201"], ["200"], 200)
        for answer, subtype, query in (
            (first, "transaction", f"Patient?{condition}"),
            (second, "transaction", f"Patient?{condition}"),
            (alone, "create", condition),
        ):
            (event,) = self._events(served, answer, subtype=subtype)
            told = [each["query"] for each in event["entity"] if "query" in each]
            assert [base64.b64decode(each).decode() for each in told] == [query]

    def _events(self, served: Served, answer: Any, *, subtype: str = "transaction") -> list[Body]:
        """The AuditEvents of a request."""
        sought = f"{served.base}/AuditEvent?subtype={subtype}&_sort=-date&_count=3"
        found = served.http.get(sought, headers=served.headers("user/AuditEvent.rs", roles=["auditor"])).json()
        events = [each["resource"] for each in found["entry"]]
        return [each for each in events if answer.headers["x-request-id"] in str(each)]

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            ("Media/never", 404),
            ("Media?colour=red", 400),
            ("Nothing", 404),
            ("Patient/anna/_history", 400),
            ("Patient/anna/_history/1", 400),
            ("AuditEvent", 400),
            ("Media?_include=Media:subject", 400),
            ("Media/x/$validate", 400),
            ("Binary/x", 400),
            ("Patient/anna?x=1", 400),
            ("metadata", 404),
        ],
    )
    def test_one_that_fails_undoes_everything(self, served: Served, asked: str, status: int) -> None:
        bundle = transaction(entry("POST", "Media", new("Media")), entry("GET", asked))
        with nothing_stored(served):
            answer = post(served, bundle, served.headers(roles=["auditor"]))
            assert refusal(answer, status)["expression"] == ["Bundle.entry[1]"]

    def test_without_writes_it_only_reads(self, served: Served) -> None:
        with nothing_stored(served):
            assert (
                statuses(post(served, transaction(entry("GET", "Patient/anna"), entry("GET", "Media")))) == ["200"] * 2
            )


class TestAnswers:
    def test_an_answer_says_what_became_of_each(self, served: Served) -> None:
        there = created(served, new("Media"))
        answer = post(
            served, transaction(entry("DELETE", f"Media/{there['id']}"), entry("POST", "Media", new("Media")))
        )
        assert answer.json()["type"] == "transaction-response"
        deleted, made = answers(answer)
        key = keys(served, answer)[0]
        assert deleted == {"status": "204 No Content", "etag": 'W/"2"', "lastModified": made["lastModified"]}
        assert (made["status"], made["etag"]) == ("201 Created", 'W/"1"')
        assert made["location"] == f"{served.base}/{key}/_history/1"
        assert made["lastModified"] == read(served, key)["meta"]["lastUpdated"]
        assert all("resource" not in each for each in answer.json()["entry"])

    def test_resources_and_outcomes_are_shown_on_request(self, served: Served) -> None:
        bundle = transaction(entry("POST", "Media", new("Media")), entry("DELETE", f"Media/{_made(served)}"))
        shown = post(served, bundle, Prefer="return=representation").json()["entry"]
        assert shown[0]["fullUrl"] == f"{served.base}/Media/{shown[0]['resource']['id']}"
        assert shown[0]["resource"] == read(served, f"Media/{shown[0]['resource']['id']}")
        assert "resource" not in shown[1]
        bundle["entry"].pop()
        told = answers(post(served, bundle, Prefer="return=OperationOutcome"))
        assert told[0]["outcome"]["issue"][0]["diagnostics"] == "The resource was created."
        assert "outcome" not in answers(post(served, bundle, Prefer="return=minimal"))[0]

    def test_the_base_is_taken_with_and_without_a_slash(self, served: Served) -> None:
        for base in (served.base, f"{served.base}/"):
            answer = served.http.post(base, json=transaction(), headers=served.headers())
            assert answer.json()["type"] == "transaction-response"
            assert "entry" not in answer.json()

    def test_each_version_is_in_the_history_and_in_one_audit_row(self, served: Served) -> None:
        answer = post(served, transaction(*(entry("POST", "Media", new("Media")) for _ in range(5))))
        (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
        assert (row.interaction, row.outcome, row.patients) == ("transaction", "0", ("anna",))
        written = [touch.key for touch in row.touched if touch.depth == "written"]
        assert written == [parse_key(key) for key in keys(served, answer)]
        for key in keys(served, answer):
            history = served.http.get(f"{served.base}/{key}/_history", headers=served.headers()).json()
            assert history["entry"][0]["request"] == {"method": "POST", "url": "Media"}

    def test_a_refusal_has_its_row_with_what_was_attempted(self, served: Served) -> None:
        there = created(served, new("Media"))
        key = f"Media/{there['id']}"
        answer = post(served, transaction(entry("PUT", key, there), entry("PUT", "Media/never", a("Media", "never"))))
        refusal(answer, 422)
        (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
        assert (row.outcome, {touch.depth for touch in row.touched}) == ("4", {"refused"})
        assert {parse_key(key), Key("Media", "never")} <= {touch.key for touch in row.touched}


def _made(served: Served) -> Any:
    return created(served, new("Media"))["id"]
