"""Links inside a transaction (FHIR R4, http 3.1.0.11.2, and Bundle): to entries, and to what a search finds."""

import base64
from itertools import count

import pytest

from fhirmedia.core.records import Key
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.links import relinked
from tests.access.records import identifier
from tests.audit.rows import by_request
from tests.fhir.bundling import Body, about, entry, keys, new, patient, post, read, transaction
from tests.fhir.rest import created, nothing_stored, refusal
from tests.quick import quickly
from tests.servers import Served

_NUMBERS = count(1)


@pytest.fixture
def number() -> str:
    """An identifier nobody has yet."""
    return f"l-{next(_NUMBERS)}"


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

    def test_a_lost_entry_is_told_of_a_patch_at_its_own_place(self, served: Served) -> None:
        there = created(served, new("Media"))
        parts: list[Body] = [
            {"name": "type", "valueCode": "add"},
            {"name": "path", "valueString": "Media"},
            {"name": "name", "valueString": "partOf"},
            {"name": "value", "valueReference": {"reference": "urn:uuid:nobody"}},
        ]
        patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        bundle = transaction(
            entry("PATCH", f"Media/{there['id']}", patch), entry("POST", "Media", new("Media"), "urn:uuid:m")
        )
        with nothing_stored(served):
            answer = post(served, bundle)
            issue = refusal(answer, 400)
        assert len(answer.json()["issue"]) == 1
        assert issue["expression"] == ["Bundle.entry[0].resource.parameter[0].part[3].valueReference"]

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


@pytest.mark.parametrize("text", ["<a ", "<img ", '<a "', "<a '\"", "<a href=", '<a x="', "<a href " + " " * 50])
def test_text_that_is_no_narrative_is_passed_in_no_time(text: str) -> None:
    """Links are put right before a resource is checked."""
    broken = text * (100_000 // len(text)) + "src href"
    resource: JsonObject = {"resourceType": "Basic", "text": {"status": "generated", "div": broken}}
    assert quickly(lambda: relinked(resource, lambda text, is_reference: None), cpu_s=0.2) == resource
