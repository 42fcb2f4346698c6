"""Laws of refusal: whatever arrives, the server stays up, says no value back, and keeps either all of it or nothing."""

import json
import random
from copy import deepcopy
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.access.records import a
from tests.fhir.rest import versions_stored
from tests.servers import Served

CANARY = "Kanariefugl"
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**31, 2**63, "", " ", CANARY, "\ud800", "\0", "2023-13-45", "Patient/" + CANARY, [], {},
    [None], [[]], [CANARY], {"reference": CANARY}, {"coding": [{"code": CANARY}]}, {"extension": [{"url": CANARY}]},
    {"a": {"b": {"c": CANARY}}}, "x" * 70_000, "http://example.org/" + CANARY, "Binary/" + CANARY, "#" + CANARY,
)  # fmt: skip
NAMES = ("status", "_status", "id", "meta", "text", "contained", "extension", "resourceType", "valueX", "é", "", "a b")
TYPES = ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport", "Encounter", "Patient", "Organization")


@pytest.fixture(scope="module")
def writer(served: Served) -> dict[str, str]:
    """One importer for all examples: tokens are not what is tried here."""
    return served.importer()


@pytest.fixture(scope="module")
def reader(served: Served) -> dict[str, str]:
    return served.headers("user/*.rs")


def _sound(type: str) -> dict[str, Any]:
    about = {"text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>'}}
    identified = {"identifier": [{"system": "urn:numbers", "value": CANARY}]}
    noted = {"note": [{"text": CANARY, "time": "2020"}]} if type == "Media" else {}
    return deepcopy(a(type, "-") | about | identified | noted)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) of a tree."""
    if isinstance(node, dict):
        return [place for name in node for place in ((node, name), *_places(node[name]))]
    if isinstance(node, list):
        return [place for index in range(len(node)) for place in ((node, index), *_places(node[index]))]
    return []


def _spoil(resource: Any, chance: random.Random) -> None:
    container, at = chance.choice(_places(resource))
    match chance.randrange(6):
        case 0:
            del container[at]
        case 1:
            container[at] = [container[at]]
        case 2 if isinstance(container, dict):
            container[chance.choice(NAMES)] = chance.choice(JUNK)
        case 3 if isinstance(container, dict):
            container[chance.choice(NAMES)] = container.pop(at)
        case 4 if isinstance(container, list):
            container.extend(deepcopy(container) * chance.randrange(1, 4))
        case _:
            container[at] = deepcopy(chance.choice(JUNK))


def _judge(served: Served, answer: httpx.Response, *, before: int) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert CANARY.lower() not in answer.text.lower()
        assert versions_stored(served) == before
    else:
        assert versions_stored(served) > before


@given(type=st.sampled_from(TYPES), seed=st.integers(0, 2**32), spoilt=st.integers(1, 3))
def test_spoilt_resources(served: Served, writer: dict[str, str], type: str, seed: int, spoilt: int) -> None:
    resource, chance = _sound(type), random.Random(seed)
    for _ in range(spoilt):
        assume(_places(resource))
        _spoil(resource, chance)
    before = versions_stored(served)
    content = json.dumps(resource).encode()
    answer = served.http.post(f"{served.base}/{type}", content=content, headers=writer)
    _judge(served, answer, before=before)


@given(seed=st.integers(0, 2**32), junk=st.binary(max_size=8))
def test_spoilt_text(served: Served, writer: dict[str, str], seed: int, junk: bytes) -> None:
    content, chance = bytearray(json.dumps(_sound("Media")).encode()), random.Random(seed)
    start = chance.randrange(len(content))
    content[start : start + chance.randrange(1, 6)] = junk
    before = versions_stored(served)
    answer = served.http.post(f"{served.base}/Media", content=bytes(content), headers=writer)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert versions_stored(served) == before


pieces = st.one_of(
    st.sampled_from(["status", "when", "patient", "identifier", "_id", "_sort", "_count", "_elements", "_type", "x"]),
    st.sampled_from(["=", "&", ":", ",", "|", "$", "\\", "%", "+", ".", "/", "ge", "missing", "not", "true", "2020"]),
    st.just(CANARY),
    st.text(max_size=4),
)


@given(
    path=st.sampled_from(["Media", "", "Patient", "Patient/anna/*", "Patient/anna/Media", "AuditEvent"]),
    query=st.lists(pieces, max_size=12).map("".join),
    lenient=st.booleans(),
)
def test_random_searches(served: Served, writer: dict[str, str], path: str, query: str, lenient: bool) -> None:
    raw = quote_from_bytes(query.encode("utf-8", "surrogatepass"), safe="=&:,|$\\%+./")
    url = httpx.URL(served.base).copy_with(raw_path=f"/fhir/{path}?{raw}".encode())
    headers = writer | ({"Prefer": "handling=lenient"} if lenient else {})
    answer = served.http.get(url, headers=headers)
    assert answer.status_code in (200, 400, 403, 404, 406, 410), answer.text
    body = answer.json()
    if answer.status_code == 200:
        assert body["type"] == "searchset"
    elif CANARY not in _names(query):
        assert CANARY not in answer.text


def _names(query: str) -> str:
    """What may be taken for names of parameters: refusals name them."""
    return " ".join(part.partition("=")[0] for part in query.split("&"))


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"]),
    steps=st.lists(
        st.sampled_from(
            ["Media", "anna", "_history", "1", "*", "_search", "$x", "metadata", "..", "%00", "%ff", "é", ""]
        ),
        max_size=6,
    ),
    name=st.sampled_from(["Accept", "If-Match", "If-None-Match", "Range", "Prefer", "Content-Type", "X-Request-Id"]),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_random_requests(
    served: Served, reader: dict[str, str], method: str, steps: list[str], name: str, value: str
) -> None:
    raw = "/fhir/" + "/".join(steps)
    url = httpx.URL(served.base).copy_with(raw_path=quote_from_bytes(raw.encode(), safe="/%*$").encode())
    answer = served.http.request(method, url, headers=reader | {name: value}, content=b"{}")
    assert answer.status_code < 500, answer.text
