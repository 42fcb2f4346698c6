"""Bad input, one row each: a clear refusal of the right status, nothing stored, no value repeated, in bounded time."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.access.callers import STRANGERS, headers_of
from tests.access.records import a, put, put_bytes
from tests.fhir.rest import nothing_stored, refusal
from tests.servers import Served

CANARY = "Kanariefugl"
"""Stands for what a patient's record would say; no refusal repeats it."""
MOST_S = 5
"""More than any of these takes on a busy machine."""

_SOUND = json.dumps(a("Media", "-", note=[{"text": CANARY}]))


def _media(**changes: Any) -> str:
    return json.dumps(a("Media", "-", **{"note": [{"text": CANARY}], **changes}))


def _with(old: str, new: str) -> str:
    assert old in _SOUND
    return _SOUND.replace(old, new)


BODIES: dict[str, tuple[str | bytes, str | None]] = {
    "unknown element": (_media(nonsense=CANARY), "Media.nonsense"),
    "unknown element inside": (_media(content={"title": CANARY, "nonsense": 1}), "Media.content.nonsense"),
    "R5 element": (_media(relatedTo=[]), None),
    "Python name": (_media(status__ext={"id": "x"}), None),
    "boolean as text": (_media(contained=[{"resourceType": "Patient", "active": "true"}]), "Media.contained[0].active"),
    "text as number": (_media(deviceName=5), "Media.deviceName"),
    "number as text": (_media(height=CANARY), "Media.height"),
    "object as text": (_media(deviceName={"x": CANARY}), "Media.deviceName"),
    "list as text": (_media(deviceName=[CANARY]), "Media.deviceName"),
    "text as list": (_media(note=CANARY), "Media.note"),
    "null": (_media(deviceName=None), "Media.deviceName"),
    "empty list": (_media(reasonCode=[]), "Media.reasonCode"),
    "empty object": (_media(bodySite={}), "Media.bodySite"),
    "empty text": (_media(deviceName=""), "Media.deviceName"),
    "missing element": (_with('"status": "completed", ', ""), "Media.status"),
    "unknown code": (_media(status=CANARY), "Media.status"),
    "duplicate key": (_with('"status": "completed"', '"status": "completed", "status": "completed"'), None),
    "duplicate key inside": (_with('{"title": "a picture"}', f'{{"title": "a", "title": "{CANARY}"}}'), None),
    "NUL": (_with(CANARY, CANARY + "\\u0000"), None),
    "raw NUL": (_SOUND.replace(CANARY, CANARY + "\0"), None),
    "raw control character": (_SOUND.replace(CANARY, CANARY + "\x07"), None),
    "lone surrogate": (_with(CANARY, CANARY + "\\ud800"), None),
    "second half of a surrogate": (_with(CANARY, "\\udc00" + CANARY), None),
    "surrogate as bytes": (_SOUND.encode().replace(CANARY.encode(), b"\xed\xa0\x80"), None),
    "not UTF-8": (_SOUND.encode().replace(CANARY.encode(), b"\xff\xfe"), None),
    "Latin-1": (_SOUND.replace(CANARY, "Åsa").encode("latin-1"), None),
    "UTF-16": (_SOUND.encode("utf-16"), None),
    "byte order mark": (b"\xef\xbb\xbf" + _SOUND.encode(), None),
    "2^63": (_media(height=2**63), "Media.height"),
    "2^31": (_media(frames=2**31), "Media.frames"),
    "zero where positive": (_media(frames=0), "Media.frames"),
    "fraction as whole": (_media(height=1.5), "Media.height"),
    "whole in exponent": (_with('"status"', '"height": 1e2, "status"'), "Media.height"),
    "ten thousand digits": (_with('"status"', f'"height": {"9" * 10_000}, "status"'), None),
    "NaN": (_with('"status"', '"duration": NaN, "status"'), None),
    "Infinity": (_with('"status"', '"duration": -Infinity, "status"'), None),
    "huge exponent": (_with('"status"', '"duration": 1e99999999999999999999, "status"'), None),
    "leading zero": (_with('"status"', '"duration": 01, "status"'), None),
    "1000 lists in each other": (_with('"completed"', "[" * 1000 + "]" * 1000), None),
    "1000 objects in each other": (_with('"completed"', '{"a":' * 1000 + "1" + "}" * 1000), None),
    "1000 extensions in each other": (
        _with(
            '"extension": [',
            '"extension": ['
            + '{"url": "u", "extension": [' * 500
            + '{"url": "u", "valueCode": "x"}'
            + "]}" * 500
            + ", ",
        ),
        None,
    ),
    "100000 brackets": ("[" * 100_000, None),
    "wrong reference type": (_media(subject={"reference": "Organization/derm"}), "Media.subject.reference"),
    "reference type that lies": (_media(subject={"reference": "Patient/anna", "type": "Group"}), None),
    "reference to nothing": (_media(subject={"reference": ""}), "Media.subject.reference"),
    "reference to what is not contained": (_media(device={"reference": "#camera"}), None),
    "garbage date": (_media(issued=CANARY), "Media.issued"),
    "impossible date": (_media(createdDateTime="2023-02-29"), None),
    "month 13": (_media(createdDateTime="2023-13"), None),
    "date without zone": (_media(createdDateTime="2023-02-01T10:00:00"), None),
    "number as date": (_media(createdDateTime=2023), None),
    "two choices": (_media(createdDateTime="2023", createdPeriod={"start": "2023"}), None),
    "script in narrative": (
        _media(
            text={
                "status": "generated",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><script>{CANARY}</script></div>',
            }
        ),
        "Media.text.div",
    ),
    "entity in narrative": (
        _media(
            text={
                "status": "generated",
                "div": '<!DOCTYPE d [<!ENTITY a "b">]><div xmlns="http://www.w3.org/1999/xhtml">&a;</div>',
            }
        ),
        "Media.text.div",
    ),
    "unknown contained type": (_media(contained=[{"resourceType": CANARY, "id": "x"}]), None),
    "contained in contained": (
        _media(contained=[{"resourceType": "Device", "id": "x", "contained": [{"resourceType": "Device", "id": "y"}]}]),
        None,
    ),
    "unknown modifier extension": (_media(modifierExtension=[{"url": "http://x", "valueBoolean": True}]), None),
    "extension without anything": (_media(extension=[{"url": "http://x"}]), None),
    "wrong size": (_media(content={"contentType": "text/plain", "data": "eA==", "size": 2}), "Media.content.size"),
    "wrong hash": (_media(content={"contentType": "text/plain", "data": "eA==", "hash": "AAAA"}), "Media.content.hash"),
    "garbage base64": (_media(content={"contentType": "text/plain", "data": "*"}), "Media.content.data"),
    "wrong type": (json.dumps(a("Patient", "-")), None),
    "no type": ('{"status": "completed"}', None),
    "type as list": ('{"resourceType": ["Media"]}', None),
    "no resource": ("[]", None),
    "just a text": (f'"{CANARY}"', None),
    "nothing": ("", None),
    "white space": ("  \n", None),
    "half": (_SOUND[: len(_SOUND) // 2], None),
    "two": (_SOUND + _SOUND, None),
    "XML": (f'<Media xmlns="http://hl7.org/fhir"><status value="{CANARY}"/></Media>', None),
    "a form": ("status=completed", None),
}
"""What is sent as a Media, and where the refusal points if that is worth saying."""


@pytest.mark.parametrize("name", BODIES)
def test_bodies(served: Served, name: str) -> None:
    body, expression = BODIES[name]
    content = body if isinstance(body, bytes) else body.encode()
    started = time.monotonic()
    with nothing_stored(served):
        answers = [
            served.http.post(f"{served.base}/Media", content=content, headers=served.headers()),
            served.http.post(f"{served.base}/Media", content=content, headers=served.importer()),
            served.http.put(f"{served.base}/Media/-", content=content, headers=served.importer()),
        ]
    assert time.monotonic() - started < MOST_S
    for answer in answers:
        issue = refusal(answer, 400)
        assert CANARY.lower() not in answer.text.lower()
        if expression is not None:
            assert expression in [each.get("expression", [None])[0] for each in answer.json()["issue"]]
        assert len(issue["diagnostics"]) < 300


QUERIES: dict[str, tuple[str, int]] = {
    "unknown parameter": (f"nonsense={CANARY}", 400),
    "unknown modifier": (f"status:nonsense={CANARY}", 400),
    "empty value": ("status=", 400),
    "no name": (f"={CANARY}", 400),
    "garbage date": (f"when={CANARY}", 400),
    "impossible date": ("when=2023-02-30", 400),
    "unknown prefix": ("when=zz2023", 400),
    "year 0": ("when=0000", 400),
    "a very long fraction": ("when=2023-01-01T00:00:00." + "0" * 5000, 400),
    "1 001 values": ("_id=" + ",".join(["x"] * 1001), 400),
    "101 parameters": ("&".join(["status=completed"] * 101), 400),
    "broken percent": (f"status=%zz{CANARY}", 400),
    "half a percent": ("status=%", 400),
    "not UTF-8": ("status=%ff%fe", 400),
    "surrogate": ("status=%ed%a0%80", 400),
    "NUL": ("status=a%00b", 400),
    "wrong reference": (f"patient=Patient/{CANARY}/1/2/3", 400),
    "wrong reference type": (f"patient={CANARY}/1", 400),
    "token with three bars": (f"identifier={CANARY}|a|b", 400),
    "lone backslash": ("status=a%5Cb", 400),
    "count that is none": (f"_count={CANARY}", 400),
    "count below zero": ("_count=-5", 400),
    "count with a thousand digits": ("_count=" + "9" * 1000, 400),
    "unknown order": (f"_sort={CANARY}", 400),
    "too many orders": ("_sort=status,when,created,site,kind", 400),
    "unknown summary": (f"_summary={CANARY}", 400),
    "unknown element": (f"_elements={CANARY}", 400),
    "chain": (f"subject.name={CANARY}", 400),
    "reverse chain": (f"_has:Media:subject:status={CANARY}", 400),
    "include": (f"_include=Media:{CANARY}", 400),
    "filter": (f"_filter=status eq {CANARY}", 400),
    "text": (f"_text={CANARY}*", 400),
    "damaged cursor": (f"_cursor={CANARY}", 400),
    "token in the address": (f"access_token={CANARY}", 400),
    "a long name": ("x" * 5000 + "=1", 400),
    "a name that is none": ("%3Cscript%3E=1", 400),
    "SQL": ("status=completed'%20OR%20'1'='1", 200),
    "a pattern": ("identifier=%25", 200),
}


@pytest.mark.parametrize("name", QUERIES)
def test_queries(served: Served, name: str) -> None:
    query, status = QUERIES[name]
    started = time.monotonic()
    for answer in _searches(served, query):
        if status == 200:
            assert (answer.status_code, answer.json()["total"]) == (200, 0)
            continue
        refusal(answer, status)
        assert CANARY not in answer.text
    assert time.monotonic() - started < MOST_S


def _searches(served: Served, query: str) -> list[httpx.Response]:
    staff, form = served.headers(), "application/x-www-form-urlencoded"
    url = httpx.URL(served.base)
    return [
        *(
            served.http.get(url.copy_with(raw_path=f"/fhir/{path}?{query}".encode()), headers=staff)
            for path in ("Media", "Patient/anna/Media")
        ),
        served.http.post(f"{served.base}/Media/_search", content=query, headers=staff | {"Content-Type": form}),
    ]


PATHS = {
    "unknown type": ("Nonsense", 404),
    "lower case": ("media", 404),
    "unknown type by id": (f"{CANARY}/1", 404),
    "odd id": ("Media/a_b", 404),
    "id too long": ("Media/" + "i" * 65, 404),
    "id with dots": ("Media/%2e%2e", 404),
    "up and away": ("Media/..%2f..%2fetc%2fpasswd", 404),
    "NUL in the path": ("Media/a%00b", 404),
    "not UTF-8 in the path": ("Media/%ff", 404),
    "double slash": ("/Media", 404),
    "trailing slash": ("Media/1/", 404),
    "another patient's id": ("Media/of-bo", 404),
    "another patient's bytes": ("Binary/of-bo", 404),
    "nobody's id": ("Media/of-nobody", 404),
    "version that is none": (f"Media/of-bo/_history/{CANARY}", 404),
}


@pytest.fixture(scope="module", autouse=True)
def of_bo(served: Served) -> None:
    """What Anna's token must not reach."""
    put_bytes(served, "of-bo", b"of Bo")
    put(served, a("Media", "of-bo", of="bo", content={"url": "Binary/of-bo"}))


@pytest.mark.parametrize("name", PATHS)
def test_paths(served: Served, name: str) -> None:
    path, status = PATHS[name]
    url = httpx.URL(served.base).copy_with(raw_path=f"/fhir/{path}".encode())
    answer = served.http.get(url, headers=served.headers("patient/*.rs", patient="anna"))
    refusal(answer, status)
    assert CANARY not in answer.text


def test_hidden_and_absent_look_alike(served: Served) -> None:
    anna = served.headers("patient/*.cruds", patient="anna")
    sent = a("Media", "of-bo", of="anna")
    for ask in (
        lambda id: served.http.get(f"{served.base}/Media/{id}", headers=anna),
        lambda id: served.http.put(f"{served.base}/Media/{id}", json=sent | {"id": id}, headers=anna),
        lambda id: served.http.delete(f"{served.base}/Media/{id}", headers=anna),
        lambda id: served.http.get(f"{served.base}/Binary/{id}", headers=anna),
    ):
        hidden, absent = ask("of-bo"), ask("of-nobody")
        assert (hidden.status_code, hidden.text) == (absent.status_code, absent.text)


HEADERS: dict[str, tuple[dict[str, str], int]] = {
    "no content type": ({"Content-Type": ""}, 415),
    "XML that is JSON": ({"Content-Type": "application/fhir+xml"}, 400),
    "Turtle": ({"Content-Type": "text/turtle"}, 415),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "wrong charset": ({"Content-Type": "application/fhir+json; charset=iso-8859-1"}, 415),
    "UTF-16": ({"Content-Type": 'application/fhir+json; charset="utf-16"'}, 415),
    "compressed": ({"Content-Encoding": "gzip"}, 415),
    "If-Match that is none": ({"If-Match": CANARY}, 400),
    "unwanted answer": ({"Accept": "text/html"}, 406),
    "condition that is none": ({"If-None-Exist": f"color={CANARY}"}, 400),
    "condition without an end": ({"If-None-Exist": f"date={CANARY}"}, 400),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(served: Served, name: str) -> None:
    headers, status = HEADERS[name]
    with nothing_stored(served):
        method, path = ("PUT", "Media/of-bo") if "If-Match" in headers else ("POST", "Media")
        sent = served.importer() | headers
        answer = served.http.request(method, f"{served.base}/{path}", content=_SOUND, headers=sent)
        refusal(answer, status)
        assert CANARY not in answer.text


@pytest.mark.parametrize("kind", STRANGERS)
def test_bad_tokens(served: Served, kind: str) -> None:
    headers = headers_of(kind, served)
    url = f"{served.base}/Media"
    asks: list[Callable[[], httpx.Response]] = [
        lambda: served.http.get(f"{url}/of-bo", headers=headers),
        lambda: served.http.get(url, headers=headers),
        lambda: served.http.post(url, content=_SOUND, headers=headers),
        lambda: served.http.post(f"{served.base}/Binary", content=b"x", headers=headers),
    ]
    with nothing_stored(served):
        for ask in asks:
            answer = ask()
            refusal(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "given",
    [
        "Basic YTpi",
        "Bearer",
        "Bearer a",
        "Bearer a.b.c",
        "Bearer " + "a" * 20_000,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer  a b",
        CANARY,
    ],
)
def test_odd_authorization(served: Served, given: str) -> None:
    answer = served.http.get(f"{served.base}/Media", headers={"Authorization": given})
    refusal(answer, 401)
    assert CANARY not in answer.text
