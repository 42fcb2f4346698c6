"""What someone asks who wants to learn of hidden records: every route, and every way an answer might betray them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhirmedia.core.clock import instant
from tests.access.enumeration import FORM, ROUTES
from tests.access.records import TEXT, a, label, with_content
from tests.access.worlds import KNOWN_BYTES, MINUTE, MORNING, SECRET_BYTES, Someone, World, look

LINES = frozenset({
    "total", "_summary=count", "_total", "last page", "next", "_sort", "_elements", "_summary", "_id", "identifier",
    "If-None-Exist", "condition", "batch", "transaction", "client-chosen id", "PUT on hidden", "PATCH on hidden",
    "DELETE on hidden", "reference text",
    "_lastUpdated", "history", "formerly visible", "deleted or never", "HEAD", "ETag", "If-None-Match",
    "If-Modified-Since", "Range", "known bytes", "outcome text", "AuditEvent", "403 or 404", "compartment", "cursor",
    "labels", "rendition", "operations",
})  # fmt: skip
"""The ways to betray a hidden record that the interactions of today offer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and the ways it tries."""

    lines: frozenset[str]
    method: str
    path: str
    sent: dict[str, Any]


def ask(lines: str, method: str, path: str, **sent: Any) -> Ask:
    """`ask("HEAD, ETag", "HEAD", "/Media/x")`."""
    return Ask(frozenset(lines.split(", ")), method, path, sent)


def corpus(someone: Someone) -> Iterator[Ask]:
    """Questions first, then writes, then the questions a write raises."""
    yield from _searches(someone)
    yield from _histories()
    yield from _everything()
    yield from _every_question()
    for key in _keys(someone):
        yield from _reads(key)
    for binary in _binaries(someone):
        yield from _downloads(binary)
    yield from _events()
    yield from _creates(someone)
    for key in _keys(someone):
        yield from _writes(key)
    for binary in _binaries(someone):
        yield from _byte_writes(binary)
    yield from _conditions()
    yield from _bundles()
    yield ask("total, next", "GET", "/Media?_total=accurate&_sort=_lastUpdated")
    yield from _events()


_ORDERS = ("", "&_sort=created", "&_sort=-created", "&_sort=-_lastUpdated&_total=accurate", "&_sort=_id")


def walk(world: World) -> None:
    """Pages of several sizes and orders, to the end."""
    for count, queries in ((2, _ORDERS), (1, _ORDERS[:1]), (3, _ORDERS[1:2])):
        for query in queries:
            following: str | None = f"/Media?_count={count}{query}"
            while following is not None:
                page = look(world, "GET", following)
                links = page.json().get("link", []) if page.status_code == 200 else []
                following = next((link["url"] for link in links if link["relation"] == "next"), None)
    for first in ("/Media/turned/_history?_count=1", "/Media/_history?_count=4", "/_history?_count=7"):
        following = first
        while following is not None:
            page = look(world, "GET", following)
            links = page.json().get("link", []) if page.status_code == 200 else []
            following = next((link["url"] for link in links if link["relation"] == "next"), None)


def _searches(someone: Someone) -> Iterator[Ask]:
    timeline = "/?_type=Media,DocumentReference,ImagingStudy,DiagnosticReport"
    for query, lines in (
        ("", "total"),
        ("_summary=count", "_summary=count"),
        ("_summary=true", "_summary"),
        ("_summary=data", "_summary"),
        ("_summary=text", "_summary"),
        ("_total=accurate", "_total"),
        ("_total=estimate", "_total"),
        ("_total=none&_count=2", "_total, last page, next"),
        ("_count=0", "total"),
        ("_count=1", "last page, next"),
        ("_count=4&_total=accurate", "last page, next"),
        ("_sort=created", "_sort"),
        ("_sort=-created", "_sort"),
        ("_sort=-_lastUpdated", "_sort, _lastUpdated"),
        ("_sort=_id", "_sort"),
        ("_sort=-when", "_sort"),
        ("_elements=identifier", "_elements"),
        ("_elements=status,note", "_elements"),
        ("_id=m1", "_id"),
        ("_id=early-0", "_id"),
        ("_id=m1,early-0,late-0,turned-away-0,never", "_id"),
        ("identifier=secret-1", "identifier"),
        ("identifier=urn:numbers|n-1", "identifier"),
        ("identifier=never", "identifier"),
        ("identifier:missing=true", "identifier"),
        ("created=ge2026-03-01", "total"),
        ("created=lt2026-01-01", "total"),
        ("status:not=completed", "total"),
        ("body-site=7569003", "total"),
        ("department=derm", "total"),
        ("department=eyes", "total"),
        ("when=2026-01", "total"),
        ("patient=Patient/anna", "total"),
        ("patient=Patient/bo", "total"),
        ("patient=Patient/unknown-0", "total"),
        ("patient=Patient/never", "total"),
        ("_tag=derm", "total"),
        ("_id=", "outcome text"),
        ("colour=red", "outcome text"),
    ):
        yield ask(lines, "GET", f"/Media?{query}")
    for minute in range(0, 40, 4):
        low, high = MORNING + minute * MINUTE, MORNING + (minute + 4) * MINUTE
        window = f"_lastUpdated=ge{instant(low)}&_lastUpdated=lt{instant(high)}"
        yield ask("_lastUpdated, total", "GET", f"/Media?{window}&_total=accurate")
    for query in ("", "&patient=Patient/anna", "&_summary=count", "&_sort=-when&_count=2", "&patient=Patient/never"):
        yield ask("total, 403 or 404", "GET", timeline + query)
    yield ask("total, outcome text", "GET", "/?_lastUpdated=gt2020")
    yield ask("identifier", "GET", "?_type=Media&identifier=secret-1")
    yield ask("total", "POST", "/_search", data={"_type": "Media", "_summary": "count"}, headers=_form())
    yield ask("identifier", "POST", "/Media/_search", data={"identifier": "secret-1"}, headers=_form())
    for patient in ("anna", "bo", "unknown-0", "never"):
        for kind in ("Media", "*", "Encounter", "Patient"):
            yield ask("compartment, total", "GET", f"/Patient/{patient}/{kind}?_total=accurate")
    for kind in ("Encounter", "DocumentReference", "Patient", "Organization"):
        yield ask("total, identifier", "GET", f"/{kind}?_total=accurate")
        yield ask("identifier", "GET", f"/{kind}?identifier=secret-1")


def _everything() -> Iterator[Ask]:
    for patient in ("anna", "bo", "unknown-0", "never"):
        yield ask("compartment, total, 403 or 404", "GET", f"/Patient/{patient}/$everything")
        yield ask("compartment, next, last page", "GET", f"/Patient/{patient}/$everything?_count=3")
        yield ask("compartment, total", "GET", f"/Patient/{patient}/$everything?_type=Media&start=2026-02-01")


_ASKING = {
    "everything": {"json": {"resourceType": "Parameters"}},
    "meta": {"json": {"resourceType": "Parameters"}},
    "validate": {"json": a("Media", "early-0")},
    "search": {"data": {"_total": "accurate"}, "headers": {"Content-Type": FORM}},
    "stats": {"data": {"facet": "kind", "identifier": "secret-1"}, "headers": {"Content-Type": FORM}},
    "explain": {"data": {"identifier": "secret-1"}, "headers": {"Content-Type": FORM}},
}
"""What is sent by POST with what only asks, by the first word of the interaction."""


def _every_question() -> Iterator[Ask]:
    """By each route there is that asks and can be taken by POST, or counts: of what is hidden, never was, and shown."""
    for (method, path), interaction in ROUTES.items():
        word = interaction.partition("-")[0]
        sent = _ASKING.get(word)
        if sent is None or (method == "GET" and word not in ("stats", "explain")):
            continue
        kind = "Patient" if word == "everything" else "Media"
        of_patient = "{compartment}" in path or kind == "Patient"
        ids = ("unknown-0", "never", "anna") if of_patient else ("early-0", "never", "turned")
        for id in ids if "{id}" in path else ids[:1]:
            address = path.removeprefix("/fhir").format(type=kind, id=id, compartment="Patient")
            if method == "GET":
                yield ask("operations, total", "GET", address, params=sent["data"])
            else:
                yield ask("operations, 403 or 404", "POST", address, **sent)


def _histories() -> Iterator[Ask]:
    for path in ("/Media/_history", "/Encounter/_history", "/Patient/_history", "/Organization/_history", "/_history"):
        yield ask("history, total, 403 or 404", "GET", path)
        yield ask("history, total", "GET", f"{path}?_count=0")
        yield ask("history, next, last page", "GET", f"{path}?_count=3")
    for minute in range(0, 40, 5):
        moment = instant(MORNING + minute * MINUTE + 30_000)
        yield ask("history, total", "GET", f"/_history?_since={moment}")
        yield ask("history, formerly visible", "GET", f"/Media/_history?_at={moment}")
        yield ask("history, formerly visible, deleted or never", "GET", f"/_history?_at={moment}&_count=2")


def _keys(someone: Someone) -> list[str]:
    names = ("early", "late", "ended", "turned-away")
    hidden = [f"Media/{name}-0" for name in names]
    hidden += [f"Media/early-{number}" for number in range(1, len(someone.hidden))]
    others = [f"{kind}/other-0" for kind in ("DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter")]
    patients = ["Patient/unknown-0"] if someone.hides_patients else []
    return [*hidden, *others, *patients, "Media/never", "Patient/never", "Media/turned", "Media/gone"]


def _reads(key: str) -> Iterator[Ask]:
    yield ask("403 or 404, deleted or never, outcome text", "GET", f"/{key}")
    yield ask("HEAD, ETag", "HEAD", f"/{key}")
    yield ask("If-None-Match, ETag", "GET", f"/{key}", headers={"If-None-Match": "*"})
    yield ask("If-None-Match, ETag", "HEAD", f"/{key}", headers={"If-None-Match": 'W/"1", W/"2"'})
    yield ask("If-Modified-Since", "GET", f"/{key}", headers={"If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"})
    yield ask("403 or 404", "GET", f"/{key}?_format=json&_pretty=true")
    xml = {"Accept": "application/fhir+xml", "Origin": "https://viewer.example.org"}
    yield ask("403 or 404, outcome text", "GET", f"/{key}", headers=xml)
    yield ask("403 or 404, rendition", "GET", f"/{key}/$rendition?width=256")
    yield ask("If-None-Match, rendition", "GET", f"/{key}/$rendition?width=1024", headers={"If-None-Match": "*"})
    yield ask("403 or 404, operations", "GET", f"/{key}/$meta")
    yield ask("403 or 404, operations", "GET", f"/{key}/$validate")
    for version in (1, 2, 9):
        yield ask("formerly visible, deleted or never", "GET", f"/{key}/_history/{version}")
    yield ask("history, formerly visible, deleted or never, total", "GET", f"/{key}/_history")
    yield ask("history, next", "GET", f"/{key}/_history?_count=1")


def _binaries(someone: Someone) -> list[str]:
    hidden = [f"kept-{number}" for number in range(len(someone.hidden))]
    return [*hidden, "same-0", "loose-0", "never", "b1"]


def _downloads(binary: str) -> Iterator[Ask]:
    path = f"/Binary/{binary}"
    yield ask("403 or 404", "GET", path)
    yield ask("HEAD, ETag", "HEAD", path)
    if binary.endswith(("-1", "-2")):
        return
    yield ask("403 or 404", "GET", path, headers={"Accept": "application/fhir+json"})
    yield ask("403 or 404", "GET", path + "/_history/1")
    for span in ("0-0", "0-9999999", "9999999-", "-5", "0-0,2-3", "5-1"):
        yield ask("Range", "GET", path, headers={"Range": f"bytes={span}"})
    yield ask("Range, HEAD", "HEAD", path, headers={"Range": "bytes=9999999-"})
    yield ask("Range, ETag", "GET", path, headers={"Range": "bytes=0-3", "If-Range": '"none"'})
    yield ask("If-None-Match", "GET", path, headers={"If-None-Match": "*"})


def _events() -> Iterator[Ask]:
    yield ask("AuditEvent", "GET", "/AuditEvent?patient=Patient/anna&_total=accurate&_count=200")
    yield ask("AuditEvent", "GET", "/AuditEvent?patient=Patient/bo&_total=accurate")
    yield ask("AuditEvent", "GET", "/AuditEvent?_summary=count")
    yield ask("AuditEvent, next", "GET", "/AuditEvent?_sort=-date&_count=3")
    yield ask("AuditEvent, compartment", "GET", "/Patient/unknown-0/AuditEvent")
    yield ask("AuditEvent, 403 or 404", "GET", "/AuditEvent/changes-1-1")


def _creates(someone: Someone) -> Iterator[Ask]:
    new = {key: value for key, value in a("Media", "ignored").items() if key != "id"}
    for binary in _binaries(someone):
        for url in (f"Binary/{binary}", f"BASE/Binary/{binary}"):
            yield ask("reference text, known bytes", "POST", "/Media", content=_json(new | with_content(url)))
    yield ask("reference text", "POST", "/Media", content=_json(new | with_content("Binary/kept-0", size=1)))
    wrong_hash = with_content("Binary/kept-0", hash="AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    yield ask("reference text", "POST", "/Media", content=_json(new | wrong_hash))
    for patient in ("unknown-0", "never", "bo"):
        yield ask("reference text", "POST", "/Media", content=_json(new | _subject(patient)))
    for visit in ("other-0", "other-1", "never", "x1"):
        stated = {name: value for name, value in new.items() if name != "extension"}
        for body in (new, stated):
            encounter = {"encounter": {"reference": f"Encounter/{visit}"}}
            yield ask("reference text", "POST", "/Media", content=_json(body | encounter))
    for other in ("Media/early-0", "Media/never"):
        yield ask("reference text", "POST", "/Media", content=_json(new | {"partOf": [{"reference": other}]}))
    exists = {"If-None-Exist": "identifier=secret-1"}
    yield ask("If-None-Exist", "POST", "/Media", content=_json(new), headers=exists)
    yield ask("client-chosen id", "POST", "/Media", content=_json(new | {"id": "early-0"}))
    yield ask("client-chosen id", "PUT", "/Media/early-0", content=_json(new | {"id": "early-0"}))
    yield ask("client-chosen id", "PUT", "/Media/never", content=_json(new | {"id": "never"}))
    for content in (SECRET_BYTES, KNOWN_BYTES, b"bytes nobody has"):
        yield ask("known bytes", "POST", "/Binary", content=content, headers={"Content-Type": TEXT})
    for code in ("R", "N"):
        yield ask("labels", "PUT", "/Media/turned", json=a("Media", "turned", meta={"security": [label(code)]}))


def _conditions() -> Iterator[Ask]:
    new = {key: value for key, value in a("Media", "ignored").items() if key != "id"}
    patch = json.dumps([{"op": "add", "path": "/deviceName", "value": "x"}]).encode()
    is_patch = {"Content-Type": "application/json-patch+json"}
    for query in ("identifier=secret-1", "_id=early-0", "identifier=n-1", "_id=never"):
        for expected in ({}, {"If-Match": 'W/"1"'}):
            yield ask("condition", "PATCH", f"/Media?{query}", content=patch, headers=is_patch | expected)
            yield ask("condition", "PUT", f"/Media?{query}", content=_json(new), headers=expected)
        yield ask("condition, client-chosen id", "PUT", f"/Media?{query}", content=_json(new | {"id": "early-0"}))
        yield ask("If-None-Exist", "POST", "/Media", content=_json(new), headers={"If-None-Exist": query})
    for query in ("identifier=secret-1", "_id=early-0", "_id=never"):
        yield ask("condition", "DELETE", f"/Media?{query}")


def _bundles() -> Iterator[Ask]:
    for number in range(len(_entries())):
        fine = {"request": {"method": "POST", "url": "Media"}, "resource": _entries()[0]["resource"]}
        for kind, entries in (("transaction", [fine, _entries()[number]]), ("transaction", [_entries()[number]])):
            yield ask(kind, "POST", "/", content=_json({"resourceType": "Bundle", "type": kind, "entry": entries}))
    whole = {"resourceType": "Bundle", "type": "batch", "entry": _entries()}
    yield ask("batch", "POST", "", content=_json(whole), headers={"Prefer": "return=representation"})


def _entries() -> list[dict[str, Any]]:
    """Each asks for something hidden in another way."""
    new = {key: value for key, value in a("Media", "ignored").items() if key != "id"}

    def entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: str) -> dict[str, Any]:
        made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
        return made if resource is None else made | {"resource": resource}

    entries = [entry("POST", "Media", new | {"partOf": [{"reference": "Media?identifier=secret-1"}]})]
    entries.append(entry("POST", "Media", new | {"partOf": [{"reference": "Media?_id=early-0"}]}))
    entries.append(entry("POST", "Media", new | _subject("unknown-0")))
    entries.append(entry("POST", "Media", new | with_content("Binary/kept-0")))
    for query in ("identifier=secret-1", "_id=early-0"):
        entries.append(entry("POST", "Media", new, ifNoneExist=query))
        entries.append(entry("PUT", f"Media?{query}", new))
        entries.append(entry("DELETE", f"Media?{query}"))
        entries.append(entry("GET", f"Media?{query}&_total=accurate"))
    for id in ("early-0", "ended-0", "turned-away-0", "never"):
        entries.append(entry("PUT", f"Media/{id}", a("Media", id)))
        entries.append(entry("DELETE", f"Media/{id}", ifMatch='W/"1"'))
        entries.append(entry("GET", f"Media/{id}", ifNoneMatch='W/"1"'))
    return entries


def _writes(key: str) -> Iterator[Ask]:
    kind, _, id = key.partition("/")
    body = a(kind, id) if key not in ("Media/gone", "Media/turned") else a(kind, id, note=[{"text": "anew"}])
    for condition in ({}, {"If-Match": 'W/"1"'}, {"If-Match": 'W/"7"'}, {"If-Match": "*"}):
        yield ask("PUT on hidden, deleted or never", "PUT", f"/{key}", json=body, headers=condition)
    change = [{"op": "test", "path": "/id", "value": "x"}]
    headers = {"Content-Type": "application/json-patch+json"}
    yield ask("PATCH on hidden, deleted or never", "PATCH", f"/{key}", json=change, headers=headers)
    yield ask("operations", "POST", f"/{key}/$validate?mode=update", json=body)
    seen = {"name": "meta", "valueMeta": {"tag": [{"code": "seen"}]}}
    for operation in ("$meta-add", "$meta-delete"):
        envelope = {"resourceType": "Parameters", "parameter": [seen]}
        yield ask("operations, deleted or never", "POST", f"/{key}/{operation}", json=envelope)
    if key != "Media/turned":
        yield ask("DELETE on hidden, deleted or never", "DELETE", f"/{key}", headers={"If-Match": 'W/"1"'})
        yield ask("DELETE on hidden, deleted or never", "DELETE", f"/{key}")
        yield ask("history, deleted or never", "GET", f"/{key}/_history")


def _byte_writes(binary: str) -> Iterator[Ask]:
    plain = {"Content-Type": TEXT}
    yield ask("PUT on hidden, known bytes", "PUT", f"/Binary/{binary}", content=SECRET_BYTES, headers=plain)
    yield ask("PUT on hidden", "PUT", f"/Binary/{binary}", content=b"new", headers=plain | {"If-Match": 'W/"1"'})
    yield ask("DELETE on hidden", "DELETE", f"/Binary/{binary}")


def _subject(patient: str) -> dict[str, Any]:
    return {"subject": {"reference": f"Patient/{patient}"}}


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _form() -> dict[str, str]:
    return {"Content-Type": "application/x-www-form-urlencoded"}
