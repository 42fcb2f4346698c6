"""Made-up requests over the whole API: nothing breaks, nothing hidden comes out, nothing is left half done."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests

from tests.access.records import ABOUT, CLINICAL, a, places, put, put_bytes
from tests.app.commands import command
from tests.fuzz.asking import Share, aimed, cases, kinds_of_calls, searches
from tests.media.pictures import encoded, photo
from tests.servers import Served, serving

CANARY = "kanariefugl"
SHORT, LONG = Share(plain=80, costly=6, searches=110), Share(plain=240, costly=40, searches=300)
LEAST, LEAST_LONG = 3_000, 100_000
SUCCEED_AT_LEAST = 0.3
CONCERNED = (*CLINICAL, *ABOUT)
COSTLY = frozenset({
    "POST /", "POST /{type}", "PUT /{type}", "PUT /{type}/{id}", "PATCH /{type}", "PATCH /{type}/{id}",
    "GET /{type}", "DELETE /{type}",
})  # fmt: skip
"""Calls whose bodies are resources, or that have a parameter for everything."""
SEARCHED = frozenset({"GET /{type}", "GET /", "DELETE /{type}"})


def furnish(served: Served) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Ids by type of what the caller may see, and of what is hidden and tells a canary."""
    put(served, *places())
    put_bytes(served, "seen", encoded(photo(), "PNG"), content_type="image/png")
    put_bytes(served, "unseen", CANARY.encode() * 20)
    content: dict[str, Any] = {
        "Media": {"content": {"url": "Binary/seen", "contentType": "image/png"}},
        "DocumentReference": {"content": [{"attachment": {"url": "Binary/seen"}}]},
    }
    secret = {"text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>'}}
    told: dict[str, Any] = {"Media": {"content": {"url": "Binary/unseen", "title": CANARY}}}
    put(served, *(a(type, f"seen-{n}", **content.get(type, {})) for type in CONCERNED for n in range(3)))
    hidden = [a(type, f"unseen-{CANARY}", unit="eyes", **secret, **told.get(type, {})) for type in CONCERNED]
    put(served, *hidden)
    there = {type: [f"seen-{n}" for n in range(3)] for type in CONCERNED}
    there |= {"Patient": ["anna", "bo"], "Organization": ["derm", "north"], "Practitioner": ["dr"], "Binary": ["seen"]}
    unseen = {type: [f"unseen-{CANARY}"] for type in CONCERNED} | {"Binary": ["unseen"]}
    return there, unseen


def test_made_up_requests(
    tmp_path: Path, full_counts: bool, random_seed: int, record_property: Callable[[str, object], None]
) -> None:
    chance, share = Random(random_seed), LONG if full_counts else SHORT
    outcomes: Counter[int] = Counter()
    wrong: list[str] = []
    with serving(tmp_path / "data") as served, requests.Session() as session:
        there, hidden = furnish(served)
        document = served.http.get(served.base.removesuffix("/fhir") + "/openapi.json").json()
        kinds = kinds_of_calls(document)
        for kind, operations in sorted(kinds.items()):
            chosen = operations if full_counts else [chance.choice(operations)]
            session.headers["Authorization"] = f"Bearer {served.token(units=['derm'])}"
            for operation in chosen:
                made = cases(operation, share.costly if kind in COSTLY else share.plain, turn=random_seed)
                more = searches(operation, share.searches, chance) if kind in SEARCHED else ()
                for case in chain(made, more):
                    wrong += judged(aimed(case, chance, there=there, hidden=hidden), served, session, outcomes)
        record_property("requests", outcomes.total())
        record_property("answers by status", dict(sorted(outcomes.items())))
    wholesome = command("check", "--data", tmp_path / "data")
    assert wrong == []
    assert wholesome.code == 0, wholesome.out + wholesome.err
    assert outcomes.total() >= (LEAST_LONG if full_counts else LEAST)
    succeeded = sum(number for status, number in outcomes.items() if status < 300)
    assert succeeded >= SUCCEED_AT_LEAST * outcomes.total(), outcomes


def judged(case: Any, served: Served, session: requests.Session, outcomes: Counter[int]) -> list[str]:
    """Send one request; what is wrong with its answer."""
    sent = case.as_transport_kwargs(base_url=served.base)
    headers = {name: value for name, value in sent.get("headers", {}).items() if name != "Authorization"}
    # Making up a request may take longer than the server keeps an idle connection.
    sent["headers"] = headers | {"Connection": "close"}
    answer = session.request(**sent, timeout=60, allow_redirects=False)
    outcomes[answer.status_code] += 1
    told = case.as_curl_command()[:3000]
    found = []
    if answer.status_code >= 500:
        found.append(f"{answer.status_code}: {told}")
    if CANARY.encode() in answer.content and CANARY not in json.dumps(str(sent)):
        found.append(f"shows what is hidden: {told}")
    if answer.status_code >= 400 and case.method != "HEAD":
        body = answer.content
        if b"OperationOutcome" not in body:
            found.append(f"a refusal without an outcome: {told}")
    return found


@pytest.fixture
def random_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, said in its header."""
    return int(request.config.getoption("randomly_seed", 0) or 0) % 2**32
