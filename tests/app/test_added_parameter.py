"""`fhirmedia reindex --parameter`: a search parameter comes in beside running servers."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.backends.filling import Filling
from fhirmedia.backends.folder import Folder
from fhirmedia.r4.added import read_added
from fhirmedia.r4.registry import load_registry
from tests.app.commands import a_media, command, port_of, require
from tests.servers import Served, make_demo_folder, served_process, serving

CODE = "title-of-picture"
URL = f"https://example.org/SearchParameter/{CODE}"


def definition(**changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": CODE,
        "url": URL,
        "name": "TitleOfPicture",
        "status": "active",
        "description": "What the picture is called.",
        "code": CODE,
        "base": ["Media"],
        "type": "string",
        "expression": "Media.content.title",
        **changed,
    }


def written(folder: Path, content: dict[str, Any] | None = None) -> Path:
    path = folder / "parameter.json"
    path.write_text(json.dumps(content or definition()))
    return path


def called(code: str, **changed: Any) -> dict[str, Any]:
    """The same under another name."""
    return definition(id=code, code=code, url=f"https://example.org/SearchParameter/{code}", **changed)


def pictures(first: int, number: int, title: str) -> list[dict[str, Any]]:
    return [a_media(f"m{each}", content={"title": f"{title} {each}"}) for each in range(first, first + number)]


def put_all(served: Served, resources: list[dict[str, Any]]) -> None:
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    require(served.http.post(served.base, json=bundle, headers=served.importer()))


def ask(served: Served, query: str) -> httpx.Response:
    """Whichever worker answers: a connection of its own for each request."""
    return served.http.get(f"{served.base}/{query}", headers={**served.importer(), "Connection": "close"})


def ids(served: Served, query: str) -> set[str]:
    return {entry["resource"]["id"] for entry in require(ask(served, query)).json().get("entry", ())}


def media(served: Served) -> int:
    return int(require(ask(served, "Media?_summary=count")).json()["total"])


def by_every_worker(condition: Callable[[], bool]) -> None:
    """Until it holds thirty times in a row, whichever worker answers; within twenty seconds."""
    until, held = time.monotonic() + 20, 0
    while held < 30:
        assert time.monotonic() < until
        held = held + 1 if condition() else 0


def advertised(served: Served) -> set[str]:
    """Where the parameter is told of."""
    found = set()
    statement = served.http.get(f"{served.base}/metadata").json()
    media = next(each for each in statement["rest"][0]["resource"] if each["type"] == "Media")
    if {"name": CODE, "definition": URL, "type": "string"} in media["searchParam"]:
        found.add("statement")
    root = served.base.removesuffix("/fhir")
    document = served.http.get(f"{root}/openapi.json").json()
    if CODE in {each.get("name") for each in document["paths"]["/Media"]["get"]["parameters"]}:
        found.add("openapi")
    if CODE in served.http.get(f"{root}/docs").text:
        found.add("docs")
    if ask(served, f"SearchParameter/{CODE}").status_code == 200:
        found.add("read")
    if ids(served, f"SearchParameter?url={URL}"):
        found.add("search")
    return found


EVERYWHERE = {"statement", "openapi", "docs", "read", "search"}


def refusal(served: Served, query: str) -> str:
    answer = ask(served, query)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["issue"][0]["diagnostics"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("added") / "data"
    make_demo_folder(path)
    with served_process(path, "--workers", "2") as (running, _):
        put_all(running, [{"resourceType": "Patient", "id": "p"}, *pictures(0, 120, "Wound")])
        yield running


def test_parameter_appears_after_backfill(served: Served, tmp_path: Path) -> None:
    path, own = written(tmp_path), load_registry()
    query = f"Media?{CODE}=wound&_count=1000"
    assert "is unknown on Media" in refusal(served, query)
    before = media(served)

    with Filling(Folder(served.folder), read_added(path.read_bytes(), own), own=own) as filling:
        assert filling.begin() == before
    put_all(served, pictures(120, 3, "Wound"))  # by processes that were started before the definition existed
    put_all(served, pictures(5, 1, "Scar"))
    require(served.http.delete(f"{served.base}/Media/m7", headers=served.importer()))
    by_every_worker(lambda: "cannot be searched by yet" in refusal(served, query))
    for name in (f"Patient?_has:Media:subject:{CODE}=wound", f"Observation?derived-from:Media.{CODE}=wound"):
        assert refusal(served, name)
    assert "cannot be searched by yet" in refusal(served, f"Media?_sort=-{CODE}")
    assert advertised(served) == set()
    lenient = served.http.get(f"{served.base}/{query}", headers=served.importer() | {"Prefer": "handling=lenient"})
    assert CODE not in next(link["url"] for link in lenient.json()["link"] if link["relation"] == "self")

    said = command("reindex", "--data", served.folder, "--parameter", CODE, "--port", port_of(served))
    assert said.code == 0, said.err
    assert f"{before - 2}/{before - 2}" in said.err  # what was written meanwhile is indexed already
    assert f"{CODE} of Media can be searched by" in said.out
    by_every_worker(lambda: ask(served, query).status_code == 200)
    assert ids(served, query) == {f"m{each}" for each in range(123)} - {"m5", "m7"}
    assert ids(served, f"Media?{CODE}=scar") == {"m5"}
    assert advertised(served) == EVERYWHERE
    assert ids(served, f"Media?{CODE}=scar&_sort={CODE}") == {"m5"}
    put_all(served, pictures(5, 1, "Burn"))
    assert ids(served, f"Media?{CODE}=scar") == set()
    assert ids(served, f"Media?{CODE}=burn") == {"m5"}

    checked = command("check", "--data", served.folder, "--port", port_of(served))
    assert checked.code == 0, checked.out
    again = command("reindex", "--data", served.folder, "--parameter", path, "--port", port_of(served))
    assert (again.code, again.out) == (0, f"{CODE} of Media can be searched by already.\n")


def fill_process(served: Served, parameter: Path | str) -> subprocess.Popen[str]:
    words = ["reindex", "--data", str(served.folder), "--parameter", str(parameter), "--port", port_of(served)]
    command = [sys.executable, "-m", "fhirmedia.cli.main", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_midway(served: Served, process: subprocess.Popen[str], code: str, number: int) -> tuple[str, str]:
    """Send the signal once something is done, and wait for the end."""
    place = f"file:{served.folder / 'records.db'}?mode=ro"
    until = time.monotonic() + 60
    with closing(sqlite3.connect(place, uri=True)) as connection:
        while True:
            row = connection.execute("SELECT value FROM idx_state WHERE name = ?", (f"fill/{code}",)).fetchone()
            if row is not None and json.loads(row[0])[2] > 0:
                break
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.001)
    os.kill(process.pid, number)
    return process.communicate(timeout=60)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, "caption"), (signal.SIGINT, "heading")])
def test_a_fill_that_was_stopped_goes_on(served: Served, tmp_path: Path, number: int, code: str) -> None:
    put_all(served, pictures(1000, 600, "Knee"))
    path = written(tmp_path, called(code))
    process = fill_process(served, path)
    said, warned = stop_midway(served, process, code, number)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on from here" in said
        assert "Traceback" not in warned
    by_every_worker(lambda: "cannot be searched by yet" in refusal(served, f"Media?{code}=knee"))

    again = command("reindex", "--data", served.folder, "--parameter", code, "--port", port_of(served))
    assert again.code == 0, again.err
    total = int(again.err.strip().splitlines()[-1].split("/")[1].split()[0])
    assert 0 < total < media(served)  # what was done is not done again
    by_every_worker(lambda: ask(served, f"Media?{code}=knee&_summary=count").status_code == 200)
    assert require(ask(served, f"Media?{code}=knee&_summary=count")).json()["total"] == 600


def test_a_definition_that_changes_is_filled_in_anew(served: Served, tmp_path: Path) -> None:
    put_all(served, [a_media("changing", content={"title": "Old"}, deviceName="New")])
    words = ("--data", served.folder, "--port", port_of(served))
    assert command("reindex", "--parameter", written(tmp_path, called("shown")), *words).code == 0
    by_every_worker(lambda: ask(served, "Media?shown=old").status_code == 200)
    assert ids(served, "Media?shown=old") == {"changing"}
    changed = called("shown", expression="Media.deviceName")
    assert command("reindex", "--parameter", written(tmp_path, changed), *words).code == 0
    by_every_worker(lambda: ask(served, "Media?shown=old").status_code == 200)
    assert ids(served, "Media?shown=old") == set()
    assert ids(served, "Media?shown=new") == {"changing"}
    put_all(served, [a_media("changing", content={"title": "Old"}, deviceName="Newer")])
    assert ids(served, "Media?shown=newer") == {"changing"}
    assert ids(served, "Media?shown=old") == set()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_folder(tmp_path_factory.mktemp("untouched") / "data").path


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"code": "created"}, "taken on Media"),
        ({"code": "when"}, "is not when"),
        ({"code": "_mine"}, "small letter"),
        ({"code": "a.b"}, "small letter"),
        ({"type": "composite"}, "of a type out of"),
        ({"base": ["AuditEvent"], "expression": "AuditEvent.type"}, "no type that is stored"),
        ({"base": ["Account"], "expression": "Account.name"}, "no type that is stored"),
        ({"expression": "Media.content.title.upper()"}, ""),
        ({"expression": "Observation.code"}, "no expression for Media"),
        ({"type": "reference"}, ""),
        ({"id": "device-name"}, "of the program"),
        ({"url": "http://hl7.org/fhir/SearchParameter/mine"}, "the standard's"),
        ({"status": "fine"}, ""),
    ],
)
def test_what_cannot_be_served_is_not_added(
    untouched: Path, tmp_path: Path, changed: dict[str, Any], text: str
) -> None:
    said = command("reindex", "--data", untouched, "--parameter", written(tmp_path, {**definition(), **changed}))
    assert said.code == 1
    assert text in said.sentence
    with closing(sqlite3.connect(untouched / "records.db")) as connection:
        assert connection.execute("SELECT count(*) FROM idx_state").fetchone() == (0,)


def test_what_is_neither_a_file_nor_known_is_refused(untouched: Path) -> None:
    said = command("reindex", "--data", untouched, "--parameter", "nothing")
    assert (said.code, "neither a file" in said.sentence) == (1, True)


def test_a_second_fill_waits_its_turn(untouched: Path, tmp_path: Path) -> None:
    with Folder(untouched).hold_filling():
        said = command("reindex", "--data", untouched, "--parameter", written(tmp_path))
    assert (said.code, "wait for it" in said.sentence) == (1, True)


def test_a_whole_reindex_completes_what_was_begun(tmp_path: Path) -> None:
    path, own = tmp_path / "data", load_registry()
    folder = make_demo_folder(path)
    parameter = read_added(written(tmp_path).read_bytes(), own)
    with serving(path) as served:
        put_all(served, [{"resourceType": "Patient", "id": "p"}, *pictures(0, 3, "Wound")])
    with Filling(folder, parameter, own=own) as filling:
        filling.begin()
    with serving(path) as served:
        assert "cannot be searched by yet" in refusal(served, f"Media?{CODE}=wound")
    assert command("reindex", "--data", path, "--port", port_of(served)).code == 0
    with serving(path) as served:
        assert ids(served, f"Media?{CODE}=wound") == {"m0", "m1", "m2"}
        assert advertised(served) == EVERYWHERE
