"""FHIR R4, Binary: content as itself and as a resource."""

import base64

from tests.fhir.standard.rows import Desk, Table

T = Table("binary")


@T.shall("rest", "Content is served as itself, under its own type, unless FHIR is asked for.")
def _(desk: Desk) -> None:
    made = desk.ask("POST", "/Binary", 201, content=b"a letter", headers={"Content-Type": "text/plain"}).json()
    for accept in ("*/*", "text/plain", "image/png"):
        answer = desk.get(f"/Binary/{made['id']}", 200, Accept=accept)
        assert (answer.content, answer.headers["content-type"].partition(";")[0]) == (b"a letter", "text/plain")


@T.shall("rest", "A client that asks for FHIR gets the resource.")
def _(desk: Desk) -> None:
    made = desk.ask("POST", "/Binary", 201, content=b"a letter", headers={"Content-Type": "text/plain"}).json()
    resource = desk.get(f"/Binary/{made['id']}", 200, Accept="application/fhir+json").json()
    assert resource["resourceType"] == "Binary"
    assert base64.b64decode(resource["data"]) == b"a letter"
    xml = desk.get(f"/Binary/{made['id']}", 200, Accept="application/fhir+xml").text
    assert f'<data value="{resource["data"]}"/>' in xml


@T.shall("rest", "What is sent under a type of its own is content, not a resource.")
def _(desk: Desk) -> None:
    text = b'{"resourceType": "Binary"}'
    made = desk.ask("POST", "/Binary", 201, content=text, headers={"Content-Type": "text/plain"}).json()
    assert desk.get(f"/Binary/{made['id']}", 200, Accept="text/plain").content == text


@T.shall("rest", "What is sent as a Binary in FHIR is the content it holds.")
def _(desk: Desk) -> None:
    body = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"x").decode()}
    made = desk.ask("POST", "/Binary", 201, json=body).json()
    assert desk.get(f"/Binary/{made['id']}", 200, Accept="*/*").content == b"x"


T.apart(
    "rest",
    "SHOULD",
    "securityContext decides who sees content, and X-Security-Context states it.",
    reason="The records that refer to content decide; a context would be a second rule beside theirs. It is kept, "
    "and grants nothing.",
)
T.shown(
    "security",
    "SHOULD",
    "Content that could act in a browser is kept from acting.",
    "tests/fhir/test_binary_safety.py::test_only_what_cannot_act_is_shown_in_place",
)


@T.shall("patch", "Content is not patched.")
def _(desk: Desk) -> None:
    made = desk.ask("POST", "/Binary", 201, content=b"x", headers={"Content-Type": "text/plain"}).json()
    desk.ask("PATCH", f"/Binary/{made['id']}", 405, json=[], headers={"Content-Type": "application/json-patch+json"})


TABLES = (T,)
