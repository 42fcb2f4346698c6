"""Walks of pages while others write: what nobody touched is met once, and nothing that was written late is missed."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count as numbers
from typing import Any

import pytest

from tests.access.records import a, places
from tests.fhir.rest import link, matches, refusal
from tests.following.beside import ENGINES, caught_up, served_by
from tests.servers import Served

QUIET = [f"quiet-{number:02}" for number in range(30)]
"""Nobody touches these while a walk is under way."""
BUSY = [f"busy-{number:02}" for number in range(12)]
"""These are changed all the time, and always match."""
PAGE = 4

KINDS = {
    "type": "Media?status=completed",
    "words": "Media?_content=okapi",
    "words of ours": "Media?text=okapi&status:not=stopped",
    "chain": "Media?encounter.status=finished",
    "compartment": "Patient/bo/Media?status=completed",
    "system": "?_type=Media,DocumentReference&patient=bo&_content=okapi",
    "reference": "Media?patient=bo",
    "date": "Media?when=2024",
}
ORDERS = ("", "_sort=-when", "_sort=when,_id", "_sort=-_lastUpdated", "_sort=device-name")


def picture(id: str, step: int, *, quiet: bool = False) -> dict[str, Any]:
    """Its date and name change with each step, across the whole of what is walked."""
    day = hash_of(id) if quiet else (hash_of(id) + 7 * step) % 28
    return a(
        "Media", id, of="bo", createdDateTime=f"2024-01-{1 + day:02}", deviceName=f"name {day:02}",
        note=[{"text": f"okapi {step}"}], encounter={"reference": "Encounter/e"},
    )  # fmt: skip


def hash_of(id: str) -> int:
    return sum(map(ord, id)) * 11 % 28


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_by(request, tmp_path_factory.mktemp("walks") / "data") as server:
        whole = [*places(), a("Encounter", "e", of="bo", text=narrative("okapi"))]
        whole.append(a("List", "l", entry=[{"item": {"reference": f"Media/{id}"}} for id in QUIET]))
        whole += [*(picture(id, 0, quiet=True) for id in QUIET), *(picture(id, 0) for id in BUSY)]
        entries = [
            {"request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}, "resource": each}
            for each in whole
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert server.http.post(server.base, json=bundle, headers=server.importer()).status_code == 200
        caught_up(server)
        yield server


def narrative(words: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'}


class Writer:
    """Changes the busy ones, makes new ones before and behind every walk, and deletes them again."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._headers = served.importer()
        self._numbers = numbers(1)
        self.versions: dict[str, int] = {}

    def step(self) -> None:
        number = next(self._numbers)
        id = BUSY[number % len(BUSY)]
        answer = self._served.put(picture(id, number), self._headers)
        assert answer.status_code == 200, answer.text
        self.versions[id] = int(answer.json()["meta"]["versionId"])
        passing = f"{'az'[number % 2]}-passing"
        if number % 3:
            self._served.put(picture(passing, number), self._headers)
        else:
            self._served.http.delete(f"{self._served.base}/Media/{passing}", headers=self._headers)


@contextmanager
def writing(served: Served) -> Iterator[Writer]:
    """A writer at work in a thread of its own."""
    writer, ended = Writer(served), threading.Event()

    def work() -> None:
        while not ended.is_set():
            writer.step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield writer
    finally:
        ended.set()
        thread.join()


def walked(served: Served, query: str, writer: Writer | None = None) -> Iterator[dict[str, Any]]:
    """Every match of every page; between two pages the writer takes some steps, besides what it does of itself."""
    headers = served.headers("user/*.rs")
    following: str | None = f"{served.base}/{query}&_count={PAGE}"
    while following is not None:
        page = served.http.get(following, headers=headers)
        assert page.status_code == 200, page.text
        yield from matches(page.json())
        following = link(page.json(), "next")
        for _ in range(3 if writer else 0):
            writer and writer.step()


def met(found: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(each["id"] for each in found)


@pytest.mark.parametrize("kind", KINDS)
def test_walk_equals_set_under_writes(served: Served, kind: str) -> None:
    """Guarantees: what is untouched is met exactly once in any order; in the default order so is what changed."""
    for order in ORDERS if kind == "type" else ORDERS[:3:2] if kind == "system" else ORDERS[:2]:
        found = met(list(walked(served, f"{KINDS[kind]}&{order}".removesuffix("&"), Writer(served))))
        assert {id: found[id] for id in QUIET} == dict.fromkeys(QUIET, 1), order
        if not order:
            assert {id: found[id] for id in BUSY} == dict.fromkeys(BUSY, 1)


@pytest.mark.parametrize("kind", ["type", "words", "system"])
def test_walks_beside_a_writer_that_waits_for_nobody(served: Served, kind: str) -> None:
    with writing(served):
        for order in ORDERS[:3]:
            found = met(list(walked(served, f"{KINDS[kind]}&{order}".removesuffix("&"))))
            assert {id: found[id] for id in QUIET} == dict.fromkeys(QUIET, 1), order
            if not order:
                assert {id: found[id] for id in BUSY} == dict.fromkeys(BUSY, 1)


@pytest.mark.parametrize("kind", ["type", "words", "chain", "compartment"])
def test_nothing_written_late_is_missed_in_the_order_of_changes(served: Served, kind: str) -> None:
    """A changed resource comes again, in its new version, so whoever walks by `_lastUpdated` ends up to date."""
    writer, headers = Writer(served), served.headers("user/*.rs")
    seen: list[tuple[str, int]] = []
    following: str | None = f"{served.base}/{KINDS[kind]}&_sort=_lastUpdated&_count={PAGE}"
    for page_number in numbers():
        if following is None:
            break
        page = served.http.get(following, headers=headers).json()
        seen += [(each["id"], int(each["meta"]["versionId"])) for each in matches(page)]
        following = link(page, "next")
        if page_number < 12 and following is not None:
            writer.step()
    newest = dict(seen)
    assert set(QUIET) <= newest.keys()
    assert writer.versions
    assert {id: newest[id] for id in writer.versions} == writer.versions
    assert len(seen) > len(newest), "the control: some were met twice"


def test_pages_by_number_would_lose_some(served: Served) -> None:
    """The control: cut by number instead of by place, the same walk under the same writes misses or repeats."""
    for id in ("0-a", "0-b", "0-c", "0-d", "0-e", "0-f"):
        assert served.put(picture(id, 0), served.importer()).status_code in (200, 201)
    headers, found, page = served.headers("user/*.rs"), Counter[str](), 0
    while True:
        whole = served.http.get(f"{served.base}/{KINDS['compartment']}&_count=1000", headers=headers).json()
        cut = matches(whole)[page * PAGE : (page + 1) * PAGE]
        if not cut:
            break
        found.update(each["id"] for each in cut)
        if page < 6:
            gone = ("0-a", "0-b", "0-c", "0-d", "0-e", "0-f")[page]
            served.http.delete(f"{served.base}/Media/{gone}", headers=served.importer())
        page += 1
    assert {id: found[id] for id in QUIET} != dict.fromkeys(QUIET, 1)


MORE_KINDS = {
    **KINDS,
    "_has": "Media?_has:List:item:status=current",
    "include": "Media?_include=Media:encounter",
    "history": "Media/_history?_since=2000-01-01T00:00:00Z",
    "everything": "Patient/bo/$everything?_type=Media",
}


@pytest.mark.parametrize("kind", MORE_KINDS)
def test_cursors_are_one_callers(served: Served, kind: str) -> None:
    mine = served.headers("user/*.rs")
    first = served.http.get(f"{served.base}/{MORE_KINDS[kind]}&_count=2", headers=mine)
    assert first.status_code == 200, first.text
    following = link(first.json(), "next")
    assert following is not None
    assert served.http.get(following, headers=mine).status_code == 200
    for other in (
        served.headers("user/*.rs", user="Practitioner/dr"),
        served.headers("user/Media.rs user/Patient.rs user/Encounter.rs user/List.rs user/DocumentReference.rs"),
        served.headers("patient/*.rs", patient="bo"),
        served.headers("system/*.cruds"),
    ):
        assert refusal(served.http.get(following, headers=other), 403)["code"] == "forbidden"
    text = following.partition("_cursor=")[2]
    refusal(
        served.http.get(following.replace(text, text[:-2] + ("AA" if text[-2:] != "AA" else "BB")), headers=mine), 400
    )
