"""FHIR R4, http: what holds for every interaction."""

import re
from email.utils import parsedate_to_datetime

from tests.fhir.standard.rows import Desk, Table, marked

T = Table("http")


@T.shall("general", "There is a statement of which interactions and types are served.")
def _(desk: Desk) -> None:
    statement = desk.get("/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert {"Media", "Patient"} <= {each["type"] for each in statement["rest"][0]["resource"]}


@T.should("root", "Addresses are read as UTF-8.")
def _(desk: Desk) -> None:
    made = desk.make(identifier=marked("blåbær-€"))
    found = desk.ask("GET", "/Media", params={"identifier": "urn:marks|blåbær-€"}).json()
    assert [each["resource"]["id"] for each in found["entry"]] == [made["id"]]


@T.shall("root", "The address of a type is the same with and without a slash at its end, and nobody is sent elsewhere.")
def _(desk: Desk) -> None:
    for query in ("", "?_count=1"):
        assert desk.get(f"/Media/{query}").json()["type"] == desk.get(f"/Media{query}").json()["type"] == "searchset"
    body = {"resourceType": "Media", "status": "completed", "content": {"title": "x"}}
    desk.ask("POST", "/Media/", 201, json=body)
    assert desk.get("/?_type=Media").json()["type"] == "searchset"


T.apart(
    "root",
    "SHALL",
    "http and https with the same rest never name different things.",
    reason="One server has one address; what begins differently is foreign to it, and nothing of ours.",
)


@T.should("versioning", "The version is a weak ETag in quotes, the time of change is Last-Modified.")
def _(desk: Desk) -> None:
    made = desk.make()
    answer = desk.get(f"/Media/{made['id']}")
    assert answer.headers["etag"] == f'W/"{made["meta"]["versionId"]}"'
    assert parsedate_to_datetime(answer.headers["last-modified"])


T.shown("security", "SHOULD", "Browsers of known origins may call across origins.", "tests/access/test_cors.py::*")
T.apart(
    "security",
    "SHOULD",
    "What is exchanged in production is encrypted.",
    reason="The operator's proxy speaks TLS; the server refuses to start with a public address that is not https.",
)


@T.shall("Status-Codes", "A state for which the page names a code gets that code.")
def _(desk: Desk) -> None:
    desk.get("/Media/absent", 404)
    desk.get("/Nonsense/x", 404)
    desk.ask("POST", "/Media", 400, json={"resourceType": "Media"})


@T.should("return", "The time of the answer is in its Date header.")
def _(desk: Desk) -> None:
    assert parsedate_to_datetime(desk.get("/metadata").headers["date"])


@T.shall("cread", "A read that is conditional is answered with 304 or in full.")
def _(desk: Desk) -> None:
    made = desk.make()
    answer = desk.get(f"/Media/{made['id']}")
    desk.get(f"/Media/{made['id']}", 304, If_None_Match=answer.headers["etag"])
    desk.get(f"/Media/{made['id']}", 304, If_Modified_Since=answer.headers["last-modified"])
    desk.get(f"/Media/{made['id']}", 200, If_None_Match='W/"99"')
    desk.get(f"/Media/{made['id']}", 200, If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")


@T.should("ops", "Prefer decides whether nothing, the resource or an OperationOutcome is returned.")
def _(desk: Desk) -> None:
    made = desk.make()
    assert desk.put(made, Prefer="return=minimal").content == b""
    assert desk.put(made, Prefer="return=representation").json()["id"] == made["id"]
    assert desk.put(made, Prefer="return=OperationOutcome").json()["resourceType"] == "OperationOutcome"


@T.should("ops", "Without Prefer an OperationOutcome is not what is returned.")
def _(desk: Desk) -> None:
    assert desk.put(desk.make()).json()["resourceType"] == "Media"


@T.should("ops", "A refusal always has an OperationOutcome as its body.")
def _(desk: Desk) -> None:
    for headers in ({}, {"Prefer": "return=minimal"}):
        answer = desk.ask("POST", "/Media", 400, json={"resourceType": "Media"}, headers=headers)
        assert desk.refused(answer)["diagnostics"]


@T.shall("mime-type", "JSON is called application/fhir+json and XML application/fhir+xml.")
def _(desk: Desk) -> None:
    assert desk.get("/Patient/anna").headers["content-type"].startswith("application/fhir+json")
    xml = desk.get("/Patient/anna", Accept="application/fhir+xml")
    assert xml.headers["content-type"].startswith("application/fhir+xml")
    assert xml.text.startswith("<")


@T.shall("mime-type", "The Accept header chooses the form, by its weights.")
def _(desk: Desk) -> None:
    for accept, form in (
        ("application/fhir+json;q=0.3, application/fhir+xml;q=0.8", "xml"),
        ("application/fhir+xml;q=0.3, application/fhir+json;q=0.8", "json"),
        ("text/html, application/fhir+xml;q=0.1", "xml"),
        ("*/*", "json"),
    ):
        answer = desk.get("/Patient/anna", Accept=accept)
        assert answer.headers["content-type"].startswith(f"application/fhir+{form}"), accept


@T.should("mime-type", "Generic names are answered with the FHIR form they mean.")
def _(desk: Desk) -> None:
    for accept, form in (
        ("application/json", b"{"),
        ("text/json", b"{"),
        ("application/xml", b"<"),
        ("text/xml", b"<"),
    ):
        assert desk.get("/Patient/anna", Accept=accept).content.startswith(form)


@T.should("mime-type", "A form that is not spoken is 406, a body in one is 415.")
def _(desk: Desk) -> None:
    desk.refused(desk.get("/Patient/anna", 406, Accept="image/png"))
    answer = desk.ask("POST", "/Media", 415, content=b"a: b", headers={"Content-Type": "text/yaml"})
    desk.refused(answer)


@T.shall("mime-type", "FHIR is written in UTF-8; another charset is refused.")
def _(desk: Desk) -> None:
    made = desk.make(deviceName="kamera æøå 摄")
    assert "æøå 摄".encode() in desk.get(f"/Media/{made['id']}").content
    assert "æøå 摄".encode() in desk.get(f"/Media/{made['id']}", Accept="application/fhir+xml").content
    other = {"Content-Type": "application/fhir+json; charset=iso-8859-1"}
    desk.ask("POST", "/Media", 415, content=b"{}", headers=other)
    stated = {"Content-Type": "application/fhir+json; charset=utf-8"}
    desk.ask("PUT", f"/Media/{made['id']}", 200, json=made, headers=stated)


@T.should(
    "version-parameter", "The version of FHIR may be named with the media type, and another than ours is refused."
)
def _(desk: Desk) -> None:
    desk.get("/Patient/anna", 200, Accept="application/fhir+json; fhirVersion=4.0")
    desk.get("/Patient/anna", 406, Accept="application/fhir+json; fhirVersion=3.0")
    desk.get("/metadata", 406, Accept="application/fhir+json; fhirVersion=5.0")
    other = {"Content-Type": "application/fhir+json; fhirVersion=5.0"}
    desk.ask("POST", "/Media", 415, content=b"{}", headers=other)


@T.should("parameters", "_format takes the place of Accept.")
def _(desk: Desk) -> None:
    answer = desk.get("/Patient/anna?_format=xml", Accept="application/fhir+json")
    assert answer.content.startswith(b"<")


@T.shall("parameters", "_format knows the names of JSON and XML, the short ones and the generic ones.")
def _(desk: Desk) -> None:
    for name in ("json", "application/json", "application/fhir%2Bjson"):
        assert desk.get(f"/Patient/anna?_format={name}", Accept="application/fhir+xml").content.startswith(b"{"), name
    for name in ("xml", "text/xml", "application/xml", "application/fhir%2Bxml"):
        assert desk.get(f"/Patient/anna?_format={name}").content.startswith(b"<"), name


@T.shall("parameters", "The names of Turtle mean Turtle, which is not spoken here.")
def _(desk: Desk) -> None:
    for name in ("ttl", "text/turtle", "application/fhir%2Bturtle"):
        desk.get(f"/Patient/anna?_format={name}", 406)


@T.should("parameters", "_pretty asks for an answer laid out for people, and says the same.")
def _(desk: Desk) -> None:
    pretty, plain = desk.get("/Patient/anna?_pretty=true"), desk.get("/Patient/anna")
    assert pretty.text.count("\n") > 3 > plain.text.count("\n")
    assert pretty.json() == plain.json()


@T.should("versions", "Versions are told, can be read, and can be demanded of an update; the statement says so.")
def _(desk: Desk) -> None:
    (media,) = (each for each in desk.get("/metadata").json()["rest"][0]["resource"] if each["type"] == "Media")
    assert media["versioning"] == "versioned"
    assert {"vread", "history-instance"} <= {each["code"] for each in media["interaction"]}


T.apart("versions", "SHALL", "Who has no versions leaves meta.versionId out.", reason="There are versions.")


@T.should("head", "HEAD is answered as GET is, without a body.")
def _(desk: Desk) -> None:
    for path in (
        "/Patient/anna",
        "/Patient/anna/_history",
        "/Patient/anna/_history/1",
        "/Patient?_id=anna",
        "/metadata",
    ):
        head, whole = desk.ask("HEAD", path), desk.get(path)
        assert head.content == b"", path
        for name in ("content-type", "etag", "last-modified"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)


@T.should("custom", "The id a client gives its request comes back.")
def _(desk: Desk) -> None:
    assert desk.get("/Patient/anna", 200, X_Request_Id="a-client-1").headers["x-request-id"] == "a-client-1"
    assert re.fullmatch("[0-9a-f]{32}", desk.get("/Patient/anna").headers["x-request-id"])


T.apart(
    "custom",
    "SHOULD",
    "Where the server makes another id, it echoes the client's as X-Correlation-Id.",
    reason="The client's id is replaced only where it is too long or holds signs that do not belong into a log.",
)
T.apart("custom", "SHALL", "An intermediary that changes messages marks them.", reason="The server is no intermediary.")
T.apart(
    "custom",
    "SHALL",
    "Nobody at either end uses the mark of an intermediary.",
    reason="The server does not read X-Intermediary.",
)


@T.shall("capabilities", "The statement is about what this address does.")
def _(desk: Desk) -> None:
    statement = desk.get("/metadata").json()
    assert statement["implementation"]["url"] == desk.served.base
    assert statement["kind"] == "instance"


@T.should("capabilities", "The statement has an ETag.")
def _(desk: Desk) -> None:
    assert desk.get("/metadata").headers["etag"]


@T.shall("capabilities", "The ETag of the statement changes when the statement does.")
def _(desk: Desk) -> None:
    json_tag = desk.get("/metadata").headers["etag"]
    first, second = desk.get("/metadata"), desk.get("/metadata")
    assert (first.json() == second.json()) == (first.headers["etag"] == second.headers["etag"])
    assert desk.get("/metadata").headers["etag"] == json_tag


TABLES = (T,)
