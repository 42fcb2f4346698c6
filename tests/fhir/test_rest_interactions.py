"""create, read, vread, update, delete over HTTP, as R4's http page describes them."""

import re

from tests.access.records import a, put
from tests.fhir.rest import created, refusal
from tests.servers import Served

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


def test_create_gives_an_id_of_the_server_and_says_where(served: Served) -> None:
    sent = a("Media", "chosen-by-client")
    response = served.http.post(f"{served.base}/Media", json=sent, headers=served.headers())
    assert response.status_code == 201
    made = response.json()
    assert UUID7.match(made["id"])
    assert made["meta"]["versionId"] == "1"
    assert response.headers["location"] == f"{served.base}/Media/{made['id']}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    assert served.http.get(response.headers["location"], headers=served.headers()).json() == made
    refusal(served.http.get(f"{served.base}/Media/chosen-by-client", headers=served.headers()), 404)


def test_read_is_the_newest_version_and_vread_any(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"
    changed = served.http.put(url, json=made | {"deviceName": "camera"}, headers=staff)
    assert changed.status_code == 200
    assert changed.headers["etag"] == 'W/"2"'
    assert "location" not in changed.headers
    newest = served.http.get(url, headers=staff)
    assert newest.json()["deviceName"] == "camera"
    assert newest.headers["etag"] == 'W/"2"'
    first = served.http.get(f"{url}/_history/1", headers=staff)
    assert first.json() == made
    assert first.headers["etag"] == 'W/"1"'
    assert served.http.get(f"{url}/_history/2", headers=staff).json() == newest.json()
    for absent in ("3", "0", "x", "1.0", "-1", "9" * 30):
        refusal(served.http.get(f"{url}/_history/{absent}", headers=staff), 404)


def test_time_moves_forward_with_each_version(served: Served) -> None:
    made = created(served, a("Media", "-"))
    again = served.http.put(f"{served.base}/Media/{made['id']}", json=made, headers=served.headers()).json()
    assert again["meta"]["lastUpdated"] >= made["meta"]["lastUpdated"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["meta"]["lastUpdated"])


def test_if_match_decides_whether_an_update_happens(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"

    def update(match: str, name: str) -> int:
        changed = made | {"deviceName": name}
        return served.http.put(url, json=changed, headers=staff | {"If-Match": match}).status_code

    assert update('W/"1"', "first") == 200
    assert update('W/"1"', "stale") == 412
    assert update('"2"', "strong spelling") == 200
    assert update("3", "bare, as some clients write it") == 200
    assert update("*", "any version") == 200
    for malformed in ("", "x", 'W/"', 'W/"x"', 'W/"1", W/"2"', '"' + "1" * 40 + '"'):
        assert update(malformed, "malformed") == 400, malformed
    now = served.http.get(url, headers=staff).json()
    assert now["meta"]["versionId"] == "5"
    assert now["deviceName"] == "any version"
    stale = served.http.put(url, json=made, headers=staff | {"If-Match": 'W/"4"'})
    assert refusal(stale, 412)["code"] == "conflict"


def test_if_match_on_something_absent_is_refused(served: Served) -> None:
    headers = served.importer() | {"If-Match": 'W/"1"'}
    refusal(served.put(a("Media", "absent-if-match"), headers), 412)
    refusal(served.http.get(f"{served.base}/Media/absent-if-match", headers=served.headers()), 404)


def test_the_resource_names_the_id_of_the_url(served: Served) -> None:
    url = f"{served.base}/Media/one"
    for id in ("other", None, 1):
        sent = a("Media", "one") | {"id": id}
        if id is None:
            del sent["id"]
        refusal(served.http.put(url, json=sent, headers=served.importer()), 400)
    refusal(served.http.put(url, json=a("Patient", "one"), headers=served.importer()), 400)
    long = "i" * 65
    refusal(served.http.put(f"{served.base}/Media/{long}", json=a("Media", long), headers=served.importer()), 404)


def test_only_who_may_choose_ids_creates_by_put(served: Served) -> None:
    sent = a("Media", "by-put")
    assert refusal(served.put(sent, served.headers()), 405)["code"] == "not-supported"
    first = served.put(sent)
    assert first.status_code == 201
    assert first.headers["location"] == f"{served.base}/Media/by-put/_history/1"
    assert served.put(sent).status_code == 200
    assert served.put(sent, served.headers()).status_code == 200


def test_delete_leaves_a_trace_and_says_gone(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"
    stale = served.http.delete(url, headers=staff | {"If-Match": 'W/"9"'})
    refusal(stale, 412)
    first = served.http.delete(url, headers=staff)
    assert (first.status_code, first.content) == (204, b"")
    assert first.headers["etag"] == 'W/"2"'
    again = served.http.delete(url, headers=staff)
    assert (again.status_code, again.headers["etag"]) == (204, 'W/"2"')
    assert refusal(served.http.get(url, headers=staff), 410)["code"] == "deleted"
    assert refusal(served.http.get(f"{url}/_history/2", headers=staff), 410)["code"] == "deleted"
    assert served.http.get(f"{url}/_history/1", headers=staff).json() == made
    searched = served.http.get(f"{served.base}/Media", params={"_id": made["id"]}, headers=staff).json()
    assert searched["total"] == 0
    refusal(served.http.delete(f"{served.base}/Media/never-was", headers=staff), 404)


def test_a_put_brings_back_what_was_deleted(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"
    served.http.delete(url, headers=staff)
    back = served.http.put(url, json=made, headers=staff)
    assert back.status_code == 201
    assert back.headers["location"] == f"{url}/_history/3"
    assert back.json()["meta"]["versionId"] == "3"
    assert served.http.get(url, headers=staff).status_code == 200
    refusal(served.http.get(f"{url}/_history/2", headers=staff), 410)


def test_a_patient_goes_last(served: Served) -> None:
    staff = served.headers()
    put(served, a("Patient", "leaving"), a("Media", "of-leaving", of="leaving"))
    assert refusal(served.http.delete(f"{served.base}/Patient/leaving", headers=staff), 409)["code"] == "conflict"
    assert served.http.delete(f"{served.base}/Media/of-leaving", headers=staff).status_code == 204
    assert served.http.delete(f"{served.base}/Patient/leaving", headers=staff).status_code == 204


def test_what_it_is_about_must_exist(served: Served) -> None:
    staff = served.headers()
    for wrong in ({"subject": {"reference": "Patient/nobody"}}, {"subject": {"reference": "Patient/derm"}}):
        issue = refusal(served.http.post(f"{served.base}/Media", json=a("Media", "-") | wrong, headers=staff), 422)
        assert issue["expression"] == ["Media.subject"]
        assert "nobody" not in issue["diagnostics"]
    unit = a("Media", "-", unit="nowhere")
    refusal(served.http.post(f"{served.base}/Media", json=unit, headers=staff), 422)


def test_a_reference_by_search_needs_a_transaction(served: Served) -> None:
    sent = a("Media", "-") | {"subject": {"reference": "Patient?identifier=urn:numbers|1"}}
    for answer in (
        served.http.post(f"{served.base}/Media", json=sent, headers=served.headers()),
        served.http.post(f"{served.base}/Media", json=sent, headers=served.importer()),
        served.put(sent | {"id": "conditional"}),
    ):
        issue = refusal(answer, 400)
        assert issue["expression"] == ["Media.subject"]
        assert issue["code"] == "not-supported"
    inside = {"url": "http://example.org/x", "valueReference": {"reference": "Practitioner?name=x"}}
    nested = a("Media", "-") | {"extension": [inside]}
    refusal(served.http.post(f"{served.base}/Media", json=nested, headers=served.headers()), 400)


def test_labels_stay_unless_named(served: Served) -> None:
    staff = served.headers()
    restricted = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    made = created(served, a("Media", "-") | {"meta": {"security": [restricted]}})
    plain = {name: value for name, value in made.items() if name != "meta"}
    kept = served.http.put(f"{served.base}/Media/{made['id']}", json=plain, headers=staff).json()
    assert kept["meta"]["security"] == [restricted]
