"""A page comes before its total: where there is no time left to count, the engines leave the total out."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import DateTest, Match, Not, OfType, Query
from fhirmedia.r4.values import DateValue, IndexEntries
from tests.contracts.beside import filled
from tests.laws.shapes import FixedShape

TYPES = frozenset({"Media"})
COSTLY = Not(Match("when", tuple(DateTest("sa", number, number) for number in range(2000, 2200))))
NO_TIME, TIME = 0.0, 10.0


def narrowed(query: Query) -> NarrowedQuery:
    return Grant((Rule(frozenset(ACTIONS), TYPES, OfType(TYPES)),)).narrow(query, types=TYPES)


def media(count: int) -> Iterable[tuple[Record, IndexEntries]]:
    for number in range(count):
        key, facts = Key("Media", f"m{number:03}"), Facts(patients=("p",))
        entries = IndexEntries(key, {"when": (DateValue(number, number + 1),)}, facts.patients)
        yield Record(key, 1, number + 1, number, "create", b"{}", facts), entries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(open_writer(tmp_path / "records.db")) as connection:
        make_schema(connection)
        _write(connection)
    return tmp_path / "records.db"


def _write(connection: sqlite3.Connection) -> None:
    writer = IndexWriter()
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    for record, entries in media(800):
        writer.put(connection, record, entries)
    connection.execute("COMMIT")


def hits(path: Path, page: Page, *, budget_s: float) -> Hits:
    async def run() -> Hits:
        index = SqlSearchIndex(path, readers=1, budget_s=budget_s)
        try:
            return await index.search(narrowed(COSTLY), page=page)
        finally:
            await index.close()

    return asyncio.run(run())


@pytest.mark.parametrize("page", [Page(2, total="accurate"), Page(2, total="bounded")], ids=lambda page: page.total)
def test_in_the_database(path: Path, page: Page) -> None:
    found = hits(path, page, budget_s=NO_TIME)
    assert ([key.id for key in found.keys], found.total) == (["m000", "m001"], None)
    assert found.next is not None
    assert hits(path, page, budget_s=TIME).total == 800


def test_alone_it_is_refused(path: Path) -> None:
    with pytest.raises(Failure) as caught:
        hits(path, Page(0, total="accurate"), budget_s=NO_TIME)
    assert caught.value.category is Category.TOO_COSTLY


@pytest.mark.services
def test_in_elasticsearch(index_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [DocumentChange(record, record.sequence, entries) for record, entries in media(3)]
    monkeypatch.setattr("fhirmedia.backends.elastic.searching.COUNTED_ALONG", 2)

    async def run() -> None:
        shapes = FixedShape(ZoneInfo("Europe/Stockholm"))
        engine = ElasticEngine(parse_index_address(index_address), shapes, budget_s=TIME)
        try:
            index, query, page = await filled(engine, "g", changes), narrowed(OfType(TYPES)), Page(1, total="accurate")
            assert (await index.search(query, page=page)).total == 3
            monkeypatch.setattr("fhirmedia.backends.elastic.searching._GRACE_S", 0.0)
            monkeypatch.setattr("fhirmedia.backends.elastic.index.COUNT_S", NO_TIME)
            found = await index.search(query, page=page)
            assert ([key.id for key in found.keys], found.total) == (["m000"], None)
            assert (await index.search(query, page=Page(0, total="accurate"))).total == 3
        finally:
            await engine.close()

    asyncio.run(run())
