"""transaction, row by row (FHIR R4, http 3.1.0.11 and Bundle): links, order, conditions, answers, all or nothing."""

import base64
import json
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from typing import Any

import httpx
import pytest

from fhirmedia.core.records import Key, parse_key
from tests.access.records import a, identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import Body, answers, entry, keys, new, post, read, statuses, transaction
from tests.fhir.rest import bytes_stored, created, nothing_stored, refusal
from tests.servers import Served

_NUMBERS = count(1)


@pytest.fixture
def number() -> str:
    """An identifier nobody has yet."""
    return f"t-{next(_NUMBERS)}"


def about(full_url: str) -> Body:
    return {"subject": {"reference": full_url}}


def patient(number: str) -> Body:
    return {"resourceType": "Patient", "identifier": identifier(number)}


def div(content: str) -> Body:
    return {"text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'}}


class TestLinks:
    def test_references_to_entries_become_references_to_resources(self, served: Served, number: str) -> None:
        """In whatever order and however deep; and round in circles."""
        media = new("Media", **about("urn:uuid:p"), encounter={"reference": "urn:uuid:e"})
        media["contained"] = [
            {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, **about("urn:uuid:p")}
        ]
        media["partOf"] = [{"reference": "#o"}]
        media["extension"].append({"url": "http://x.example", "valueReference": {"reference": "urn:uuid:m"}})
        answer = post(
            served,
            transaction(
                entry("POST", "Media", media, "urn:uuid:m"),
                entry("POST", "Encounter", new("Encounter", **about("urn:uuid:p")), "urn:uuid:e"),
                entry("POST", "Patient", patient(number), "urn:uuid:p"),
            ),
        )
        media_key, encounter_key, patient_key = keys(served, answer)
        stored = read(served, media_key)
        assert stored["subject"] == stored["contained"][0]["subject"] == {"reference": patient_key}
        assert stored["encounter"] == {"reference": encounter_key}
        assert stored["partOf"] == [{"reference": "#o"}]
        assert stored["extension"][1]["valueReference"] == {"reference": media_key}
        assert read(served, encounter_key)["subject"] == {"reference": patient_key}

    def test_addresses_and_narratives_are_renamed_and_nothing_else(self, served: Served) -> None:
        url = "urn:uuid:6f1e1d5c-0000-4000-8000-000000000001"
        answer = post(
            served,
            transaction(
                entry(
                    "POST",
                    "Media",
                    new(
                        "Media",
                        identifier=[{"system": "urn:ietf:rfc:3986", "value": url}],
                        meta={"profile": [url]},
                        extension=[
                            {"url": "http://x.example/uri", "valueUri": url},
                            {"url": "http://x.example/url", "valueUrl": url},
                            {"url": "http://x.example/canonical", "valueCanonical": url},
                            {"url": "http://x.example/string", "valueString": url},
                        ],
                        **div(f'<a title="a &gt; b" href="{url}">{url}</a> <a href=\'{url}\'>y</a> <img src="{url}"/>'),
                    ),
                ),
                entry("POST", "Patient", {"resourceType": "Patient"}, url),
            ),
            served.importer(),
        )
        media_key, key = keys(served, answer)
        stored = read(served, media_key)
        assert [list(each.values())[1] for each in stored["extension"]] == [key, key, url, url]
        assert stored["identifier"][0]["value"] == url
        assert stored["meta"]["profile"] == [url]
        inner = f'<a title="a &gt; b" href="{key}">{url}</a> <a href="{key}">y</a> <img src="{key}"/>'
        assert stored["text"] == div(inner)["text"]

    def test_full_urls_of_other_servers_are_read_with_their_base(self, served: Served) -> None:
        root = "https://other.example.org/fhir"
        answer = post(
            served,
            transaction(
                entry("POST", "Media", new("Media", **about(f"{root}/Patient/7")), f"{root}/Media/1"),
                entry("POST", "Media", new("Media", **about("Patient/7")), f"{root}/Media/2"),
                entry("POST", "Media", new("Media", **about("Patient/anna")), "https://third.example.org/Media/2"),
                entry("POST", "Patient", {"resourceType": "Patient", "id": "7"}, f"{root}/Patient/7"),
            ),
        )
        absolute, relative, ours, key = keys(served, answer)
        assert read(served, absolute)["subject"] == read(served, relative)["subject"] == {"reference": key}
        assert read(served, ours)["subject"] == {"reference": "Patient/anna"}

    def test_updates_are_linked_by_their_full_url_too(self, served: Served, number: str) -> None:
        answer = post(
            served,
            transaction(
                entry("PUT", f"Patient/{number}", patient(number) | {"id": number}, "urn:uuid:p"),
                entry("POST", "Media", new("Media", **about("urn:uuid:p"))),
            ),
            served.importer(),
        )
        assert read(served, keys(served, answer)[1])["subject"] == {"reference": f"Patient/{number}"}

    def test_a_reference_to_a_version_names_the_one_that_comes_to_be(self, served: Served) -> None:
        there = created(served, new("Media"))
        key = f"Media/{there['id']}"
        answer = post(
            served,
            transaction(
                entry("POST", "Media", new("Media", partOf=[{"reference": "urn:uuid:n/_history/9"}])),
                entry("POST", "Media", new("Media", partOf=[{"reference": f"{key}/_history/1"}]), "urn:uuid:n"),
                entry("PUT", key, there | {"deviceName": "camera"}, f"{served.base}/{key}"),
                entry("POST", "Media", new("Media", partOf=[{"reference": f"{served.base}/{key}/_history/7"}])),
            ),
        )
        first, second, _, third = keys(served, answer)
        assert read(served, first)["partOf"] == [{"reference": f"{second}/_history/1"}]
        assert read(served, second)["partOf"] == [{"reference": f"{key}/_history/2"}]
        assert read(served, third)["partOf"] == [{"reference": f"{key}/_history/2"}]

    def test_what_is_not_in_the_bundle_stays(self, served: Served) -> None:
        texts = ["Media/elsewhere", "https://other.example.org/fhir/Media/1", "#", "Media/old/_history/3"]
        media = new("Media", partOf=[{"reference": text} for text in texts])
        (key,) = keys(served, post(served, transaction(entry("POST", "Media", media))))
        assert [each["reference"] for each in read(served, key)["partOf"]] == texts

    def test_a_lost_entry_is_told(self, served: Served) -> None:
        media = new("Media", partOf=[{"reference": "urn:uuid:nobody"}])
        with nothing_stored(served):
            issue = refusal(post(served, transaction(entry("POST", "Media", media))), 400)
        assert issue["expression"] == ["Bundle.entry[0].resource.partOf[0]"]

    def test_a_link_is_checked_for_what_it_leads_to(self, served: Served) -> None:
        bundle = transaction(
            entry("POST", "Media", new("Media", encounter={"reference": "urn:uuid:p"})),
            entry("POST", "Patient", {"resourceType": "Patient"}, "urn:uuid:p"),
        )
        with nothing_stored(served):
            assert refusal(post(served, bundle), 400)["expression"] == ["Bundle.entry[0].resource.encounter.reference"]

    def test_bytes_of_an_entry_are_claimed_by_another(self, served: Served) -> None:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"hello").decode()}
        answer = post(
            served,
            transaction(
                entry("POST", "Media", new("Media", content={"url": "urn:uuid:b"})),
                entry("POST", "Binary", binary, "urn:uuid:b"),
                entry("POST", "Media", new("Media", content={"contentType": "text/plain", "data": "aGk="})),
            ),
        )
        media, bytes_key, inline = keys(served, answer)
        content = read(served, media)["content"]
        assert (content["url"], content["size"], content["contentType"]) == (bytes_key, 5, "text/plain")
        assert served.http.get(f"{served.base}/{bytes_key}", headers=served.headers()).content == b"hello"
        assert read(served, inline)["content"]["url"].startswith("Binary/")
        changed = served.headers() | {"Content-Type": "text/plain"}
        refusal(served.http.put(f"{served.base}/{bytes_key}", content=b"other", headers=changed), 409)

    def test_bytes_are_not_shared_between_patients(self, served: Served) -> None:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
        bundle = transaction(
            entry("POST", "Binary", binary, "urn:uuid:b"),
            entry("POST", "Media", new("Media", content={"url": "urn:uuid:b"})),
            entry("POST", "Media", new("Media", of="bo", content={"url": "urn:uuid:b"})),
        )
        with nothing_stored(served):
            assert refusal(post(served, bundle), 422)["expression"] == ["Bundle.entry[2].resource.content.url"]


class TestSearches:
    def test_a_reference_by_search_becomes_one_by_id(self, served: Served, number: str) -> None:
        there = created(served, patient(number))
        media = new("Media", **about(f"Patient?identifier=urn:numbers|{number}"))
        answer = post(served, transaction(entry("POST", "Media", media), entry("POST", "Media", media)))
        for key in keys(served, answer):
            assert read(served, key)["subject"] == {"reference": f"Patient/{there['id']}"}
        (row,) = by_request(served.folder)[answer.headers["x-request-id"]]
        assert (Key("Patient", there["id"]), "listed") in [(touch.key, touch.depth) for touch in row.touched]

    def test_it_finds_what_the_transaction_makes(self, served: Served, number: str) -> None:
        """Even where what is found refers by search, too: all of it is looked for among what is coming."""
        visit = new("Encounter", identifier=identifier(number), **about(f"Patient?identifier={number}"))
        media = new("Media", encounter={"reference": f"Encounter?identifier={number}"})
        media |= about(f"Patient?identifier=urn:numbers|{number}")
        answer = post(
            served,
            transaction(
                entry("POST", "Media", media),
                entry("POST", "Encounter", visit),
                entry("POST", "Patient", patient(number)),
            ),
        )
        media_key, visit_key, patient_key = keys(served, answer)
        assert read(served, media_key)["subject"] == read(served, visit_key)["subject"] == {"reference": patient_key}
        assert read(served, media_key)["encounter"] == {"reference": visit_key}

    def test_it_speaks_of_what_will_be(self, served: Served, number: str) -> None:
        """What the transaction changes is found by what it becomes, and what it deletes is not found."""
        old, gone = (created(served, patient(number)) for _ in range(2))
        bundle = transaction(
            entry("POST", "Media", new("Media", **about(f"Patient?identifier={number}"))),
            entry("PUT", f"Patient/{old['id']}", old | {"identifier": identifier(f"{number}-other")}),
            entry("POST", "Patient", patient(number), "urn:uuid:p"),
            entry("DELETE", f"Patient/{gone['id']}"),
        )
        media, _, made = keys(served, post(served, bundle))
        assert read(served, media)["subject"] == {"reference": made}

    @pytest.mark.parametrize("how_many", [0, 2])
    def test_it_has_to_find_one(self, served: Served, number: str, how_many: int) -> None:
        for _ in range(how_many):
            created(served, patient(number))
        media = new("Media", **about(f"Patient?identifier={number}"))
        with nothing_stored(served):
            issue = refusal(post(served, transaction(entry("POST", "Media", media))), 412 if how_many else 422)
        assert issue["code"] == ("multiple-matches" if how_many else "not-found")
        assert issue["expression"] == ["Bundle.entry[0].resource"]

    def test_two_made_at_once_are_several(self, served: Served, number: str) -> None:
        made = entry("POST", "Patient", patient(number))
        media = entry("POST", "Media", new("Media", **about(f"Patient?identifier={number}")))
        with nothing_stored(served):
            refusal(post(served, transaction(media, made, made)), 412)

    @pytest.mark.parametrize(
        "text", ["Patient?colour=red", "Patient?_count=1", "Binary?_id=1", "Patient?", "Nothing?_id=1"]
    )
    def test_it_is_a_search_that_narrows(self, served: Served, text: str) -> None:
        media = new("Media", partOf=[{"reference": text}])
        with nothing_stored(served):
            assert post(served, transaction(entry("POST", "Media", media))).status_code in (400, 404)

    def test_circles_of_searches_are_judged_when_all_is_written(self, served: Served, number: str) -> None:
        """What a search through a reference that is itself a search means cannot be known before."""
        circle = new("Media", identifier=identifier(number))
        circle["partOf"] = [{"reference": f"Media?part-of:Media.identifier={number}"}]
        with nothing_stored(served):
            answer = post(served, transaction(entry("POST", "Media", circle)))
        assert answer.status_code in (400, 422), answer.text

    def test_by_themselves_they_are_refused(self, served: Served) -> None:
        media = new("Media", **about("Patient?_id=anna"))
        refusal(served.http.post(f"{served.base}/Media", json=media, headers=served.headers()), 400)


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


class TestAllOrNothing:
    def test_one_bad_entry_undoes_all_and_is_named(self, served: Served) -> None:
        there = created(served, new("Media"))
        created(served, new("Media", of="bo"))
        fine = [entry("POST", "Media", new("Media")), entry("PUT", f"Media/{there['id']}", there)]
        for bad, status, place in (
            (entry("POST", "Media", new("Media", of="nobody")), 422, ".resource.subject"),
            (entry("PUT", "Media/never", a("Media", "never")), 422, ""),
            (entry("DELETE", "Media/never"), 404, ""),
            (entry("DELETE", "Media?identifier=never"), 404, ".request.url"),
            (entry("DELETE", "Patient/bo"), 409, ""),
            (entry("POST", "Nothing", {"resourceType": "Nothing"}), 404, ""),
            (entry("POST", "AuditEvent", {"resourceType": "AuditEvent"}), 422, ""),
            (entry("PUT", f"Media/{there['id']}x", there), 400, ".resource.id"),
            (entry("POST", "Media", {"resourceType": "Patient"}), 400, ".resource.resourceType"),
            (entry("POST", "Media", new("Media", content={"url": "Binary/never"})), 422, ".resource.content.url"),
            (entry("POST", "Media", new("Media", content={"data": "aGk=", "contentType": "image/png"})), 400, None),
        ):
            for number, entries in enumerate(([bad, *fine], [*fine, bad])):
                with nothing_stored(served):
                    answer = post(served, transaction(*entries))
                    issue = refusal(answer, status)
                if place is not None:
                    assert issue["expression"] == [f"Bundle.entry[{2 * number}]{place}"], answer.text

    def test_everything_wrong_is_told_at_once(self, served: Served) -> None:
        bundle = transaction(
            entry("POST", "Media", new("Media", status="odd", colour="red")),
            entry("GET", "Media", new("Media")),
            entry("POST", "Encounter", new("Encounter")),
            entry("POST", "Encounter", {"resourceType": "Encounter"}),
            entry("PUT", "Encounter", new("Encounter")),
        )
        with nothing_stored(served):
            answer = post(served, bundle)
        told = [issue["expression"][0] for issue in answer.json()["issue"]]
        assert answer.status_code == 400
        assert {text.split(".")[1] for text in told} == {"entry[0]", "entry[1]", "entry[3]", "entry[4]"}
        assert {"Bundle.entry[0].resource.status", "Bundle.entry[0].resource.colour"} <= set(told)

    def test_refused_bundles_leave_no_bytes(self, served: Served) -> None:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"odd one").decode()}
        before = bytes_stored(served)
        refusal(post(served, transaction(entry("POST", "Binary", binary), entry("POST", "Media", {"x": 1}))), 400)
        assert bytes_stored(served) == before

    def test_a_patient_goes_together_with_what_is_about_it(self, served: Served, number: str) -> None:
        there = created(served, patient(number))
        media = created(served, new("Media", **about(f"Patient/{there['id']}")))
        alone = entry("DELETE", f"Patient/{there['id']}")
        refusal(post(served, transaction(alone)), 409)
        fresh = entry("POST", "Media", new("Media", **about(f"Patient/{there['id']}")))
        with nothing_stored(served):
            assert post(served, transaction(alone, entry("DELETE", f"Media/{media['id']}"), fresh)).status_code in (
                409,
                422,
            )
        assert statuses(post(served, transaction(alone, entry("DELETE", f"Media/{media['id']}")))) == ["204", "204"]

    def test_a_unit_of_the_same_transaction_owns_what_is_written_with_it(self, served: Served, number: str) -> None:
        """Facts are read from what is coming, whatever stands first."""
        north = {"resourceType": "Organization", "name": "n", "partOf": {"reference": "Organization/derm"}}
        visit = new("Encounter", unit=None, **about("urn:uuid:p")) | {"serviceProvider": {"reference": "urn:uuid:o"}}
        media = new("Media", unit=None, **about("urn:uuid:p")) | {"encounter": {"reference": "urn:uuid:e"}}
        answer = post(
            served,
            transaction(
                entry("POST", "Media", media),
                entry("POST", "Encounter", visit, "urn:uuid:e"),
                entry("POST", "Organization", north, "urn:uuid:o"),
                entry("POST", "Patient", patient(number), "urn:uuid:p"),
            ),
        )
        media_key, _, unit, _ = keys(served, answer)
        members = served.headers(units=[unit.partition("/")[2]])
        stored = read(served, media_key, members)
        assert [tag["code"] for tag in stored["meta"]["tag"]] == ["derm"]
        refusal(served.http.get(f"{served.base}/{media_key}", headers=served.headers(units=["eyes"])), 404)


BAD_ENVELOPES: list[tuple[str, Any, int]] = [
    ("another type", {"resourceType": "Bundle", "type": "message"}, 400),
    ("no type", {"resourceType": "Bundle"}, 400),
    ("no bundle", {"resourceType": "Media"}, 400),
    ("entries that are none", {"resourceType": "Bundle", "type": "transaction", "entry": {"a": 1}}, 400),
    ("an entry that is none", {"resourceType": "Bundle", "type": "transaction", "entry": [1]}, 400),
    ("unknown elements", {"resourceType": "Bundle", "type": "transaction", "colour": "red"}, 400),
    ("an entry without a request", transaction({"resource": {"resourceType": "Patient"}}), 400),
    ("an unknown method", transaction(entry("FETCH", "Patient/anna")), 400),
    ("no url", transaction({"request": {"method": "GET"}}), 400),
    ("a url elsewhere", transaction(entry("GET", "https://other.example.org/fhir/Patient/1")), 400),
    ("a post without a resource", transaction(entry("POST", "Media")), 400),
    ("a post to an id", transaction(entry("POST", "Media/x", new("Media"))), 400),
    ("a post with a query", transaction(entry("POST", "Media?x=1", new("Media"))), 400),
    ("an operation", transaction(entry("POST", "Media/$validate", new("Media"))), 400),
    ("a search by post", transaction(entry("POST", "Media/_search", new("Media"))), 400),
    ("a bundle in a bundle", transaction(entry("POST", "", transaction())), 400),
    ("a put to nowhere", transaction(entry("PUT", "", new("Media"))), 400),
    ("a put to a bad id", transaction(entry("PUT", "Media/a b", a("Media", "a b"))), 400),
    ("a put with both", transaction(entry("PUT", "Media/x?y=1", a("Media", "x"))), 400),
    ("a bad version", transaction(entry("DELETE", "Media/x", ifMatch="latest")), 400),
    ("a condition out of place", transaction(entry("PUT", "Media/x", a("Media", "x"), ifNoneExist="_id=x")), 400),
    ("a bad instant", transaction(entry("GET", "Patient/anna", ifModifiedSince="yesterday")), 400),
    ("a relative fullUrl", transaction(entry("POST", "Media", new("Media"), "Media/1")), 400),
    ("a fullUrl twice", transaction(*[entry("POST", "Media", new("Media"), "urn:uuid:m")] * 2), 400),
    ("too many entries", transaction(*[entry("GET", "Patient/anna")] * 10_001), 413),
]


@pytest.mark.parametrize(
    ("bundle", "status"), [row[1:] for row in BAD_ENVELOPES], ids=[row[0] for row in BAD_ENVELOPES]
)
def test_bad_envelopes_are_refused(served: Served, bundle: Body, status: int) -> None:
    with nothing_stored(served):
        refusal(post(served, bundle), status)


def test_bodies_over_the_limit_are_not_read(served: Served) -> None:
    address = httpx.URL(served.base)
    wire = HTTPConnection(address.host, address.port)
    wire.putrequest("POST", "/fhir")
    for name, value in (served.headers() | {"Content-Length": str(65 * 2**20)}).items():
        wire.putheader(name, value)
    wire.endheaders()
    with closing(wire), wire.getresponse() as answer:
        assert answer.status == 413
        assert b"over the limit" in answer.read()


def test_whoever_may_do_nothing_is_not_listened_to(served: Served) -> None:
    refusal(post(served, transaction(), served.headers("user/AuditEvent.rs")), 403)
