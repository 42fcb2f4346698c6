"""A hidden id costs the work of an absent one: the same statements in the same order."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.errors import Failure
from tests.access.houses import House, anna, derm, house, importer
from tests.access.records import a, with_content

UPKEEP = frozenset({"audit-upkeep", "disclosures-upkeep", "wal-checkpoints"})
"""Threads that work by the clock, whatever is asked."""


class Watched(sqlite3.Connection):
    """A connection that notes what it is asked for an answer's sake."""

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if threading.current_thread().name not in UPKEEP and not statement.startswith("PRAGMA"):
            ASKED.append(statement)
        return super().execute(statement, *values)


ASKED: list[str] = []


@pytest.fixture
def living(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **more, factory=Watched))
    with house(tmp_path / "data") as opened:
        opened.put(importer(), a("Media", "hidden", of="bo", unit="eyes"))
        opened.put(importer(), a("Media", "ended", of="bo", unit="eyes"))
        opened.delete(importer(), "Media/ended")
        opened.put(importer(), a("Encounter", "hidden", of="bo", unit="eyes"))
        opened.upload(importer(), b"x" * 100_000, key="Binary/hidden")
        opened.upload(importer(), b"y", key="Binary/loose")
        opened.put(importer(), a("Media", "holds", of="bo", unit="eyes", **with_content("Binary/hidden")))
        yield opened


ACTS: dict[str, Callable[[House, Any, str], object]] = {
    "read": lambda h, who, id: h.read(who, f"Media/{id}"),
    "vread": lambda h, who, id: h.vread(who, f"Media/{id}", 1),
    "history": lambda h, who, id: h.history(who, f"Media/{id}"),
    "update": lambda h, who, id: h.put(who, a("Media", id)),
    "update of a version": lambda h, who, id: h.put(who, a("Media", id), expected=1),
    "delete": lambda h, who, id: h.delete(who, f"Media/{id}"),
    "search by id": lambda h, who, id: h.search(who, "Media", f"_id={id}"),
    "search by patient": lambda h, who, id: h.search(who, "Media", f"patient=Patient/{id}"),
    "bytes": lambda h, who, id: h.download(who, id),
    "new bytes": lambda h, who, id: h.upload(who, b"z", key=f"Binary/{id}"),
    "bytes deleted": lambda h, who, id: h.delete(who, f"Binary/{id}"),
    "claim": lambda h, who, id: h.create(who, a("Media", "x", **with_content(f"Binary/{id}"))),
    "reference": lambda h, who, id: h.create(who, a("Media", "x", encounter={"reference": f"Encounter/{id}"})),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("who", [derm(), anna()], ids=["derm", "anna"])
def test_hidden_is_as_much_work_as_absent(living: House, name: str, who: Any) -> None:
    work: dict[str, list[str]] = {}
    # Twice warm: the next write after one that brought new words to the index, whatever it is about, reads those words.
    for id in ("warm", "warm", "never", "hidden", "ended", "loose"):
        ASKED.clear()
        with suppress(Failure):
            ACTS[name](living, who, id)
        work[id] = list(ASKED)
    assert work["never"]
    assert {id: asked for id, asked in work.items() if id != "warm" and asked != work["never"]} == {}


def test_the_watch_sees_a_difference(living: House) -> None:
    """The control: what may be read is more work than what is not there."""
    ASKED.clear()
    living.read(importer(), "Media/hidden")
    living.download(importer(), "hidden")
    seen = len(ASKED)
    ASKED.clear()
    for act in (ACTS["read"], ACTS["bytes"]):
        with pytest.raises(Failure):
            act(living, derm(), "never")
    assert len(ASKED) < seen
