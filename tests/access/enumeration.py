"""Every route with every type and every kind of caller, and what each is declared to answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.routing import BaseRoute

from tests.access.callers import KNOWN, STRANGERS, headers_of
from tests.access.records import CLINICAL, TEXT, a, places, put, put_bytes, with_content
from tests.servers import Served

CLASSES: Mapping[str, Sequence[str]] = {
    "clinical": CLINICAL,
    "patient": ("Patient",),
    "directory": ("Organization", "Practitioner"),
    "bytes": ("Binary",),
    "audit": ("AuditEvent",),
}
"""Types whose answers are alike."""

RESOURCE, HISTORY = "/fhir/{type}/{id}", "/fhir/{type}/{id}/_history"
ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", RESOURCE): "read",
    ("PUT", RESOURCE): "update",
    ("DELETE", RESOURCE): "delete",
    ("GET", HISTORY): "history",
    ("GET", HISTORY + "/{version}"): "vread",
    ("GET", "/fhir/{type}/_history"): "history-type",
    ("GET", "/fhir/_history"): "history-system",
    ("POST", "/fhir/{type}"): "create",
    ("GET", "/fhir/{type}"): "search-type",
    ("POST", "/fhir/{type}/_search"): "search-type",
    ("GET", "/fhir/{compartment}/{id}/{type}"): "search-compartment",
    ("POST", "/fhir/{compartment}/{id}/{type}/_search"): "search-compartment",
    ("GET", "/fhir"): "search-system",
    ("GET", "/fhir/"): "search-system",
    ("POST", "/fhir/_search"): "search-system",
    ("GET", "/fhir/metadata"): "public",
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
}
_UNSERVED = " ".join(["405"] * len(KNOWN))
ANSWERS: Mapping[str, Mapping[str, str]] = {
    "read": {**_READ, "bytes": _READ["clinical"]},
    "vread": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED},
    "history": {**_READ, "bytes": _UNSERVED, "audit": _UNSERVED},
    "create": {
        "clinical": "403     403     201     403    201   403     201      403     201",
        "patient": " 403     403     403     201    201   403     201      403     201",
        "directory": "403     403     403     201    201   403     201      403     201",
        "bytes": "   403     201     201     201    201   403     201      403     201",
        "audit": _UNSERVED,
    },
    "update": {
        "clinical": "403     405     200     405    200   403     200      403     200",
        "patient": " 403     405     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": "   403     405     409     405    409   403     409      403     409",
        "audit": _UNSERVED,
    },
    "delete": {
        "clinical": "403     404     204     404    204   403     204      403     204",
        "patient": " 403     404     404     204    204   403     204      403     204",
        "directory": "403     403     403     204    204   403     204      403     204",
        "bytes": "   403     404     409     404    409   403     409      403     409",
        "audit": _UNSERVED,
    },
    "search-type": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _READ["audit"],
    },
    "search-compartment": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": " ".join(["400"] * len(KNOWN)),
        "bytes": _UNSERVED,
        "audit": _READ["audit"],
        "*": "       403     200     200     200    200   403     200      403     200",
    },
    "history-type": {
        "clinical": "403     200     200     200    200   403     200      403     200",
        "patient": " 403     200     200     200    200   403     200      403     200",
        "directory": "403     403     403     200    200   403     200      403     200",
        "bytes": _UNSERVED,
        "audit": _UNSERVED,
    },
    "history-system": {"": "200 200   200     200    200   403     200      403     200"},
    "search-system": {"": "403 403     403     200    200   403     200      403     200"},
    "public": {"": " ".join(["200"] * len(KNOWN))},
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
    """Type to the answers declared for it."""
    declared = ANSWERS[interaction]
    return {each: row for name, row in declared.items() for each in CLASSES.get(name, (name,))}


def furnish(served: Served) -> None:
    """What the requests of `answers` are about."""
    put(served, *places())
    put_bytes(served, "anna-derm", b"what Anna's picture shows")
    claimed = with_content("Binary/anna-derm", contentType=TEXT)
    put(served, *(a(type, "anna-derm", **claimed if type == "Media" else {}) for type in CLINICAL))
    put(served, *(a(type, "anna-eyes", unit="eyes") for type in CLINICAL))
    put(served, *(a(type, f"bo-{unit}", of="bo", unit=unit) for type in CLINICAL for unit in ("derm", "eyes")))
    victims = (*CLINICAL, *CLASSES["patient"], *CLASSES["directory"])
    put(served, *(a(type, f"goes-{kind}") for type in victims for kind in KNOWN))


def answers(served: Served, kinds: Sequence[str] = STRANGERS + KNOWN) -> Iterator[Answer]:
    """Every route, type and kind; deletions last."""
    event = _an_event(served)
    methods = [(method, path) for method, path in flattened(served.app) if (method, path) in ROUTES or method == "HEAD"]
    for method, path in sorted(methods, key=lambda route: route[0] == "DELETE"):
        interaction = ROUTES["GET" if method == "HEAD" else method, path]
        for type, row in policies(interaction).items():
            declared = dict(zip(KNOWN, map(int, row.split()), strict=True))
            for kind in kinds:
                expected = 200 if interaction == "public" else declared.get(kind, 401)
                url, sent = _request(interaction, path, type, kind=kind, event=event)
                headers = headers_of(kind, served, type=type) | sent.pop("headers", {})
                headers["X-Request-Id"] = f"{method}.{type.replace('*', 'any')}.{kind}.{len(path)}"
                if method == "POST" and "params" in sent:
                    headers["Content-Type"], sent = FORM, {"data": sent["params"]}
                response = served.http.request(method, served.base.removesuffix("/fhir") + url, headers=headers, **sent)
                yield Answer((method, path), type, kind, expected, response)


def _request(interaction: str, path: str, type: str, *, kind: str, event: str) -> tuple[str, dict[str, Any]]:
    """The address, and what is sent besides the token."""
    id = {"Patient": "anna", "Organization": "derm", "Practitioner": "dr", "AuditEvent": event}.get(type, "anna-derm")
    if interaction == "delete" and type not in ("Binary", "AuditEvent"):
        id = f"goes-{kind}"
    compartment_id = "anna" if interaction == "search-compartment" else id
    url = path.format(type=type, id=compartment_id, version=1, compartment="Patient")
    if interaction in ("create", "update"):
        if type == "Binary":
            return url, {"content": b"new bytes", "headers": {"Content-Type": TEXT}}
        if type == "AuditEvent":
            return url, {"json": {"resourceType": type, "id": id}}
        return url, {"json": a(type, id)}
    if interaction.startswith("search"):
        return url, {"params": {"_count": "50"}}
    return url, {}


def _an_event(served: Served) -> str:
    """The id of an AuditEvent about Anna."""
    params = {"patient": "Patient/anna", "_count": "1"}
    headers = headers_of("auditor", served)
    found = served.http.get(f"{served.base}/AuditEvent", params=params, headers=headers).json()
    id: str = found["entry"][0]["resource"]["id"]
    return id
