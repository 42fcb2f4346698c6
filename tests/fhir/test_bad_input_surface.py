"""Bad input to XML, patches, bundles and operations over HTTP: a clear refusal, nothing stored, no value repeated."""

import json
import resource
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.access.records import a, places, put
from tests.fhir.rest import nothing_stored, versions_stored
from tests.servers import Served, serving

CANARY = "Kanariefugl"
MOST_S = 8
"""More than any of these takes on a busy machine."""

FHIR = 'xmlns="http://hl7.org/fhir"'
XML = "application/fhir+xml"
SOUND = f'<Media {FHIR}><status value="completed"/><content><title value="{CANARY}"/></content></Media>'
JSON_PATCH = "application/json-patch+json"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Anna and Bo; a Media of Anna's, and one of the eye clinic, hidden from dermatology."""
    with serving(tmp_path_factory.mktemp("surface") / "data") as server:
        put(server, *places(), a("Media", "m", deviceName=CANARY), a("Media", "eyes", unit="eyes"))
        put(server, a("Media", "of-bo", of="bo"))
        yield server


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The OperationOutcome, in whichever form it was asked for; it repeats nothing."""
    assert answer.status_code in (statuses or (400, 422)), answer.text
    assert CANARY not in answer.text
    assert "Traceback" not in answer.text
    outcome: dict[str, Any] = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] == "error" and issue["diagnostics"] for issue in outcome["issue"])
    return outcome


def sent(served: Served, method: str, path: str, content: str | bytes, content_type: str) -> httpx.Response:
    """The answer, which comes in time and leaves nothing stored."""
    headers = served.headers(units=["derm"]) | {"Content-Type": content_type, "Accept": "application/fhir+json"}
    started = time.monotonic()
    with nothing_stored(served):
        answer = served.http.request(method, served.base + path, content=content, headers=headers)
    assert time.monotonic() - started < MOST_S
    return answer


XML_BODIES = {
    "document type": f"<!DOCTYPE Media><Media {FHIR}/>",
    "entity": f'<!DOCTYPE m [<!ENTITY x "{CANARY}">]>' + SOUND.replace(CANARY, "&x;"),
    "external entity": '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SOUND.replace(CANARY, "&x;"),
    "parameter entity": '<!DOCTYPE m [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x">%x;]>' + SOUND,
    "remote document type": '<!DOCTYPE Media SYSTEM "http://127.0.0.1:1/x.dtd">' + SOUND,
    "laughs": "<!DOCTYPE m [" + "".join(
        f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(1, 9)
    ) + '<!ENTITY l1 "ha">]>' + SOUND.replace(CANARY, "&l9;"),
    "undeclared entity": SOUND.replace(CANARY, "&nbsp;"),
    "inclusion": SOUND.replace(
        "<content>", '<include xmlns="http://www.w3.org/2001/XInclude" href="/etc/passwd"/><content>'
    ),
    "processing instruction": '<?xml-stylesheet href="x.xsl"?>' + SOUND,
    "no namespace": SOUND.replace(FHIR, ""),
    "wrong namespace": SOUND.replace("hl7.org/fhir", "hl7.org/v3"),
    "foreign element": SOUND.replace("<content>", f'<x xmlns="urn:x">{CANARY}</x><content>'),
    "mixed content": SOUND.replace("<content>", f"{CANARY}<content>"),
    "text instead of a value": SOUND.replace(f'<title value="{CANARY}"/>', f"<title>{CANARY}</title>"),
    "unknown attribute": SOUND.replace("<content>", f'<content colour="{CANARY}">'),
    "unknown element": SOUND.replace("<content>", f'<colour value="{CANARY}"/><content>'),
    "wrong order": f'<Media {FHIR}><content><title value="{CANARY}"/></content><status value="completed"/></Media>',
    "repeated": SOUND.replace("<content>", '<status value="completed"/><content>'),
    "unclosed": SOUND.removesuffix("</Media>"),
    "two roots": SOUND + SOUND,
    "another type": SOUND.replace("Media", "Patient"),
    "empty": "",
    "JSON": json.dumps(a("Media", "x")),
    "NUL": SOUND.replace(CANARY, f"{CANARY}\x00"),
    "NUL by number": SOUND.replace(CANARY, f"{CANARY}&#0;"),
    "surrogate by number": SOUND.replace(CANARY, f"{CANARY}&#xD800;"),
    "another encoding": f'<?xml version="1.0" encoding="ISO-8859-1"?>{SOUND}',
    "script in the narrative": SOUND.replace(
        "<status", '<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'
        "</text><status",
    ),
    "deep": f"<Media {FHIR}>" + "<extension>" * 5_000 + "</extension>" * 5_000 + "</Media>",
    "many attributes": f"<Media {FHIR} " + " ".join(f'a{n}="{CANARY}"' for n in range(200_000)) + "/>",
    "long attribute": SOUND.replace(CANARY, CANARY + "x" * 3_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", XML_BODIES)
def test_xml(served: Served, name: str) -> None:
    refused(sent(served, "POST", "/Media", XML_BODIES[name], XML), 400, 413, 422)


def test_xml_over_the_limit_is_not_kept(served: Served) -> None:
    """More attributes than fit are not gathered; whoever goes on sending them is not listened to."""

    def attributes() -> Iterator[bytes]:
        yield f"<Media {FHIR} ".encode()
        for _number in range(200):
            yield b'a="x" ' * (2**20 // 6)

    headers = served.headers() | {"Content-Type": XML, "Accept": "application/fhir+json"}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with nothing_stored(served):
        try:
            answer = served.http.post(f"{served.base}/Media", content=attributes(), headers=headers)
        except (httpx.WriteError, httpx.ReadError):
            pass  # the connection was closed on the one who would not stop
        else:
            refused(answer, 400, 413)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def operation(kind: str, path: str, **value: Any) -> dict[str, Any]:
    """One operation of a FHIRPath Patch."""
    parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    parts += [{"name": "value", name: each} for name, each in value.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


JSON_PATCHES: dict[str, Any] = {
    "nowhere": [{"op": "replace", "path": f"/{CANARY}", "value": 1}],
    "past the end": [{"op": "add", "path": "/note/7", "value": {"text": CANARY}}],
    "into a text": [{"op": "add", "path": "/deviceName/0", "value": CANARY}],
    "no slash": [{"op": "remove", "path": CANARY}],
    "broken escape": [{"op": "remove", "path": "/~2"}],
    "the whole": [{"op": "replace", "path": "", "value": {"resourceType": "Media"}}],
    "unknown operation": [{"op": CANARY, "path": "/deviceName"}],
    "no path": [{"op": "remove"}],
    "from nowhere": [{"op": "move", "from": "/nowhere", "path": "/deviceName"}],
    "into itself": [{"op": "move", "from": "/content", "path": "/content/title"}],
    "a test that fails": [{"op": "test", "path": "/deviceName", "value": "other"}],
    "the id": [{"op": "replace", "path": "/id", "value": "other"}],
    "the type": [{"op": "replace", "path": "/resourceType", "value": "Patient"}],
    "the version": [{"op": "replace", "path": "/meta/versionId", "value": "9"}],
    "an unknown element": [{"op": "add", "path": "/colour", "value": CANARY}],
    "no list": {"op": "remove", "path": "/deviceName"},
    "a list of texts": [CANARY],
    "somebody else's": [{"op": "replace", "path": "/subject/reference", "value": "Patient/nobody"}],
    "out of reach": [{"op": "replace", "path": "/extension/0/valueReference/reference", "value": "Organization/eyes"}],
    "too many": [{"op": "test", "path": "/deviceName", "value": CANARY}] * 100_000,
    "doubling": [
        {"op": "add", "path": "/note", "value": [{"text": "x" * 1000}]},
        *({"op": "copy", "from": "/note", "path": "/contained"} for _ in range(3)),
        *({"op": "copy", "from": "/contained", "path": "/contained/-"} for _ in range(60)),
    ],
}
FHIRPATH_PATCHES: dict[str, Any] = {
    "nowhere": operation("replace", "Media.colour", valueString=CANARY),
    "another type": operation("replace", "Patient.active", valueBoolean=True),
    "a function": operation("replace", "Media.deviceName.replace('a','b')", valueString="x"),
    "broken": operation("replace", "Media.((", valueString="x"),
    "deep": operation("replace", "Media" + ".extension('x')" * 5_000, valueString="x"),
    "a wrong value": operation("replace", "Media.status", valueString=CANARY),
    "no value": operation("replace", "Media.deviceName"),
    "unknown kind": operation(CANARY, "Media.deviceName", valueString="x"),
    "the id": operation("replace", "Media.id", valueId="other"),
    "the version": operation("replace", "Media.meta.versionId", valueId="9"),
    "somebody else's": operation("replace", "Media.subject", valueReference={"reference": "Patient/nobody"}),
    "another resource": a("Media", "m"),
}


@pytest.mark.parametrize("name", JSON_PATCHES)
def test_json_patches(served: Served, name: str) -> None:
    content = json.dumps(JSON_PATCHES[name])
    refused(sent(served, "PATCH", "/Media/m", content, JSON_PATCH), 400, 403, 405, 409, 413, 422)


@pytest.mark.parametrize("name", FHIRPATH_PATCHES)
def test_fhirpath_patches(served: Served, name: str) -> None:
    content = json.dumps(FHIRPATH_PATCHES[name])
    refused(sent(served, "PATCH", "/Media/m", content, "application/fhir+json"), 400, 403, 405, 409, 413, 422)


def test_patches_of_what_is_not_there(served: Served) -> None:
    sound = json.dumps([{"op": "add", "path": "/deviceName", "value": "x"}])
    answers = [sent(served, "PATCH", f"/Media/{id}", sound, JSON_PATCH) for id in ("eyes", "never")]
    assert refused(answers[0], 404) == refused(answers[1], 404)
    for path in ("/Nonsense/x", "/Media/m/deviceName", "/AuditEvent/changes-1-1"):
        refused(sent(served, "PATCH", path, sound, JSON_PATCH), 403, 404, 405)
    for content_type in ("application/merge-patch+json", "application/xml-patch+xml", "text/plain"):
        refused(sent(served, "PATCH", "/Media/m", sound, content_type), 415)


ONE = "urn:uuid:0b0b0b0b-0000-4000-8000-000000000001"
TWO = "urn:uuid:0b0b0b0b-0000-4000-8000-000000000002"


def entry(method: str, url: str, body: Any = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more.pop("request", {})}, **more}
    return made if body is None else made | {"resource": body}


def media(**more: Any) -> dict[str, Any]:
    return {name: value for name, value in a("Media", "x", **more).items() if name != "id"}


def named(mark: str, to: str) -> dict[str, Any]:
    """A Media that can be found, and refers by search."""
    return media(
        identifier=[{"system": "urn:c", "value": mark}], partOf=[{"reference": f"Media?identifier=urn:c|{to}"}]
    )


BUNDLES: dict[str, Any] = {
    "10 001 entries": [entry("POST", "Media", media())] * 10_001,
    "a condition that leads to nothing": [entry("POST", "Media", named("z", "nobody"))],
    "a condition on a hidden record": [entry("POST", "Media", media(partOf=[{"reference": "Media?_id=eyes"}]))],
    "a condition without a type": [entry("POST", "Media", media(partOf=[{"reference": "?_id=m"}]))],
    "a condition on an unknown parameter": [
        entry("POST", "Media", media(subject={"reference": "Patient?colour=red"}))
    ],
    "a condition that pages": [entry("POST", "Media", media(subject={"reference": "Patient?_id=anna&_count=1"}))],
    "another patient's resource, by update": [entry("PUT", "Media/eyes", a("Media", "eyes"))],
    "another patient's resource, by delete": [entry("DELETE", "Media/eyes")],
    "another patient's resource, by patch": [
        entry("PATCH", "Media/eyes", operation("replace", "Media.deviceName", valueString="x"))
    ],
    "a patient that is not there": [entry("POST", "Media", media(subject={"reference": "Patient/nobody"}))],
    "an entry that is not there": [entry("POST", "Media", media(subject={"reference": ONE}))],
    "two entries of one address": [
        entry("POST", "Media", media(), fullUrl=ONE), entry("POST", "Media", media(), fullUrl=ONE),
    ],
    "one resource twice": [entry("PUT", "Media/m", a("Media", "m")), entry("DELETE", "Media/m")],
    "a wrong version": [entry("PUT", "Media/m", a("Media", "m"), request={"ifMatch": 'W/"99"'})],
    "another id": [entry("PUT", "Media/m", a("Media", "other"))],
    "another type": [entry("POST", "Patient", media())],
    "no type at all": [entry("POST", "Nonsense", media())],
    "an unknown method": [entry("STEAL", "Media/m")],
    "an absolute address elsewhere": [entry("GET", "https://elsewhere.example.org/fhir/Media/m")],
    "an address that climbs": [entry("GET", "../metrics")],
    "a bundle in a bundle": [entry("POST", "Bundle", {"resourceType": "Bundle", "type": "batch"})],
    "the base": [entry("POST", "", {"resourceType": "Bundle", "type": "batch"})],
    "a write without a body": [entry("PUT", "Media/m")],
    "no request": [{"resource": media()}],
    "an entry that is a text": [CANARY],
    "one bad among good": [*(entry("POST", "Media", media()) for _ in range(50)), entry("GET", "Media/never")],
    "a canary": [entry("POST", "Media", media(status=CANARY))],
}  # fmt: skip


@pytest.mark.parametrize("name", BUNDLES)
def test_transactions(served: Served, name: str) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": BUNDLES[name]}
    refused(
        sent(served, "POST", "/", json.dumps(bundle), "application/fhir+json"), 400, 403, 404, 405, 409, 412, 413, 422
    )


def test_circles_of_conditions_come_to_an_end(served: Served) -> None:
    """Each finds the other, or neither does: all or nothing either way."""
    circle = [
        entry("POST", "Media", named("a", "b"), fullUrl=ONE),
        entry("POST", "Media", named("b", "a"), fullUrl=TWO),
    ]
    own = [entry("POST", "Media", named("self", "self"), fullUrl=ONE)]
    for entries in (circle, own):
        before = versions_stored(served)
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        started = time.monotonic()
        answer = served.http.post(served.base, json=bundle, headers=served.headers())
        assert time.monotonic() - started < MOST_S
        if answer.status_code == 200:
            assert versions_stored(served) == before + len(entries)
        else:
            refused(answer, 400, 412, 422)
            assert versions_stored(served) == before


def test_hidden_and_absent_look_alike_in_transactions(served: Served) -> None:
    for method in ("DELETE", "GET"):
        told = []
        for id in ("eyes", "never"):
            bundle = {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [entry(method, f"Media/{id}")],
            }
            answer = sent(served, "POST", "/", json.dumps(bundle), "application/fhir+json")
            told.append((answer.status_code, answer.text.replace(id, "it")))
        assert told[0] == told[1], method


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_patient_names_nobody_elses_records(served: Served, kind: str) -> None:
    """Anna's own app: what is about Bo is neither written nor found, and takes the rest of a transaction with it."""
    headers = served.headers("patient/*.cruds", patient="anna")
    mine = entry("POST", "Media", media())
    for other in (
        entry("POST", "Media", media(of="bo")),
        entry("PUT", "Media/of-bo", a("Media", "of-bo")),
        entry("DELETE", "Media/of-bo"),
        entry("PATCH", "Media/of-bo", operation("replace", "Media.deviceName", valueString="x")),
        entry("GET", "Media/of-bo"),
        entry("POST", "Media", media(partOf=[{"reference": "Media?_id=of-bo"}])),
    ):
        before = versions_stored(served)
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [mine, other]}
        answer = served.http.post(served.base, json=bundle, headers=headers)
        if kind == "transaction":
            refused(answer, 400, 403, 404, 405, 412, 422)
            assert versions_stored(served) == before
        else:
            assert answer.json()["entry"][1]["response"]["status"][0] == "4"
            assert versions_stored(served) == before + 1


def test_bad_entries_of_a_batch_leave_nothing_either(served: Served) -> None:
    entries = [each for name, entries in BUNDLES.items() if len(entries) == 1 for each in entries if name != "the base"]
    writes = [each for each in entries if not isinstance(each, dict) or each.get("request", {}).get("method") != "GET"]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": writes}
    answer = sent(served, "POST", "/", json.dumps(bundle), "application/fhir+json")
    assert CANARY not in answer.text
    if answer.status_code == 200:
        statuses = [each["response"]["status"] for each in answer.json()["entry"]]
        assert all(status.startswith("4") for status in statuses), list(zip(writes, statuses, strict=True))
    else:
        refused(answer, 400)


OPERATIONS = {
    "/Media/$validate": '{"resourceType": "Parameters", "parameter": [{"name": "colour"}]}',
    "/Media/$validate?mode=nonsense": json.dumps(a("Media", "x")),
    "/Media/m/$meta-add": '{"resourceType": "Parameters"}',
    "/Media/m/$meta-delete": '{"resourceType": "Parameters", "parameter": [{"name": "meta", "valueString": "x"}]}',
    "/Media/eyes/$meta-add": json.dumps({
        "resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}],
    }),
    "/Media/m/$nonsense": "{}",
    "/$nonsense": "{}",
    "/Patient/anna/$rendition": "{}",
}  # fmt: skip


@pytest.mark.parametrize("path", OPERATIONS)
def test_operations(served: Served, path: str) -> None:
    refused(sent(served, "POST", path, OPERATIONS[path], "application/fhir+json"), 400, 404, 405, 422)
