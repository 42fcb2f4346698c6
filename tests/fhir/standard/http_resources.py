"""FHIR R4, http: interactions with one resource."""

from tests.access.records import a
from tests.fhir.standard.rows import Desk, Table, marked

T = Table("http")


@T.shall("read", "What is read has the id of its address.")
def _(desk: Desk) -> None:
    made = desk.make()
    assert desk.get(f"/Media/{made['id']}").json()["id"] == made["id"]


@T.should("read", "What is read has an ETag and a Last-Modified.")
def _(desk: Desk) -> None:
    made = desk.make()
    assert {"etag", "last-modified"} <= desk.get(f"/Media/{made['id']}").headers.keys()


@T.should("read", "What was deleted is 410, what never was is 404.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    desk.refused(desk.get(f"/Media/{made['id']}", 410))
    desk.refused(desk.get("/Media/never", 404))


@T.should("read", "A part of a resource can be asked for by _summary and _elements, and is tagged SUBSETTED.")
def _(desk: Desk) -> None:
    made = desk.make(deviceName="camera", note=[{"text": "left"}])
    for query in ("_summary=true", "_summary=data", "_summary=text", "_elements=deviceName"):
        part = desk.get(f"/Media/{made['id']}?{query}").json()
        assert "SUBSETTED" in [tag["code"] for tag in part["meta"]["tag"]], query
        assert ("note" in part) == (query == "_summary=data")
        assert part["id"] == made["id"]
    assert desk.get(f"/Media/{made['id']}?_summary=false").json() == made


@T.shall("vread", "A version has the id and the version of its address.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.put(made)
    for version in ("1", "2"):
        read = desk.get(f"/Media/{made['id']}/_history/{version}").json()
        assert (read["id"], read["meta"]["versionId"]) == (made["id"], version)


@T.should("vread", "A version has an ETag and a Last-Modified.")
def _(desk: Desk) -> None:
    made = desk.make()
    assert desk.get(f"/Media/{made['id']}/_history/1").headers["etag"] == 'W/"1"'
    assert "last-modified" in desk.get(f"/Media/{made['id']}/_history/1").headers


@T.should("vread", "The version that marks a deletion is 410.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    desk.get(f"/Media/{made['id']}/_history/2", 410)
    desk.get(f"/Media/{made['id']}/_history/1", 200)
    desk.get(f"/Media/{made['id']}/_history/3", 404)


@T.shall("update", "The body has the id of its address, or is refused with 400 and told why.")
def _(desk: Desk) -> None:
    made = desk.make()
    for wrong in ({**made, "id": "another"}, {name: value for name, value in made.items() if name != "id"}):
        issue = desk.refused(desk.ask("PUT", f"/Media/{made['id']}", 400, json=wrong))
        assert issue["expression"] == ["Media.id"]


@T.shall("update", "The version and time of a body are ignored, and the server sets its own.")
def _(desk: Desk) -> None:
    made = desk.make()
    claimed = {**made, "meta": {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}}
    meta = desk.put(claimed).json()["meta"]
    assert meta["versionId"] == "2"
    assert meta["lastUpdated"] > made["meta"]["lastUpdated"]


@T.should("update", "Other metadata stays as it was sent.")
def _(desk: Desk) -> None:
    made = desk.make()
    tags = [{"system": "urn:tags", "code": "kept"}, *made["meta"]["tag"]]
    meta = desk.put({**made, "meta": {"tag": tags, "profile": ["urn:p"], "source": "urn:s"}}).json()["meta"]
    assert (meta["tag"], meta["profile"], meta["source"]) == (tags, ["urn:p"], "urn:s")


T.shown(
    "update",
    "SHOULD",
    "What was sent is what is read afterwards.",
    "tests/fhir/test_rest_examples.py::test_every_example_comes_back_equal",
    "tests/fhir/test_rest_fidelity.py::test_whatever_the_tables_permit_comes_back_equal",
)


@T.shall("update", "An update is 200, one that created or revived is 201; both tell version and time.")
def _(desk: Desk) -> None:
    made = desk.make()
    updated = desk.put(made)
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    revived = desk.put(made, 201)
    created = desk.served.put(a("Media", "standard-put"), desk.importer)
    assert created.status_code == 201
    assert [each.headers["etag"] for each in (updated, revived, created)] == ['W/"2"', 'W/"4"', 'W/"1"']
    assert all("last-modified" in each.headers for each in (updated, revived, created))


@T.should("update", "An update that created tells the address.")
def _(desk: Desk) -> None:
    created = desk.served.put(a("Media", "standard-location"), desk.importer)
    assert created.headers["location"] == f"{desk.served.base}/Media/standard-location/_history/1"


@T.should("rejecting-updates", "Who may not choose ids is refused with 405.")
def _(desk: Desk) -> None:
    desk.refused(desk.put(a("Media", "chosen-by-staff"), 405))


@T.should("rejecting-updates", "A rule of the house that is broken is 422 and told.")
def _(desk: Desk) -> None:
    nobody = {**a("Media", "x"), "subject": {"reference": "Patient/nobody"}}
    del nobody["id"]
    desk.refused(desk.ask("POST", "/Media", 422, json=nobody))


@T.should("cond-update", "No match and no id: it is created.")
def _(desk: Desk) -> None:
    body = {name: value for name, value in a("Media", "x", identifier=marked("cu-1")).items() if name != "id"}
    desk.ask("PUT", "/Media?identifier=urn:marks|cu-1", 201, json=body)


@T.should("cond-update", "One match, and no id or its id: it is updated.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("cu-2"))
    bare = {name: value for name, value in made.items() if name != "id"}
    assert desk.ask("PUT", "/Media?identifier=urn:marks|cu-2", 200, json=bare).json()["id"] == made["id"]
    assert desk.ask("PUT", "/Media?identifier=urn:marks|cu-2", 200, json=made).json()["meta"]["versionId"] == "3"


@T.should("cond-update", "One match with another id is 400.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("cu-3"))
    desk.refused(desk.ask("PUT", "/Media?identifier=urn:marks|cu-3", 400, json={**made, "id": "another"}))


@T.should("cond-update", "Several matches are 412.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("cu-4"))
    desk.make(identifier=marked("cu-4"))
    bare = {name: value for name, value in made.items() if name != "id"}
    desk.refused(desk.ask("PUT", "/Media?identifier=urn:marks|cu-4", 412, json=bare))


@T.should("concurrency", "Every resource has an ETag.")
def _(desk: Desk) -> None:
    made = desk.make()
    for method, path, body in (("GET", f"/Media/{made['id']}", None), ("PUT", f"/Media/{made['id']}", made)):
        assert "etag" in desk.ask(method, path, 200, json=body).headers


@T.shall("concurrency", "The ETag is the version of the resource.")
def _(desk: Desk) -> None:
    answer = desk.put(desk.make())
    assert answer.headers["etag"] == f'W/"{answer.json()["meta"]["versionId"]}"'


@T.should("concurrency", "If-Match with another version is 412 and changes nothing.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.put(made, 200, If_Match='W/"1"')
    desk.refused(desk.put(made, 412, If_Match='W/"1"'))
    desk.ask("DELETE", f"/Media/{made['id']}", 412, headers={"If-Match": 'W/"1"'})
    assert desk.get(f"/Media/{made['id']}").json()["meta"]["versionId"] == "2"


JSON_PATCH = {"Content-Type": "application/json-patch+json"}


@T.shall("patch", "A JSON Patch is applied to the resource in JSON.")
def _(desk: Desk) -> None:
    made = desk.make(deviceName="one")
    operations = [{"op": "test", "path": "/deviceName", "value": "one"}, {"op": "remove", "path": "/deviceName"}]
    patched = desk.ask("PATCH", f"/Media/{made['id']}", 200, json=operations, headers=JSON_PATCH).json()
    assert "deviceName" not in patched
    assert patched["meta"]["versionId"] == "2"


@T.shall("patch", "A FHIRPath Patch is a Parameters resource in a FHIR form.")
def _(desk: Desk) -> None:
    made = desk.make(deviceName="one")
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Media.deviceName"},
        {"name": "value", "valueString": "two"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    assert desk.ask("PATCH", f"/Media/{made['id']}", 200, json=patch).json()["deviceName"] == "two"


@T.shall("patch", "What comes of a patch is handled as an update: checked, versioned, answered as preferred.")
def _(desk: Desk) -> None:
    made = desk.make()
    wrong = [{"op": "replace", "path": "/status", "value": "nonsense"}]
    desk.refused(desk.ask("PATCH", f"/Media/{made['id']}", None, json=wrong, headers=JSON_PATCH))
    assert desk.get(f"/Media/{made['id']}").json() == made
    right = [{"op": "add", "path": "/deviceName", "value": "x"}]
    headers = {**JSON_PATCH, "Prefer": "return=minimal"}
    answer = desk.ask("PATCH", f"/Media/{made['id']}", 200, json=right, headers=headers)
    assert (answer.content, answer.headers["etag"]) == (b"", 'W/"2"')


@T.shall("patch", "A patch can demand a version.")
def _(desk: Desk) -> None:
    made = desk.make()
    operations = [{"op": "add", "path": "/deviceName", "value": "x"}]
    path = f"/Media/{made['id']}"
    desk.ask("PATCH", path, 412, json=operations, headers={**JSON_PATCH, "If-Match": 'W/"9"'})
    desk.ask("PATCH", path, 200, json=operations, headers={**JSON_PATCH, "If-Match": 'W/"1"'})


@T.should("patch", "A patch by condition takes the one match; none is 404, several are 412.")
def _(desk: Desk) -> None:
    operations = [{"op": "add", "path": "/deviceName", "value": "x"}]
    path = "/Media?identifier=urn:marks|cp-1"
    desk.ask("PATCH", path, 404, json=operations, headers=JSON_PATCH)
    desk.make(identifier=marked("cp-1"))
    desk.ask("PATCH", path, 200, json=operations, headers=JSON_PATCH)
    desk.make(identifier=marked("cp-1"))
    desk.ask("PATCH", path, 412, json=operations, headers=JSON_PATCH)


@T.shall("patch", "A patch leaves no generated narrative behind that tells of what it changed.")
def _(desk: Desk) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">camera one</div>'
    made = desk.make(deviceName="one", text={"status": "generated", "div": div})
    operations = [{"op": "replace", "path": "/deviceName", "value": "two"}]
    answer = desk.ask("PATCH", f"/Media/{made['id']}", None, json=operations, headers=JSON_PATCH)
    assert answer.status_code >= 400 or "camera one" not in answer.text


T.apart(
    "patch",
    "SHALL",
    "XML Patch respects namespaces.",
    reason="XML Patch is refused with 415, naming the two kinds of patch that are taken.",
)


@T.should("delete", "After a delete the resource is 410 and no search finds it; a second delete changes nothing.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("gone"))
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    desk.get(f"/Media/{made['id']}", 410)
    assert desk.get("/Media?identifier=urn:marks|gone").json()["total"] == 0
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    assert desk.get(f"/Media/{made['id']}/_history").json()["total"] == 2


T.apart("delete", "SHALL", "The request of a delete has no body.", reason="A rule for clients; a body is not read.")
T.apart(
    "delete",
    "SHOULD",
    "A delete of what never existed succeeds.",
    reason="It is 404: hidden and absent have to look alike, and a hidden resource is not deleted.",
)


@T.should("delete", "A type that is never deleted is 405, a resource that others need is 409.")
def _(desk: Desk) -> None:
    desk.make()
    desk.refused(desk.ask("DELETE", "/Patient/anna", 409))
    auditor = desk.served.headers("system/*.cruds", roles=["auditor"])
    desk.ask("DELETE", "/AuditEvent/changes-1-1", 405, headers=auditor)


@T.should("delete", "The history of what was deleted stays.")
def _(desk: Desk) -> None:
    made = desk.make()
    desk.ask("DELETE", f"/Media/{made['id']}", 204)
    desk.get(f"/Media/{made['id']}/_history/1", 200)


@T.should("conditional-delete", "One match is deleted; several are 412 where the statement says single.")
def _(desk: Desk) -> None:
    (media,) = (each for each in desk.get("/metadata").json()["rest"][0]["resource"] if each["type"] == "Media")
    assert media["conditionalDelete"] == "single"
    made = desk.make(identifier=marked("cd-1"))
    desk.ask("DELETE", "/Media?identifier=urn:marks|cd-1", 204)
    desk.get(f"/Media/{made['id']}", 410)
    desk.make(identifier=marked("cd-2"))
    desk.make(identifier=marked("cd-2"))
    desk.refused(desk.ask("DELETE", "/Media?identifier=urn:marks|cd-2", 412))


@T.shall("create", "An id in the body is ignored.")
def _(desk: Desk) -> None:
    assert desk.ask("POST", "/Media", 201, json=a("Media", "mine")).json()["id"] != "mine"


@T.shall("create", "The version and time of a body are ignored; id, version and time are the server's.")
def _(desk: Desk) -> None:
    made = desk.make(meta={"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z"})
    assert made["id"]
    assert made["meta"]["versionId"] == "1"
    assert made["meta"]["lastUpdated"] > "2002"


@T.should("create", "Other metadata stays as it was sent.")
def _(desk: Desk) -> None:
    tags = [{"system": "urn:tags", "code": "kept"}]
    meta = desk.make(meta={"tag": tags, "profile": ["urn:p"]})["meta"]
    assert tags[0] in meta["tag"]
    assert meta["profile"] == ["urn:p"]


T.shown(
    "create",
    "SHOULD",
    "What was sent is what is read afterwards.",
    "tests/fhir/test_rest_examples.py::test_every_example_comes_back_equal",
)


@T.shall("create", "A create is 201 with the address of the version it made.")
def _(desk: Desk) -> None:
    answer = desk.ask("POST", "/Media", 201, json=a("Media", "x"))
    assert answer.headers["location"] == f"{desk.served.base}/Media/{answer.json()['id']}/_history/1"
    assert desk.served.http.get(answer.headers["location"], headers=desk.headers).json() == answer.json()


@T.should("create", "A create has an ETag and a Last-Modified.")
def _(desk: Desk) -> None:
    answer = desk.ask("POST", "/Media", 201, json=a("Media", "x"))
    assert answer.headers["etag"] == 'W/"1"'
    assert "last-modified" in answer.headers


@T.should("create", "What is wrong is told, place by place.")
def _(desk: Desk) -> None:
    answer = desk.ask("POST", "/Media", 400, json={"resourceType": "Media", "status": "nonsense", "colour": 1})
    assert len(answer.json()["issue"]) >= 3
    assert all(issue["expression"] for issue in answer.json()["issue"])


@T.should("ccreate", "If-None-Exist: none matches, created; one, 200 and nothing made; several, 412.")
def _(desk: Desk) -> None:
    body = {name: value for name, value in a("Media", "x", identifier=marked("cc-1")).items() if name != "id"}
    condition = {"If-None-Exist": "identifier=urn:marks|cc-1"}
    first = desk.ask("POST", "/Media", 201, json=body, headers=condition).json()
    again = desk.ask("POST", "/Media", 200, json=body, headers=condition)
    assert again.json()["id"] == first["id"]
    desk.make(identifier=marked("cc-1"))
    desk.refused(desk.ask("POST", "/Media", 412, json=body, headers=condition))
    assert desk.get("/Media?identifier=urn:marks|cc-1").json()["total"] == 2


T.apart(
    "transactional-integrity",
    "SHOULD",
    "How content is changed on its way in is documented in the statement.",
    reason="Nothing is changed but what the README names: inline data becomes a Binary, a department tag is added.",
)

TABLES = (T,)
