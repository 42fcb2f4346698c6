"""Two worlds that differ in nothing but what is hidden from a caller, and what that caller gets to see of each."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.access.records import TEXT, Resource, a, identifier, places, with_content
from tests.servers import FHIR_JSON, Served, serving

MORNING = 1_772_600_000_000
MINUTE = 60_000
EVENING = MORNING + 300 * MINUTE
KNOWN_BYTES = b"what Anna's first picture shows, line after line\n" * 40
SECRET_BYTES = b"what nobody of this corpus may know, line after line\n" * 90


@dataclass(slots=True)
class Hands:
    """A clock that is put forward by hand."""

    now: int = MORNING

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True, slots=True)
class Someone:
    """A caller of the corpus; `hidden` are attributes of records this caller may not know of."""

    name: str
    scope: str
    bound: dict[str, Any]
    hidden: tuple[Resource, ...]
    hides_patients: bool = False
    reads_log: bool = False


CALLERS = (
    Someone(
        "Anna herself",
        "patient/*.cruds",
        {"patient": "anna"},
        ({"of": "bo"}, {"of": "bo", "unit": "eyes"}, {"of": None}),
        hides_patients=True,
    ),
    Someone(
        "dermatology",
        "user/*.cruds",
        {"units": ["derm"]},
        ({"unit": "eyes"}, {"of": "bo", "unit": "eyes"}, {"unit": None}),
    ),
    Someone(
        "pictures that are completed",
        "user/Media.cruds?status=completed",
        {},
        ({"status": "in-progress"}, {"status": "entered-in-error", "unit": "eyes"}),
    ),
    Someone(
        "Anna reading her log",
        "patient/*.rs",
        {"patient": "anna", "roles": ["auditor"]},
        ({"of": "bo"}, {"of": "bo", "unit": "eyes"}),
        hides_patients=True,
        reads_log=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One write of the history of a world."""

    method: str
    path: str
    json: Resource | None = None
    content: bytes | None = None


@dataclass(slots=True)
class World:
    """A server, its clock, and the headers of the one who looks at it."""

    served: Served
    hands: Hands
    headers: dict[str, str]
    asked: int = 0
    seen: list["Seen"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer without what may differ: the Date, ids the server made up, the text of cursors."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


def shown() -> list[Step]:
    """What every caller of the corpus may see in both worlds, but for types no scope names."""
    picture = {"bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "7569003"}]}}
    media = [
        a("Media", "m1", identifier=identifier("n-1"), createdDateTime="2026-01-05", **picture, **_claim("b1")),
        a("Media", "m2", identifier=identifier("n-2"), createdDateTime="2026-01-09"),
        a("Media", "m3", createdDateTime="2026-02-01T10:00:00Z", **picture),
        a("Media", "m4"),
        a("Media", "gone", createdDateTime="2026-01-07"),
        *(a("Media", "grown", note=[{"text": f"version {number}"}]) for number in (1, 2, 3)),
    ]
    others = [a(kind, "x1") for kind in ("DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter")]
    return [
        *(_put(each) for each in places()),
        Step("PUT", "/Binary/b1", content=KNOWN_BYTES),
        *(_put(each) for each in (*media, *others)),
        Step("DELETE", "/Media/gone"),
    ]


def secrets(someone: Someone, random: Random | None) -> list[Step]:
    """What is hidden from someone: everything of it for no `random`, otherwise some of it, otherwise worded."""
    steps: list[Step] = []
    for number, attributes in enumerate(someone.hidden):
        for piece in _pieces(someone, attributes, number, random):
            if random is None or random.random() < 0.6:
                steps.extend(piece)
    return steps


def _pieces(someone: Someone, attributes: Resource, number: int, random: Random | None) -> Iterator[list[Step]]:
    def hidden(kind: str, name: str, **other: Any) -> Step:
        stated = {key: value for key, value in attributes.items() if kind == "Media" or key != "status"}
        return _put(a(kind, f"{name}-{number}", **{**other, **stated}))

    def date() -> str:
        return f"2026-0{random.randint(1, 3)}-1{random.randint(0, 9)}" if random else "2025-12-31"

    yield [hidden("Media", "early", identifier=identifier("n-1"), createdDateTime=date())]
    yield [hidden("Media", "late", identifier=identifier("secret-1"), createdDateTime="2026-12-31")]
    for name in ("more", "m1", "m2a", "zz")[: random.randint(0, 4) if random else 4]:
        yield [hidden("Media", f"{name}-s", createdDateTime=date(), identifier=identifier(f"secret-{name}"))]
    for kind in ("DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter"):
        if "status" not in attributes and attributes.get("of", "anna") is not None:
            yield [hidden(kind, "other")]
    yield [hidden("Media", "ended"), Step("DELETE", f"/Media/ended-{number}")]
    if not someone.reads_log:  # that a record was about the patient once is in the patient's log, and rightly so
        yield [_put(a("Media", f"turned-away-{number}")), hidden("Media", "turned-away")]
    for name, content in (("kept", SECRET_BYTES), ("same", KNOWN_BYTES)):
        upload = Step("PUT", f"/Binary/{name}-{number}", content=content)
        yield [upload, hidden("Media", f"of-{name}", **_claim(f"{name}-{number}"))]
    yield [Step("PUT", f"/Binary/loose-{number}", content=SECRET_BYTES)]
    if attributes.get("of", "anna") == "anna":
        yield [hidden("Media", "also-of", **_claim("b1"))]
    if someone.hides_patients:
        yield [_put(a("Patient", f"unknown-{number}", identifier=identifier("secret-1")))]


def turned(someone: Someone, secret: str) -> list[Step]:
    """A record whose first version is hidden, and differs, and whose newest one is not."""
    before = {"note": [{"text": secret}], "identifier": identifier(secret)} | someone.hidden[0]
    return [_put(a("Media", "turned", **before)), _put(a("Media", "turned", createdDateTime="2026-01-20"))]


@contextmanager
def world(path: Path, someone: Someone, hidden: Sequence[Step], *, secret: str) -> Iterator[World]:
    """A server on this history; hidden steps come between the others and change nothing about when those came."""
    hands = Hands()
    with serving(path, clock=hands) as served:
        importer = served.importer()
        open_steps = [*shown(), *turned(someone, secret)]
        waiting = list(hidden)
        for number, step in enumerate(open_steps):
            hands.now = MORNING + number * MINUTE
            _run(served, step, importer, f"open-{number}")
            late = number >= len(places()) and number % 2 == 0
            some = len(waiting) // max(1, (len(open_steps) - number) // 2) if late else 0
            for _ in range(some if number < len(open_steps) - 1 else len(waiting)):
                hands.now += 1000
                _run(served, waiting.pop(0), importer, f"hidden-{len(waiting)}")
        hands.now = EVENING
        yield World(served, hands, served.headers(someone.scope, user="Practitioner/dr", **someone.bound))


def look(world: World, method: str, path: str, **sent: Any) -> httpx.Response:
    """One request of the one who looks; what was seen is kept for comparing."""
    world.asked += 1
    headers = world.headers | {"Accept-Encoding": "identity", "X-Request-Id": f"r-{world.asked}"}
    headers |= sent.pop("headers", {})
    content = sent.get("content")
    if isinstance(content, bytes):
        sent["content"] = content.replace(b"BASE", world.served.base.encode())
    address = path if path.startswith("http") else world.served.base + path
    response = world.served.http.request(method, address, headers=headers, **sent)
    world.seen.append(seen(world, response))
    return response


def seen(world: World, response: httpx.Response) -> Seen:
    """The part of an answer that has to be equal."""
    body = _plain(world, response.text)
    lengths_vary = "content-encoding" in response.headers or "AuditEvent" in body
    left_out = {"date", "content-length"} if lengths_vary else {"date"}
    headers = sorted((name, _plain(world, value)) for name, value in response.headers.items() if name not in left_out)
    return Seen(response.status_code, tuple(headers), body)


_SERVER_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_CURSOR = re.compile(r"_cursor=([A-Za-z0-9_-]+)")
_ASKED_CURSOR = re.compile(r'"query":"X2N1cnNvcj[A-Za-z0-9+/=]+"')
"""What an AuditEvent keeps of a request for a following page: `_cursor=…` in base64."""
_EVENT = re.compile(r"(changes|disclosures-[0-9]+)-[0-9]+-[0-9]+")
_BOUNDARY = re.compile(r"\b[0-9a-f]{32}\b")


def _plain(world: World, text: str) -> str:
    text = text.replace(world.served.base, "BASE")
    text = _CURSOR.sub(lambda found: f"_cursor=<{len(found[1])}>", text)
    text = _ASKED_CURSOR.sub("<asked for a page>", text)
    text = _SERVER_MADE.sub("<id>", text)
    text = _BOUNDARY.sub("<boundary>", text)
    return _EVENT.sub(r"<\1>", text)


def _claim(binary: str) -> Resource:
    return with_content(f"Binary/{binary}", contentType=TEXT)


def _put(resource: Resource) -> Step:
    return Step("PUT", f"/{resource['resourceType']}/{resource['id']}", json=resource)


def _run(served: Served, step: Step, headers: dict[str, str], request_id: str) -> None:
    content_type = FHIR_JSON if step.content is None else TEXT
    sent = headers | {"Content-Type": content_type, "X-Request-Id": request_id}
    body = {"json": step.json} if step.json is not None else {"content": step.content}
    answer = served.http.request(step.method, served.base + step.path, headers=sent, **body)
    assert answer.status_code in (200, 201, 204), (step, answer.text)
