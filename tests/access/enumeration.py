"""Every route with every type and every kind of caller, and what each is declared to answer."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import httpx
from starlette.routing import BaseRoute

from tests.access.callers import KNOWN, STRANGERS, headers_of
from tests.access.records import ABOUT, CLINICAL, TEXT, a, places, put, put_bytes, with_content
from tests.media.pictures import encoded, photo
from tests.servers import Served

CLASSES: Mapping[str, Sequence[str]] = {
    "clinical": CLINICAL,
    "about": ABOUT,
    "patient": ("Patient",),
    "directory": (
        "Endpoint", "HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole",
    ),
    "bytes": ("Binary",),
    "audit": ("AuditEvent",),
    "definition": (
        "CodeSystem", "CompartmentDefinition", "OperationDefinition", "SearchParameter", "StructureDefinition",
        "ValueSet",
    ),
}  # fmt: skip
"""Types whose answers are alike."""

_IDS = {
    "Patient": "anna",
    "Organization": "derm",
    "Practitioner": "dr",
    **dict.fromkeys(("Endpoint", "HealthcareService", "Location", "PractitionerRole"), "here"),
    "CodeSystem": "department",
    "CompartmentDefinition": "patient",
    "OperationDefinition": "rendition",
    "SearchParameter": "when",
    "StructureDefinition": "owning-unit",
    "ValueSet": "laterality",
}
"""What is asked about where it is not `anna-derm`."""

RESOURCE, HISTORY = "/fhir/{type}/{id}", "/fhir/{type}/{id}/_history"
ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", RESOURCE): "read",
    ("PUT", RESOURCE): "update",
    ("PATCH", RESOURCE): "patch",
    ("DELETE", RESOURCE): "delete",
    ("GET", HISTORY): "history",
    ("GET", HISTORY + "/{version}"): "vread",
    ("GET", "/fhir/{type}/_history"): "history-type",
    ("GET", "/fhir/_history"): "history-system",
    ("GET", RESOURCE + "/$rendition"): "rendition",
    ("GET", RESOURCE + "/$everything"): "everything",
    ("GET", RESOURCE + "/$access-log"): "access-log",
    ("POST", RESOURCE + "/$everything"): "everything",
    ("POST", "/fhir/{type}/$validate"): "validate",
    ("POST", RESOURCE + "/$validate"): "validate",
    ("GET", RESOURCE + "/$validate"): "validate-stored",
    ("GET", RESOURCE + "/$meta"): "meta",
    ("POST", RESOURCE + "/$meta"): "meta",
    ("POST", RESOURCE + "/$meta-add"): "meta-add",
    ("POST", RESOURCE + "/$meta-delete"): "meta-delete",
    ("POST", "/fhir/{type}"): "create",
    ("PUT", "/fhir/{type}"): "conditional-update",
    ("DELETE", "/fhir/{type}"): "conditional-delete",
    ("PATCH", "/fhir/{type}"): "conditional-patch",
    ("POST", "/fhir"): "bundle",
    ("POST", "/fhir/"): "bundle",
    ("GET", "/fhir/{type}"): "search-type",
    ("POST", "/fhir/{type}/_search"): "search-type",
    ("GET", "/fhir/{compartment}/{id}/{type}"): "search-compartment",
    ("POST", "/fhir/{compartment}/{id}/{type}/_search"): "search-compartment",
    ("GET", "/fhir"): "search-system",
    ("GET", "/fhir/"): "search-system",
    ("POST", "/fhir/_search"): "search-system",
    **{
        (method, f"{place}/{operation}"): f"{told}-{about}"
        for method in ("GET", "POST")
        for operation, told in (("$media-stats", "stats"), ("$explain-search", "explain"))
        for place, about in (("/fhir", "system"), ("/fhir/{type}", "type"), ("/fhir/{compartment}/{id}", "compartment"))
    },
    ("GET", "/fhir/metadata"): "public",
    ("GET", "/openapi.json"): "public",
    ("GET", "/docs"): "public",
    ("GET", "/healthz"): "public",
    ("GET", "/readyz"): "public",
    ("GET", "/metrics"): "public",
}
"""The policy of each route; HEAD answers as GET does."""

_READ = {
    #             no      other   own     other  own   no               auditor
    #             scope   patient patient unit   unit  units   system           importer
    "clinical": "403     404     200     404    200   403     200      403     200",
    "patient": " 403     404     200     200    200   403     200      403     200",
    "directory": "403     200     200     200    200   403     200      403     200",
    "audit": "   403     403     403     403    403   403     403      200     403",
    "definition": "403   200     200     200    200   200     200      403     200",
}
_UNSERVED = " ".join(["405"] * len(KNOWN))
_OUTSIDE = " ".join(["400"] * len(KNOWN))
ANSWERS: Mapping[str, Mapping[str, str]] = {
    "read": {**_READ, "bytes": _READ["clinical"]},
    "vread": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED, "definition": _UNSERVED},
    "history": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED, "definition": _UNSERVED},
    "create": {
        "clinical": "403     403     201     403    201   403     201      403     201",
        "patient": " 403     403     403     201    201   403     201      403     201",
        "directory": "403     403     403     201    201   403     201      403     201",
        "bytes": "   403     201     201     201    201   403     201      403     201",
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    "update": {
        "clinical": "403     405     200     405    200   403     200      403     200",
        "patient": " 403     405     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": "   403     405     409     405    409   403     409      403     409",
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    "patch": {
        "clinical": "403     404     200     404    200   403     200      403     200",
        "patient": " 403     404     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    # Nothing that is stored is looked at: what counts is whether the caller could write the type at all.
    "validate": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    "delete": {
        "clinical": "403     404     204     404    204   403     204      403     204",
        "patient": " 403     404     404     204    204   403     204      403     204",
        "directory": "403     403     403     204    204   403     204      403     204",
        "bytes": "   403     404     409     404    409   403     409      403     409",
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    "search-type": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _READ["audit"],
        "definition": _READ["definition"],
    },
    "search-compartment": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "about": _OUTSIDE,
        "directory": _OUTSIDE,
        "bytes": _UNSERVED,
        "audit": _READ["audit"],
        "definition": _OUTSIDE,
        "*": "       403     200     200     200    200   403     200      403     200",
    },
    "history-type": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _UNSERVED,
        "definition": _UNSERVED,
    },
    "rendition": {
        "DocumentReference": _READ["clinical"],
        # Its content is text: who may read it learns that there is no picture of it.
        "Media": _READ["clinical"].replace("200", "422"),
        **dict.fromkeys({*chain.from_iterable(CLASSES.values())} - {"DocumentReference", "Media"}, _UNSERVED),
    },
    "everything": {
        "patient": "403     404     200     200    200   403     200      403     200",
        **dict.fromkeys({*chain.from_iterable(CLASSES.values())} - {"Patient"}, _UNSERVED),
    },
    "access-log": {
        "patient": "404     404     200     404    404   404     404      200     404",
        **dict.fromkeys({*chain.from_iterable(CLASSES.values())} - {"Patient"}, _UNSERVED),
    },
    "history-system": {"": "200 200   200     200    200   403     200      403     200"},
    "search-system": {"": "403 403     403     200    200   403     200      403     200"},
    "bundle": {"": "       403 403     200     403    200   403     200      403     200"},
    "public": {"": " ".join(["200"] * len(KNOWN))},
}
ANSWERS = {
    **ANSWERS,
    "validate-stored": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED, "definition": _UNSERVED},
    "meta": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED, "definition": _UNSERVED},
    "meta-add": ANSWERS["patch"],
    "meta-delete": ANSWERS["patch"],
    "conditional-update": {**ANSWERS["update"], "bytes": _UNSERVED},
    "conditional-delete": {**ANSWERS["delete"], "bytes": _UNSERVED},
    "conditional-patch": ANSWERS["patch"],
    "stats-type": {**ANSWERS["search-type"], "audit": _OUTSIDE, "definition": _OUTSIDE},
    "stats-system": ANSWERS["search-system"],
    "stats-compartment": {"": ANSWERS["search-compartment"]["*"]},
    "explain-type": ANSWERS["search-type"],
    "explain-system": ANSWERS["search-system"],
    "explain-compartment": {"": ANSWERS["search-compartment"]["*"]},
}
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got, and what it should get."""

    route: tuple[str, str]
    type: str
    kind: str
    expected: int
    response: httpx.Response

    def __str__(self) -> str:
        return f"{self.kind}: {' '.join(self.route)} on {self.type or 'everything'}"


def flattened(app: Any) -> list[tuple[str, str]]:
    """Every (method, path) the application answers, those of mounted applications included."""

    def walk(routes: Sequence[BaseRoute], above: str) -> Iterator[tuple[str, str]]:
        for route in routes:
            path = above + getattr(route, "path", "")
            inner = getattr(route, "routes", None)
            if inner:
                yield from walk(inner, path)
            else:
                yield from ((method, path) for method in getattr(route, "methods", None) or ("*",))

    while not hasattr(app, "router"):
        app = app._app
    return sorted(walk(app.router.routes, ""))


def policies(interaction: str) -> dict[str, str]:
    """Type to the answers declared for it; a type about a patient answers as those in the compartment if not told."""
    declared = ANSWERS[interaction]
    if "clinical" in declared:
        declared = {"about": declared["clinical"], **declared}
    return {each: row for name, row in declared.items() for each in CLASSES.get(name, (name,))}


def furnish(served: Served) -> None:
    """What the requests of `answers` are about."""
    put(served, *places())
    put_bytes(served, "anna-derm", b"what Anna's picture shows")
    put_bytes(served, "anna-picture", encoded(photo(8, 8), "PNG"), content_type="image/png")
    shown: dict[str, Any] = {
        "Media": with_content("Binary/anna-derm", contentType=TEXT),
        "DocumentReference": {"content": [{"attachment": {"url": "Binary/anna-picture"}}]},
    }
    concerned = (*CLINICAL, *ABOUT)
    put(served, *(a(type, "anna-derm", **shown.get(type, {})) for type in concerned))
    put(served, *(a(type, "anna-eyes", unit="eyes") for type in concerned))
    put(served, *(a(type, f"bo-{unit}", of="bo", unit=unit) for type in concerned for unit in ("derm", "eyes")))
    put(served, *(a(type, "here") for type in CLASSES["directory"] if _IDS[type] == "here"))
    victims = (*concerned, *CLASSES["patient"], *CLASSES["directory"])
    put(served, *(a(type, f"{goes}-{kind}") for type in victims for kind in KNOWN for goes in ("goes", "is-found")))


def answers(served: Served, kinds: Sequence[str] = STRANGERS + KNOWN) -> Iterator[Answer]:
    """Every route, type and kind; deletions last.

    Strangers are turned away, and HEAD is answered, before a type matters: one type of each class stands for them. Of
    the other types of a class a third of the kinds ask at each route, all of them over three routes; under
    FHIRMEDIA_LONG all of them at each.
    """
    share = 1 if os.environ.get("FHIRMEDIA_LONG") else 3
    event = _an_event(served)
    methods = [(method, path) for method, path in flattened(served.app) if (method, path) in ROUTES or method == "HEAD"]
    for turn, (method, path) in enumerate(sorted(methods, key=lambda route: route[0] == "DELETE")):
        interaction = ROUTES["GET" if method == "HEAD" else method, path]
        for place, (type, row) in enumerate(policies(interaction).items()):
            declared = dict(zip(KNOWN, map(int, row.split()), strict=True))
            like_another = any(type in members[1:] for members in CLASSES.values())
            if like_another and method == "HEAD":
                continue
            for number, kind in enumerate(kinds):
                if like_another and (kind in STRANGERS or (turn + place + number) % share):
                    continue
                expected = 200 if interaction == "public" else declared.get(kind, 401)
                url, sent = _request(interaction, path, type, kind=kind, event=event)
                sent = dict(sent)
                headers = headers_of(kind, served, type=type) | sent.pop("headers", {})
                headers["X-Request-Id"] = f"{method}.{type.replace('*', 'any')}.{kind}.{turn}"
                if method == "POST" and "params" in sent:
                    headers["Content-Type"], sent = FORM, {"data": sent["params"]}
                response = served.http.request(method, served.base.removesuffix("/fhir") + url, headers=headers, **sent)
                yield Answer((method, path), type, kind, expected, response)


def _request(interaction: str, path: str, type: str, *, kind: str, event: str) -> tuple[str, dict[str, Any]]:
    """The address, and what is sent besides the token."""
    id = event if type == "AuditEvent" else _IDS.get(type, "anna-derm")
    read_only = (*CLASSES["audit"], *CLASSES["definition"])
    if interaction == "delete" and type not in ("Binary", *read_only):
        id = f"goes-{kind}"
    compartment_id = "anna" if interaction.endswith("-compartment") else id
    url = path.format(type=type, id=compartment_id, version=1, compartment="Patient")
    if interaction == "conditional-delete":
        return f"{url}?_id=is-found-{kind}", {}
    if interaction.startswith("conditional"):
        interaction, url = interaction.removeprefix("conditional-"), f"{url}?_id={id}"
        if type == "Binary":
            return url, {"json": {}}
    if interaction == "bundle":
        entry = {"request": {"method": "POST", "url": "Media"}, "resource": a("Media", "x")}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        return url, {"json": bundle, "headers": {"Prefer": "return=representation"}}
    if interaction in ("create", "update"):
        if type == "Binary":
            return url, {"content": b"new bytes", "headers": {"Content-Type": TEXT}}
        if type in read_only:
            return url, {"json": {"resourceType": type, "id": id}}
        # An Organization stays where it is: whom units bind may not move one that has records.
        return url, {"json": next((each for each in places() if each["id"] == id), a(type, id))}
    if interaction == "patch":
        change = [{"op": "add", "path": "/language", "value": kind}]
        return url, {"json": change, "headers": {"Content-Type": "application/json-patch+json"}}
    if interaction == "validate":
        return url, {"json": {"resourceType": type, "id": id} if type in (*read_only, "Binary") else a(type, id)}
    if interaction in ("meta-add", "meta-delete"):
        tag = {"name": "meta", "valueMeta": {"tag": [{"code": "seen"}]}}
        return url, {"json": {"resourceType": "Parameters", "parameter": [tag]}}
    if interaction == "rendition":
        return url + "?width=256", {}
    return url, _SEARCHED.get(interaction.partition("-")[0], {})


_SEARCHED: Mapping[str, dict[str, Any]] = {
    "search": {"params": {"_count": "50"}},
    "explain": {"params": {"_count": "50"}},
    "stats": {"params": {"own-filter": "true"}},
}
"""What is sent with searches and what takes their parameters."""


def _an_event(served: Served) -> str:
    """The id of an AuditEvent about Anna."""
    params = {"patient": "Patient/anna", "_count": "1"}
    headers = headers_of("auditor", served)
    found = served.http.get(f"{served.base}/AuditEvent", params=params, headers=headers).json()
    id: str = found["entry"][0]["resource"]["id"]
    return id
