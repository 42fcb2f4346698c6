"""PATCH over HTTP: both forms, what a patch may not touch, races, rights, and versions that are not made."""

import threading
from typing import Any

import httpx
import pytest

from tests.access.records import a, label, put
from tests.fhir.rest import Body, created, refusal
from tests.servers import Served

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def patch(served: Served, key: str, change: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """A JSON Patch as an array, anything else as Parameters."""
    sent = (headers or served.headers()) | (JSON_PATCH if isinstance(change, list) else {})
    return served.http.patch(f"{served.base}/{key}", json=change, headers=sent)


def parameters(**plain: Any) -> Body:
    parts = [
        {"name": name, **({"valueString": value} if isinstance(value, str) else value)} for name, value in plain.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def a_media(served: Served, **members: Any) -> Body:
    return created(served, a("Media", "-", **members))


def version(served: Served, key: str) -> str:
    return str(served.http.get(f"{served.base}/{key}", headers=served.headers()).headers["etag"])


def test_a_json_patch_makes_the_next_version(served: Served) -> None:
    made = a_media(served)
    key = f"Media/{made['id']}"
    response = patch(served, key, [{"op": "add", "path": "/deviceName", "value": "camera"}])
    assert response.status_code == 200
    assert response.headers["etag"] == 'W/"2"'
    expected = made | {"deviceName": "camera", "meta": response.json()["meta"]}
    assert response.json() == expected
    assert served.http.get(f"{served.base}/{key}", headers=served.headers()).json() == expected
    history = served.http.get(f"{served.base}/{key}/_history", headers=served.headers()).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "POST"]
    found = served.http.get(f"{served.base}/Media?_id={made['id']}&device-name=camera", headers=served.headers()).json()
    assert len(found["entry"]) == 1


def test_a_fhirpath_patch_makes_the_next_version(served: Served) -> None:
    made = a_media(served)
    change = parameters(type="add", path="Media", name="deviceName", value="camera")
    response = patch(served, f"Media/{made['id']}", change)
    assert response.status_code == 200
    assert response.json()["deviceName"] == "camera"
    replaced = parameters(type="replace", path="Media.status", value={"valueCode": "on-hold"})
    assert patch(served, f"Media/{made['id']}", replaced).json()["status"] == "on-hold"


def test_a_fhirpath_patch_in_xml(served: Served) -> None:
    made = a_media(served)
    xml = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="replace"/></part>'
        '<part><name value="path"/><valueString value="Media.status"/></part>'
        '<part><name value="value"/><valueCode value="on-hold"/></part></parameter></Parameters>'
    )
    headers = served.headers() | {"Content-Type": "application/fhir+xml"}
    response = served.http.patch(f"{served.base}/Media/{made['id']}", content=xml, headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "on-hold"


def test_prefer_is_heard(served: Served) -> None:
    key = f"Media/{a_media(served)['id']}"
    change = [{"op": "add", "path": "/deviceName", "value": "camera"}]
    minimal = patch(served, key, change, served.headers() | {"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (200, b"")
    change[0]["value"] = "other"
    outcome = patch(served, key, change, served.headers() | {"Prefer": "return=OperationOutcome"})
    assert outcome.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "change",
    [
        [],
        [{"op": "test", "path": "/status", "value": "completed"}],
        [{"op": "replace", "path": "/status", "value": "completed"}],
        parameters(type="replace", path="Media.status", value={"valueCode": "completed"}),
    ],
)
def test_a_patch_that_changes_nothing_makes_no_version(served: Served, change: Any) -> None:
    made = a_media(served)
    response = patch(served, f"Media/{made['id']}", change)
    assert response.status_code == 200
    assert response.headers["etag"] == 'W/"1"'
    assert response.json() == made
    assert version(served, f"Media/{made['id']}") == 'W/"1"'


REFUSED: list[tuple[Any, int, str, str | None]] = [
    ([{"op": "test", "path": "/status", "value": "draft"}], 422, "business-rule", None),
    ([{"op": "replace", "path": "/nothing/here", "value": 1}], 422, "business-rule", None),
    ([{"op": "replace", "path": "/id", "value": "other"}], 422, "business-rule", "Media.id"),
    ([{"op": "replace", "path": "/resourceType", "value": "Patient"}], 422, "business-rule", "Media.resourceType"),
    ([{"op": "replace", "path": "/meta/versionId", "value": "7"}], 422, "business-rule", "Media.meta.versionId"),
    ([{"op": "remove", "path": "/meta/lastUpdated"}], 422, "business-rule", "Media.meta.lastUpdated"),
    ([{"op": "remove", "path": "/meta"}], 422, "business-rule", "Media.meta.versionId"),
    ([{"op": "remove", "path": "/status"}], 422, "required", "Media.status"),
    ([{"op": "replace", "path": "/status", "value": "nonsense"}], 422, "code-invalid", "Media.status"),
    ([{"op": "add", "path": "/modality", "value": []}], 422, "structure", "Media.modality"),
    ([{"op": "replace", "path": "", "value": {"resourceType": "Media"}}], 422, "business-rule", "Media.id"),
    ([{"op": "swap", "path": "/status"}], 400, "structure", None),
    ([{"op": "remove", "path": "status"}], 400, "structure", None),
    ([{"op": "remove", "path": "/note"}] * 10_000, 413, "too-long", None),
    (parameters(type="delete", path="Media.note.matches('x')"), 422, "not-supported", None),
    (parameters(type="delete", path="Media.nonsense"), 422, "business-rule", None),
    (parameters(type="delete", path="Media.status"), 422, "required", "Media.status"),
    (parameters(type="swap", path="Media.status"), 400, "structure", None),
    ({"resourceType": "Media", "status": "completed"}, 400, "structure", "Parameters.resourceType"),
]


@pytest.mark.parametrize(("change", "status", "code", "expression"), REFUSED)
def test_refused_and_nothing_stored(
    served: Served, change: Any, status: int, code: str, expression: str | None
) -> None:
    made = a_media(served)
    issue = refusal(patch(served, f"Media/{made['id']}", change), status)
    assert issue["code"] == code
    assert issue.get("expression") == (None if expression is None else [expression])
    assert version(served, f"Media/{made['id']}") == 'W/"1"'


def test_other_patch_formats_are_named(served: Served) -> None:
    key = f"Media/{a_media(served)['id']}"
    for media, said in (
        ("application/xml-patch+xml", "XML Patch is not supported"),
        ("text/plain", "A patch is a JSON Patch"),
        ("text/plain", "application/fhir+xml"),
        ("application/merge-patch+json", "A patch is a JSON Patch"),
        ("application/json-patch+json; charset=latin-1", "UTF-8"),
    ):
        headers = served.headers() | {"Content-Type": media}
        response = served.http.patch(f"{served.base}/{key}", content=b"[]", headers=headers)
        assert said in refusal(response, 415)["diagnostics"]


def test_if_match_is_honoured(served: Served) -> None:
    key = f"Media/{a_media(served)['id']}"
    change = [{"op": "add", "path": "/deviceName", "value": "camera"}]
    refusal(patch(served, key, change, served.headers() | {"If-Match": 'W/"2"'}), 412)
    assert patch(served, key, change, served.headers() | {"If-Match": 'W/"1"'}).status_code == 200
    refusal(patch(served, key, change, served.headers() | {"If-Match": 'W/"1"'}), 412)


def test_patches_at_once_are_all_done(served: Served) -> None:
    key = f"Media/{a_media(served, note=[{'text': 'first'}])['id']}"
    statuses: list[int] = []

    def one(number: int) -> None:
        change = [{"op": "add", "path": "/note/-", "value": {"text": f"note {number}"}}]
        statuses.append(patch(served, key, change).status_code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = statuses.count(200)
    assert set(statuses) <= {200, 409}
    media = served.http.get(f"{served.base}/{key}", headers=served.headers()).json()
    assert len(media["note"]) == 1 + done
    assert done >= 1


def test_a_patch_takes_both_rights_and_hides_what_is_hidden(served: Served) -> None:
    put(served, a("Media", "theirs", unit="eyes"))
    change = [{"op": "test", "path": "/status", "value": "draft"}]
    hidden, absent = (
        patch(served, f"Media/{id}", change, served.headers("user/*.cruds", units=["derm"]))
        for id in ("theirs", "never")
    )
    assert refusal(hidden, 404) == refusal(absent, 404)
    key = f"Media/{a_media(served)['id']}"
    for scope in ("user/Media.u", "user/Media.rs", "user/Media.cd"):
        refusal(patch(served, key, change, served.headers(scope)), 403)
    refusal(patch(served, key, change, served.headers("user/Media.ru")), 422)


def test_deleted_is_gone(served: Served) -> None:
    key = f"Media/{a_media(served)['id']}"
    served.http.delete(f"{served.base}/{key}", headers=served.headers())
    refusal(patch(served, key, []), 410)


def test_a_patch_is_no_way_round_the_rules_of_a_write(served: Served) -> None:
    """Moving a record to another unit, or lowering its labels, is what it is in an update."""
    derm = served.headers("user/*.cruds", units=["derm"])
    made = a_media(served, meta={"security": [label("R")]})
    key = f"Media/{made['id']}"
    moved = [{"op": "replace", "path": "/extension/0/valueReference/reference", "value": "Organization/eyes"}]
    refusal(patch(served, key, moved, derm), 403)
    manager = served.headers("user/*.cruds", roles=["label-manager"])
    for lowered in (
        [{"op": "replace", "path": "/meta/security/0/code", "value": "N"}],
        [{"op": "remove", "path": "/meta/security/0"}, {"op": "remove", "path": "/meta/security"}],
        [{"op": "remove", "path": "/meta/security"}],
    ):
        refusal(patch(served, key, lowered, derm), 403)
    removed = patch(served, key, [{"op": "remove", "path": "/meta/security"}], manager)
    assert removed.status_code == 200
    assert "security" not in removed.json()["meta"]
    nobody = [{"op": "add", "path": "/subject", "value": {"reference": "Patient/nobody"}}]
    refusal(patch(served, key, nobody), 422)


def test_inline_data_becomes_a_binary(served: Served) -> None:
    key = f"Media/{a_media(served)['id']}"
    change = [{"op": "replace", "path": "/content", "value": {"contentType": "text/plain", "data": "QUJD"}}]
    content = patch(served, key, change).json()["content"]
    assert content["url"].startswith("Binary/")
    assert "data" not in content
    assert content["size"] == 3


def test_types_without_patch(served: Served) -> None:
    for key in ("Binary/x", "AuditEvent/x", "StructureDefinition/owning-unit"):
        refusal(patch(served, key, []), 405)
