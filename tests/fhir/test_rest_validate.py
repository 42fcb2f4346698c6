"""$validate over HTTP: what it says, what it does not store, and who may ask."""

from typing import Any

import httpx
import pytest

from tests.access.records import a, put
from tests.fhir.rest import Body, created, refusal
from tests.servers import Served

MEDIA = "https://fhirmedia.org/StructureDefinition/media"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">A picture</div>'
TOLD: Body = {"text": {"status": "generated", "div": DIV}}


def validate(served: Served, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
    return served.http.post(f"{served.base}/{path}", json=body, headers=headers or served.headers())


def issues(response: httpx.Response) -> list[tuple[str, str, str | None]]:
    assert response.status_code == 200, response.text
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [(one["severity"], one["code"], *one.get("expression", [None])) for one in outcome["issue"]]


def wrapped(*parts: Body) -> Body:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def holding(resource: Any) -> Body:
    return {"name": "resource", "resource": resource}


OK = [("information", "informational", None)]
NO_NARRATIVE = ("warning", "invariant", "Media")


def test_a_sound_resource_is_told_to_be_and_is_not_stored(served: Served) -> None:
    before = served.http.get(f"{served.base}/Media?_summary=count", headers=served.headers()).json()["total"]
    assert issues(validate(served, "Media/$validate", a("Media", "x", **TOLD))) == OK
    assert issues(validate(served, "Media/$validate", wrapped(holding(a("Media", "x", **TOLD))))) == OK
    assert issues(validate(served, "Media/$validate", a("Media", "x"))) == [NO_NARRATIVE]
    assert served.http.get(f"{served.base}/Media?_summary=count", headers=served.headers()).json()["total"] == before


def test_several_errors_are_told_with_their_places(served: Served) -> None:
    broken = a("Media", "x", status="nonsense", height=0, colour="red", content={"data": "QUJD"})
    assert issues(validate(served, "Media/$validate", broken)) == [
        ("error", "code-invalid", "Media.status"),
        ("error", "invariant", "Media.content"),
        ("error", "value", "Media.height"),
        ("error", "structure", "Media.colour"),
    ]
    assert issues(validate(served, "Media/$validate", a("Patient", "x"))) == [
        ("error", "structure", "Media.resourceType")
    ]


@pytest.mark.parametrize(
    ("mode", "id", "expected"),
    [
        ("create", None, OK),
        ("create", "x", OK),
        ("update", "x", OK),
        ("update", None, [("error", "required", "Media.id")]),
        ("profile", None, OK),
    ],
)
def test_modes_of_a_type(served: Served, mode: str, id: str | None, expected: list[Any]) -> None:
    resource = {name: value for name, value in a("Media", id or "-", **TOLD).items() if name != "id" or id}
    in_body = wrapped(holding(resource), {"name": "mode", "valueCode": mode})
    assert issues(validate(served, "Media/$validate", in_body)) == expected
    assert issues(validate(served, f"Media/$validate?mode={mode}", resource)) == expected


def test_an_instance(served: Served) -> None:
    made = created(served, a("Media", "-", **TOLD))
    path = f"Media/{made['id']}/$validate"
    assert issues(served.http.get(f"{served.base}/{path}", headers=served.headers())) == OK
    bare = {name: value for name, value in served.headers().items() if name != "Content-Type"}
    assert issues(served.http.post(f"{served.base}/{path}", headers=bare)) == OK
    assert issues(served.http.get(f"{served.base}/{path}?mode=delete", headers=served.headers())) == OK
    assert issues(validate(served, f"{path}?mode=update", made)) == OK
    assert issues(validate(served, f"{path}?mode=update", {**made, "id": "other"})) == [("error", "value", "Media.id")]
    assert issues(validate(served, f"{path}?mode=create", made)) == [("error", "business-rule", "Media")]
    asked = wrapped({"name": "profile", "valueUri": MEDIA})
    assert ("error", "required", "Media") in issues(validate(served, path, asked))


def test_profiles(served: Served) -> None:
    plain = a("Media", "x", **TOLD)
    path = f"Media/$validate?profile={MEDIA}"
    assert ("error", "required", "Media") in issues(validate(served, path, plain))
    other = "Media/$validate?profile=http://example.org/StructureDefinition/other"
    assert issues(validate(served, other, plain)) == [("error", "not-supported", None)]
    assert issues(validate(served, f"Patient/$validate?profile={MEDIA}", a("Patient", "x", **TOLD))) == [
        ("error", "invariant", "Patient")
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Media/$validate?mode=swap", a("Media", "x")),
        ("Media/$validate?mode=create&mode=update", a("Media", "x")),
        ("Media/$validate?colour=red", a("Media", "x")),
        ("Media/$validate?mode=create", wrapped(holding(a("Media", "x")), {"name": "mode", "valueCode": "create"})),
        ("Media/$validate", wrapped()),
        ("Media/$validate", wrapped({"name": "mode", "valueCode": "create"})),
        ("Media/$validate", wrapped({"name": "mode", "valueInteger": 1}, holding(a("Media", "x")))),
        ("Media/$validate", wrapped({"name": "resource", "valueString": "x"})),
        ("Media/$validate", wrapped(holding(a("Media", "x")), holding(a("Media", "x")))),
        ("Media/$validate", wrapped(holding(a("Media", "x")), {"name": "colour", "valueString": "red"})),
        ("Media/$validate", wrapped(holding(a("Media", "x")), {"name": "profile", "valueInteger": 1})),
        ("Media/$validate", wrapped(holding(a("Media", "x")), *[{"name": "mode", "valueCode": "create"}] * 2)),
        ("Media/$validate", {"resourceType": "Parameters", "parameter": "x"}),
        ("Media/$validate?mode=delete", a("Media", "x")),
    ],
)
def test_what_the_operation_does_not_have_is_refused(served: Served, path: str, body: Any) -> None:
    refusal(validate(served, path, body), 400)


def test_who_may_ask(served: Served) -> None:
    put(served, a("Media", "theirs", unit="eyes"))
    body = a("Media", "x", **TOLD)
    for scope, mode, status in (
        ("user/Media.rs", "", 403),
        ("user/Media.d", "", 403),
        ("user/Patient.cruds", "", 403),
        ("user/Media.c", "", 200),
        ("user/Media.u", "", 200),
        ("user/Media.c", "?mode=create", 200),
        ("user/Media.u", "?mode=create", 403),
        ("user/Media.c", "?mode=update", 403),
    ):
        response = validate(served, f"Media/$validate{mode}", body, served.headers(scope))
        assert response.status_code == status, (scope, mode)
    derm = served.headers("user/*.cruds", units=["derm"])
    hidden, absent = (
        served.http.get(f"{served.base}/Media/{id}/$validate", headers=derm) for id in ("theirs", "never")
    )
    assert refusal(hidden, 404) == refusal(absent, 404)
    same = [
        validate(served, f"Media/{id}/$validate?mode=update", {**body, "id": id}, derm) for id in ("theirs", "never")
    ]
    assert issues(same[0]) == issues(same[1]) == OK
    refusal(served.http.get(f"{served.base}/Media/theirs/$validate", headers=served.headers("user/Media.cu")), 403)


def test_it_is_written_down(served: Served) -> None:
    headers = served.headers()
    made = created(served, a("Media", "-"))
    served.http.get(f"{served.base}/Media/{made['id']}/$validate", headers=headers)
    auditor = served.headers("user/AuditEvent.rs", roles=["auditor"])
    found = served.http.get(
        f"{served.base}/AuditEvent?patient=Patient/anna&_sort=-date&_count=20", headers=auditor
    ).json()
    subtypes = [one["code"] for entry in found["entry"] for one in entry["resource"].get("subtype", [])]
    assert "validate" in subtypes
