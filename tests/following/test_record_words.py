"""Dropped words are read from the records themselves, within the time of the search that wants them."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends import index_along, index_chains, index_rows
from fhirmedia.backends.dropping_words import drop_words
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import EVERYTHING, All, FactIn, Text
from tests.app.commands import require
from tests.following.beside import asked, ids, put_media
from tests.following.worded import CONDITION, HELD, NOTE, ONE, speak
from tests.servers import serving


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder that was served, with words."""
    with serving(tmp_path / "data") as served:
        speak(served)
    return Folder(tmp_path / "data")


def test_words_beside_a_chain_about_one_patient(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    search = f"{ONE}&operator:Practitioner.active=true"
    inside = "Observation?patient=Patient/p&derived-from:Media.text=naevus&performer:Practitioner.active=true"
    with serving(folder.path) as served:
        for each in range(5):
            require(served.put({"resourceType": "Practitioner", "id": f"d{each}", "active": True}))
        operated = {"operator": {"reference": "Practitioner/d1"}}
        put_media(served, "operated", **operated, **NOTE)
        put_media(served, "silent", **operated)
        seen = {"derivedFrom": [{"reference": "Media/operated"}], "performer": [operated["operator"]]}
        require(served.put({**CONDITION, "resourceType": "Observation", "id": "seen", "status": "final", **seen}))
    monkeypatch.setattr(index_chains, "HOP_AT_MOST", 3)
    for is_dropped in (False, True):
        if is_dropped:
            drop_words(folder.records, HELD)
        with serving(folder.path) as served:
            assert ids(asked(served, search)) == {"operated"}
            assert ids(asked(served, f"{ONE}&operator:Practitioner.active=false")) == set()
    # Where the words are inside, that is answered first, and what is beside it as ever.
    monkeypatch.setattr(index_chains, "HOP_AT_MOST", 4)
    with serving(folder.path) as served:
        assert ids(asked(served, inside)) == {"seen"}


def test_words_two_hops_away_are_read_however_many_lie_between(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(folder.path) as served:
        put_media(served, "told", **NOTE)
        said = {**CONDITION, "resourceType": "Observation", "status": "final"}
        for id, of in (("near", "Media/told"), ("far", "Observation/near")):
            require(served.put({**said, "id": id, "derivedFrom": [{"reference": of}]}))
    for module, name in ((index_chains, "BOUNDED"), (index_chains, "FEW"), (index_along, "HOP_AT_MOST")):
        monkeypatch.setattr(module, name, 0)
    for is_dropped in (False, True):
        if is_dropped:
            drop_words(folder.records, HELD)
        with serving(folder.path) as served:
            deep = "Observation?derived-from:Observation.derived-from:Media.text=naevus"
            assert ids(asked(served, deep)) == {"far"}


class Slow:
    """Texts that take a while for each record."""

    def __init__(self, seconds: float) -> None:
        self.read: list[Key] = []
        self._seconds = seconds

    def __call__(self, _: sqlite3.Connection, keys: Sequence[Key]) -> Iterator[tuple[Key, Mapping[str, str]]]:
        for key in keys:
            self.read.append(key)
            time.sleep(self._seconds)
            yield key, {"text": "naevus"}


EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset({"Media"}), EVERYTHING),))
PAGE = Page(10)


def worded(*named: str) -> NarrowedQuery:
    """The word in these Media."""
    query = All((FactIn("id", frozenset(named)), Text("text", (("naevus",),))))
    return EVERYBODY.narrow(query, types=["Media"])


def test_reading_words_ends_with_its_search(folder: Folder) -> None:
    drop_words(folder.records, HELD)
    slow = Slow(0.3)
    index = SqlSearchIndex(folder.records, budget_s=0.2, texts=slow)
    with pytest.raises(Failure) as caught:
        asyncio.run(index.search(worded("m0", "m1", "said"), page=PAGE))
    assert caught.value.category is Category.TOO_COSTLY
    assert len(slow.read) == 1
    asyncio.run(index.close())


def test_all_searches_of_a_work_read_words_for_as_long_as_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_words(folder.records, HELD)
    monkeypatch.setattr(index_rows, "SEARCH_S", 0.5)
    slow = Slow(0.3)
    index = IndexWriter(texts=slow)
    with closing(open_writer(folder.records)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        index.begin(connection)
        for _work in range(2):
            assert [key.id for key in index.search(connection, worded("m0"), page=PAGE).keys] == ["m0"]
            with pytest.raises(Failure) as caught:
                index.search(connection, worded("m1", "m2", "said"), page=PAGE)
            assert caught.value.category is Category.TOO_COSTLY
            assert len(slow.read) == 2
            # The next one is another's.
            index.end_work()
            slow.read.clear()
        connection.rollback()
