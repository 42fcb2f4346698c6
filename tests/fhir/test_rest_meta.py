"""$meta, $meta-add and $meta-delete over HTTP."""

from typing import Any

import httpx

from tests.access.records import a, label, put
from tests.fhir.rest import Body, created, refusal
from tests.servers import Served

SEEN, DONE = {"system": "urn:x:tags", "code": "seen"}, {"system": "urn:x:tags", "code": "done"}


def with_meta(**meta: Any) -> Body:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def post(served: Served, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    return served.http.post(f"{served.base}/{path}", json=body, headers=headers or served.headers())


def meta_of(response: httpx.Response) -> Body:
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["resourceType"] == "Parameters"
    assert [part["name"] for part in answer["parameter"]] == ["return"]
    found: Body = answer["parameter"][0]["valueMeta"]
    return found


def own(meta: Body) -> Body:
    """What is not set by the server at each write."""
    return {
        name: [one for one in value if "department" not in str(one)] if isinstance(value, list) else value
        for name, value in meta.items()
        if name not in ("versionId", "lastUpdated")
    }


def a_media(served: Served, **members: Any) -> str:
    return f"Media/{created(served, a('Media', '-', **members))['id']}"


def test_meta_is_that_of_the_newest_version(served: Served) -> None:
    key = a_media(served, meta={"tag": [SEEN]})
    read = served.http.get(f"{served.base}/{key}", headers=served.headers()).json()
    assert meta_of(served.http.get(f"{served.base}/{key}/$meta", headers=served.headers())) == read["meta"]
    assert meta_of(post(served, f"{key}/$meta", {"resourceType": "Parameters"})) == read["meta"]


def test_adding_and_deleting_make_versions_only_where_they_change(served: Served) -> None:
    key = a_media(served)
    added = meta_of(
        post(served, f"{key}/$meta-add", with_meta(tag=[SEEN, DONE, SEEN], profile=["http://example.org/p"]))
    )
    assert added["versionId"] == "2"
    assert own(added) == {"profile": ["http://example.org/p"], "tag": [SEEN, DONE]}
    again = meta_of(post(served, f"{key}/$meta-add", with_meta(tag=[{**SEEN, "display": "Seen"}])))
    assert again == added
    gone = meta_of(post(served, f"{key}/$meta-delete", with_meta(tag=[SEEN, {"code": "never"}])))
    assert gone["versionId"] == "3"
    assert own(gone) == {"profile": ["http://example.org/p"], "tag": [DONE]}
    nothing = meta_of(post(served, f"{key}/$meta-delete", with_meta(tag=[SEEN])))
    assert nothing == gone
    emptied = meta_of(post(served, f"{key}/$meta-delete", with_meta(tag=[DONE], profile=["http://example.org/p"])))
    assert own(emptied).get("tag", []) == []
    assert "profile" not in emptied
    read = served.http.get(f"{served.base}/{key}", headers=served.headers())
    assert read.headers["etag"] == 'W/"4"'
    assert read.json()["meta"] == emptied
    searched = served.http.get(f"{served.base}/Media?_tag=urn:x:tags|done", headers=served.headers()).json()
    assert key.partition("/")[2] not in str(searched.get("entry"))


def test_labels_are_raised_by_anybody_and_lowered_by_a_label_manager(served: Served) -> None:
    key = a_media(served)
    derm = served.headers("user/*.cruds", units=["derm"])
    manager = served.headers("user/*.cruds", roles=["label-manager"])
    raised = meta_of(post(served, f"{key}/$meta-add", with_meta(security=[label("R")]), derm))
    assert raised["security"] == [label("R")]
    assert (
        refusal(post(served, f"{key}/$meta-delete", with_meta(security=[label("R")]), derm), 403)["code"] == "forbidden"
    )
    lowered = meta_of(post(served, f"{key}/$meta-delete", with_meta(security=[label("R")]), manager))
    assert "security" not in lowered
    assert "security" not in served.http.get(f"{served.base}/{key}", headers=derm).json()["meta"]


def test_if_match_and_rights(served: Served) -> None:
    key = a_media(served)
    change = with_meta(tag=[SEEN])
    refusal(post(served, f"{key}/$meta-add", change, served.headers() | {"If-Match": 'W/"7"'}), 412)
    for scope in ("user/Media.u", "user/Media.rs", "user/Media.c"):
        refusal(post(served, f"{key}/$meta-add", change, served.headers(scope)), 403)
    refusal(served.http.get(f"{served.base}/{key}/$meta", headers=served.headers("user/Media.cu")), 403)
    put(served, a("Media", "theirs", unit="eyes"))
    derm = served.headers("user/*.cruds", units=["derm"])
    for operation in ("$meta-add", "$meta-delete"):
        hidden, absent = (post(served, f"Media/{id}/{operation}", change, derm) for id in ("theirs", "never"))
        assert refusal(hidden, 404) == refusal(absent, 404)


def test_bodies_of_another_form_are_refused(served: Served) -> None:
    key = a_media(served)
    for body in (
        {"resourceType": "Parameters"},
        {"resourceType": "Media", "status": "completed"},
        {"resourceType": "Parameters", "parameter": [{"name": "other", "valueMeta": {"tag": [SEEN]}}]},
        {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": "x"}}]},
        {"resourceType": "Parameters", "parameter": [*with_meta(tag=[SEEN])["parameter"]] * 2},
    ):
        refusal(post(served, f"{key}/$meta-add", body), 400)
    subsetted = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    refusal(post(served, f"{key}/$meta-add", with_meta(tag=[subsetted])), 422)


def test_types_without_the_operations(served: Served) -> None:
    for key in ("Binary/x", "AuditEvent/x", "StructureDefinition/owning-unit"):
        refusal(served.http.get(f"{served.base}/{key}/$meta", headers=served.headers()), 405)
        refusal(post(served, f"{key}/$meta-add", with_meta(tag=[SEEN])), 405)


def test_a_tag_the_server_keeps_is_no_reason_for_a_version(served: Served) -> None:
    key = a_media(served)
    stored = meta_of(served.http.get(f"{served.base}/{key}/$meta", headers=served.headers()))
    assert stored["tag"]
    kept = meta_of(post(served, f"{key}/$meta-delete", with_meta(tag=stored["tag"])))
    assert kept == stored


def test_answers_in_xml(served: Served) -> None:
    key = a_media(served)
    headers = served.headers() | {"Accept": "application/fhir+xml"}
    for path in (f"{key}/$meta", f"{key}/$validate"):
        answer = served.http.get(f"{served.base}/{path}", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert "<valueMeta>" in served.http.get(f"{served.base}/{key}/$meta", headers=headers).text
