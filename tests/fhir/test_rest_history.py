"""history of one resource: order, what made each version, totals, pages that writers do not disturb."""

import pytest

from tests.access.records import a, label, put
from tests.fhir.rest import Body, created, link, pages, refusal
from tests.servers import Served


def versions(bundle: Body) -> list[str]:
    return [each["response"]["etag"] for each in bundle["entry"]]


def changed(served: Served, made: Body, times: int) -> None:
    url = f"{served.base}/{made['resourceType']}/{made['id']}"
    for number in range(times):
        answer = served.http.put(url, json=made | {"deviceName": f"{number}"}, headers=served.headers())
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def eventful(served: Served) -> str:
    """The URL of a Media that was made by POST, changed, deleted and made again by PUT."""
    staff = served.headers()
    made = created(served, a("Media", "-"))
    changed(served, made, 1)
    url = f"{served.base}/Media/{made['id']}"
    served.http.delete(url, headers=staff)
    served.http.put(url, json=made, headers=staff)
    return url


def test_newest_first_with_what_made_each_version(served: Served, eventful: str) -> None:
    bundle = served.http.get(f"{eventful}/_history", headers=served.headers()).json()
    assert bundle["type"] == "history"
    assert bundle["total"] == 4
    assert versions(bundle) == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    path = eventful.removeprefix(f"{served.base}/")
    assert [(each["request"]["method"], each["request"]["url"]) for each in bundle["entry"]] == [
        ("PUT", path),
        ("DELETE", path),
        ("PUT", path),
        ("POST", "Media"),
    ]
    statuses = [each["response"]["status"] for each in bundle["entry"]]
    assert [status[:3] for status in statuses] == ["201", "204", "200", "201"]
    assert {each["fullUrl"] for each in bundle["entry"]} == {eventful}
    for each in bundle["entry"]:
        assert ("resource" in each) is (each["request"]["method"] != "DELETE")
        if "resource" in each:
            version = each["resource"]["meta"]["versionId"]
            assert each["response"]["etag"] == f'W/"{version}"'
            assert each["response"]["lastModified"] == each["resource"]["meta"]["lastUpdated"]
            seen = served.http.get(f"{eventful}/_history/{version}", headers=served.headers()).json()
            assert seen == each["resource"]


def test_what_is_deleted_keeps_its_history(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"
    served.http.delete(url, headers=staff)
    assert versions(served.http.get(f"{url}/_history", headers=staff).json()) == ['W/"2"', 'W/"1"']
    refusal(served.http.get(f"{served.base}/Media/never-was/_history", headers=staff), 404)


def test_pages_walk_the_whole_history_while_it_grows(served: Served) -> None:
    staff = served.headers()
    made = created(served, a("Media", "-"))
    changed(served, made, 6)
    first = f"{served.base}/Media/{made['id']}/_history?_count=3"
    walked = []
    for page in pages(served, first, staff):
        walked.append(versions(page))
        assert page["total"] == 7
        assert link(page, "self") == first
        changed(served, made, 1)
    assert walked == [['W/"7"', 'W/"6"', 'W/"5"'], ['W/"4"', 'W/"3"', 'W/"2"'], ['W/"1"']]


def test_cursors_are_sealed(served: Served) -> None:
    staff = served.headers()
    made, other = created(served, a("Media", "-")), created(served, a("Media", "-"))
    changed(served, made, 2)
    first = served.http.get(f"{served.base}/Media/{made['id']}/_history?_count=1", headers=staff).json()
    following = link(first, "next")
    assert following is not None
    assert versions(served.http.get(following, headers=staff).json()) == ['W/"2"']
    foreign = served.http.get(following, headers=served.headers("user/Media.rs"))
    assert refusal(foreign, 403)["code"] == "forbidden"
    for tampered in (following[:-3], following + "AAAA", following.replace("_cursor=", "_cursor=x")):
        refusal(served.http.get(tampered, headers=staff), 400)
    elsewhere = following.replace(made["id"], other["id"])
    refusal(served.http.get(elsewhere, headers=staff), 400)
    of_a_search = f"{served.base}/Media?_count=1"
    search = link(served.http.get(of_a_search, headers=staff).json(), "next")
    assert search is not None
    cursor = search.partition("_cursor=")[2]
    refusal(served.http.get(f"{served.base}/Media/{made['id']}/_history?_cursor={cursor}", headers=staff), 400)


def test_parameters_it_does_not_have_are_refused(served: Served, eventful: str) -> None:
    staff = served.headers()
    for given in ("_count=x", "_count=-1", "patient=anna", "_summary=true", "_sort=_lastUpdated", "_list=List/x"):
        refusal(served.http.get(f"{eventful}/_history?{given}", headers=staff), 400)
    day = "_since=2020-01-01"
    for given in (day, f"{day}T00:00:00", f"{day}T00:00Z", f"{day}T25:00:00Z", "_since=", "_at=ge2020", "_at=x"):
        refusal(served.http.get(f"{eventful}/_history?{given}", headers=staff), 400)
    for given in ("_count=1&_count=2", "_at=2020&_at=2021", "_cursor=x&_count=1"):
        refusal(served.http.get(f"{eventful}/_history?{given}", headers=staff), 400)
    for harmless in ("_format=json", "_pretty=true", "_count=1000000"):
        assert served.http.get(f"{eventful}/_history?{harmless}", headers=staff).status_code == 200


def test_update_as_create_is_told_as_what_it_was(served: Served) -> None:
    put(served, a("Media", "named-1"), a("Media", "named-1", deviceName="again"))
    bundle = served.http.get(f"{served.base}/Media/named-1/_history", headers=served.headers()).json()
    told = [(each["request"]["method"], each["request"]["url"], each["response"]["status"]) for each in bundle["entry"]]
    assert told == [("PUT", "Media/named-1", "200 OK"), ("PUT", "Media/named-1", "201 Created")]


def test_versions_about_somebody_else_are_neither_shown_nor_counted(served: Served) -> None:
    put(served, a("Media", "moved", of="bo"), a("Media", "moved", of="anna"))
    anna = served.headers("patient/*.rs", patient="anna")
    bundle = served.http.get(f"{served.base}/Media/moved/_history", headers=anna).json()
    assert (bundle["total"], versions(bundle)) == (1, ['W/"2"'])
    refusal(served.http.get(f"{served.base}/Media/moved/_history/1", headers=anna), 404)


def test_a_version_keeps_the_labels_it_had(served: Served) -> None:
    made = created(served, a("Media", "-"))
    url = f"{served.base}/Media/{made['id']}"
    served.http.put(url, json=made | {"meta": {"security": [label("R")]}}, headers=served.headers())
    newest, oldest = served.http.get(f"{url}/_history", headers=served.headers()).json()["entry"]
    assert newest["resource"]["meta"]["security"] == [label("R")]
    assert "security" not in oldest["resource"]["meta"]
