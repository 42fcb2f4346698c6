"""An archive with a search index beside it, and what is asked of both."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.backends.following.waking import Bell
from fhirmedia.core.clock import Clock, system_clock
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.settings import Settings
from tests.app.commands import Said, a_media, command, port_of, require
from tests.servers import Served, serving
from tests.waiting import until

PATIENT_SCOPED, ACROSS = "Media?patient=Patient/p&_count=1000", "Media?status=completed&_count=1000"


ENGINES = ["database", pytest.param("elasticsearch", marks=pytest.mark.services)]
"""Parameters of a fixture that serves a folder with either: the database alone, or an index beside it."""


@contextmanager
def served_by(request: pytest.FixtureRequest, path: Path, *, clock: Clock = system_clock) -> Iterator[Served]:
    """The application on a folder with the engine that is the parameter of a module's fixture."""
    if request.param == "database":
        with serving(path, clock=clock) as served:
            yield served
        return
    with indexed(path, request.getfixturevalue("module_index_address"), clock=clock) as served:
        yield served


@contextmanager
def indexed(path: Path, address: str, *, answers: bool = True, clock: Clock = system_clock) -> Iterator[Served]:
    """The application on a folder with an index; with `answers` once the index answers."""
    settings = Settings(environment="test", index=parse_index_address(address))
    with serving(path, settings, clock=clock) as served:
        if answers:
            until(lambda: index_state(served)["answers"])
        yield served


def index_state(served: Served) -> dict[str, Any]:
    """How the server says its index stands; the server is ready all the while."""
    state: dict[str, Any] = _readiness(served)["index"]
    return state


def _readiness(served: Served) -> dict[str, Any]:
    answer = served.http.get(served.base.removesuffix("/fhir") + "/readyz")
    assert answer.status_code == 200
    ready: dict[str, Any] = answer.json()
    return ready


def drained(served: Served) -> None:
    """Once the index has everything, and searches find it."""
    until(lambda: index_state(served)["answers"] and index_state(served)["outbox_depth"] == 0)


def caught_up(served: Served) -> None:
    """The same; at once where there is no index."""
    if _readiness(served).get("index"):
        drained(served)


def asked(served: Served, search: str, **headers: str) -> httpx.Response:
    """The answer to a search, as importer."""
    return served.http.get(f"{served.base}/{search}", headers=served.importer() | headers)


def ids(answer: httpx.Response) -> set[str]:
    """Ids of the matches."""
    entries = require(answer).json().get("entry", ())
    return {entry["resource"]["id"] for entry in entries if entry["search"]["mode"] == "match"}


def remarks(answer: httpx.Response) -> list[str]:
    """What the outcome entry says."""
    entries = require(answer).json().get("entry", ())
    outcomes = (entry["resource"] for entry in entries if entry["search"]["mode"] == "outcome")
    return [issue["diagnostics"] for outcome in outcomes for issue in outcome["issue"]]


def engine_of(served: Served, search: str) -> tuple[str, str]:
    """Who would answer, and why."""
    place, _, query = search.partition("?")
    answer = require(asked(served, f"{place}/$explain-search?{query}".lstrip("/"))).json()
    told = {part["name"]: part.get("valueString") for part in answer["parameter"]}
    return told["engine"], told["why"]


def put_media(served: Served, identity: str, **more: Any) -> None:
    """Write a Media of patient `p`."""
    require(served.put(a_media(identity, **more)))


def put_many(served: Served, number: int, *, name: str = "many") -> None:
    """Write that many Media of patient `p`, 500 in a transaction."""
    for start in range(0, number, 500):
        each = [a_media(f"{name}-{one}") for one in range(start, min(start + 500, number))]
        entries = [{"resource": media, "request": {"method": "PUT", "url": f"Media/{media['id']}"}} for media in each]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        require(served.http.post(served.base, json=bundle, headers=served.importer()))


def delete_media(served: Served, identity: str) -> None:
    """Delete a Media."""
    require(served.http.delete(f"{served.base}/Media/{identity}", headers=served.importer()))


def run(served: Served, *words: str, address: str) -> Said:
    """A command on the folder of a running server."""
    return command(*words, "--data", served.folder, "--port", port_of(served), FHIRMEDIA_INDEX=address)


def require_no_difference(served: Served, address: str) -> None:
    """`fhirmedia reindex verify` finds the index to be what it should."""
    said = run(served, "reindex", "verify", address=address)
    assert said.code == 0, said.out + said.err
    assert " 0 differences" in said.out


def rows(served: Served, statement: str) -> list[tuple[Any, ...]]:
    """What the database says."""
    with closing(sqlite3.connect(served.folder / "records.db", timeout=30)) as connection, connection:
        return connection.execute(statement).fetchall()


def ring(served: Served) -> None:
    """Wake the workers."""
    Bell(served.folder / "run" / "index.bell").ring()


def live(served: Served) -> str:
    """The generation that answers."""
    ((name,),) = rows(served, "SELECT name FROM index_generation WHERE state = 'live'")
    return str(name)


def live_or_none(served: Served) -> str | None:
    """The same; None while none does."""
    try:
        return live(served)
    except ValueError:
        return None


def begin(served: Served) -> None:
    """A Patient with three pictures."""
    require(served.put({"resourceType": "Patient", "id": "p"}))
    for each in range(3):
        put_media(served, f"m{each}")
