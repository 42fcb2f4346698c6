"""How much the SQL index does for its answers: statements and their plans, never times."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends import index_along, index_chains, index_drivers, index_facets, index_plan
from fhirmedia.backends.index_facets import SqlIndexCounts
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.index_state import IndexState
from fhirmedia.backends.index_terms import KnownTerms
from fhirmedia.backends.index_words import equip
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import (
    EVERYTHING,
    All,
    Any,
    Chain,
    DateTest,
    FactHas,
    Has,
    Match,
    Not,
    OfType,
    Query,
    ReferenceTest,
    SortKey,
    Text,
    TokenTest,
)
from fhirmedia.r4.values import DateValue, IndexEntries, ReferenceValue, TokenValue
from tests.laws.archives import TYPES, Archive

FULL = Grant((Rule(frozenset(ACTIONS), frozenset(TYPES), EVERYTHING),))
NEWEST = (SortKey("when", descending=True),)
DAY = 86_400_000
STOCKHOLM = ZoneInfo("Europe/Stockholm")
NUMBER = 60


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Pictures of thirty patients; every third speaks of a scar, every other is healed."""
    with closing(open_writer(tmp_path / "records.db")) as opened:
        make_schema(opened)
        equip(opened)
        writer = IndexWriter()
        opened.execute("BEGIN IMMEDIATE")
        writer.begin(opened)
        for number in range(NUMBER):
            key, patient = Key("Media", f"m{number:02}"), Key("Patient", f"p{number % 30}")
            said = ("scar " if number % 3 == 0 else "") + ("healed" if number % 2 == 0 else "open")
            values = {
                "identifier": (TokenValue("i", str(number)),),
                "subject": (ReferenceValue(patient),),
                "when": (DateValue(number * DAY, (number + 1) * DAY),),
            }
            entries = IndexEntries(key, values, (patient.id,), {"text": said})
            writer.put(
                opened, Record(key, 1, number + 1, number, "create", b"{}", Facts(patients=(patient.id,))), entries
            )
        opened.execute("COMMIT")
        yield opened


def narrowed(query: Query) -> NarrowedQuery:
    return FULL.narrow(query, types=frozenset({"Media"}))


def asked(connection: sqlite3.Connection, query: Query, page: Page) -> tuple[list[str], int | None, list[str]]:
    """Ids, total and the statements that found them."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    try:
        hits = IndexState(connection, KnownTerms()).hits(narrowed(query).query, page)
    finally:
        connection.set_trace_callback(None)
    return [key.id for key in hits.keys], hits.total, statements


SCARRED = Text("text", (("scar", "heal"),))
SIX = [f"m{number:02}" for number in range(54, -1, -6)]


def test_words_are_looked_for_once_and_listed(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_plan, "READ_AT_MOST", 3)
    ids, total, statements = asked(connection, SCARRED, Page(4, NEWEST, total="bounded"))
    assert (ids, total) == (SIX[:4], 10)
    assert sum("MATCH" in each for each in statements) == 1


def test_among_few_the_words_of_each_are_read(connection: sqlite3.Connection) -> None:
    of_one = Match("identifier", (TokenTest("6", "i"), TokenTest("7", "i"), TokenTest("12", "i")))
    ids, total, statements = asked(connection, All((of_one, SCARRED)), Page(4, NEWEST, total="bounded"))
    assert (ids, total) == (["m12", "m06"], 2)
    assert not any("MATCH" in each for each in statements)


def test_too_many_words_to_list_are_tested_along_the_order(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_drivers, "WORDS_LISTED", 5)
    monkeypatch.setattr(index_plan, "VISITED_FOR_TOTAL", 5)
    monkeypatch.setattr(index_plan, "isqrt", lambda _: 2)
    ids, _, statements = asked(connection, SCARRED, Page(4, NEWEST, total="none"))
    assert ids == SIX[:4]
    page = next(each for each in statements if "ORDER BY" in each and not each.startswith("--"))
    assert "r.rid IN (SELECT t.rowid" in page
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {page}")]
    assert not any("CORRELATED" in each for each in steps)


def test_a_page_that_is_sorted_brings_its_total(connection: sqlite3.Connection) -> None:
    three = Match("identifier", tuple(TokenTest(str(number), "i") for number in (6, 7, 12)))
    ids, total, statements = asked(connection, three, Page(2, NEWEST, total="bounded"))
    assert (ids, total) == (["m12", "m07"], 3)
    tests = [each for each in statements if "res_row r" in each and "max(rid)" not in each]
    assert len(tests) == 1


def test_a_resource_is_compared_with_a_long_list_once(connection: sqlite3.Connection) -> None:
    people = Match("subject", tuple(ReferenceTest(Key("Patient", f"p{number}")) for number in range(20)))
    connection.execute("UPDATE idx_term SET many = 0")
    for query in (people, All((Match("identifier", (TokenTest("6", "i"),)), people))):
        ids, _, statements = asked(connection, query, Page(1, NEWEST))
        assert ids == ["m49" if query is people else "m06"]
        page = next(each for each in statements if "ORDER BY" in each and not each.startswith("--"))
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {page}")]
        looks = [each for each in steps if "idx_reference_rid" in each]
        assert all(each.endswith("(rid=? AND param=?)") for each in looks)
    assert looks


def test_a_value_that_no_resource_has_does_not_hide_where_to_begin(connection: sqlite3.Connection) -> None:
    """As of a chain whose targets may be contained: none here contains a Patient."""
    people = Match("subject", tuple(ReferenceTest(Key("Patient", f"p{number}")) for number in range(3)))
    inside = Match("subject:Patient.birthdate", (DateTest("eq", 0, DAY),))
    for query in (Any((people, inside)), Any((inside, people))):
        _, plan = IndexState(connection, KnownTerms()).plan(narrowed(query).query, Page(5, NEWEST))
        assert plan.shape.startswith("D value of ")
        assert plan.counted.rows == 6


def test_what_many_have_is_found_along_the_order(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inner queries of many answers are asked of the first resources, and answered whole where these do not suffice."""
    whole = IndexState(connection, KnownTerms())
    writer = IndexWriter()
    writer.begin(connection)
    for number in range(30):
        key = Key("Patient", f"p{number}")
        entries = IndexEntries(key, {"gender": (TokenValue(None, "male" if number % 2 else "female"),)}, (key.id,))
        record = Record(key, 1, NUMBER + number + 1, number, "create", b"{}", Facts(patients=(key.id,)))
        writer.put(connection, record, entries)
    men = All((OfType(frozenset({"Patient"})), Match("gender", (TokenTest("male"),))))
    pictures = All((OfType(frozenset({"Media"})), Chain("subject", men)))
    pictured = All((OfType(frozenset({"Patient"})), Has("subject", OfType(frozenset({"Media"})))))
    for query in (pictures, pictured):
        pages = [whole.hits(query, Page(7, NEWEST, total="bounded"))]
        pages.append(whole.hits(query, Page(7, NEWEST, after=pages[0].next, total="bounded")))
        assert pages[0].total == 30
        with monkeypatch.context() as patched:
            patched.setattr(index_chains, "BOUNDED", 1)
            patched.setattr(index_chains, "FEW", 1)
            patched.setattr(index_along, "HOP_AT_MOST", 10)
            patched.setattr(index_chains, "HOP_AT_MOST", 10)
            found = [
                whole.hits(query, Page(7, NEWEST, after=after, total="bounded")) for after in (None, pages[0].next)
            ]
            assert [(each.keys, each.next) for each in found] == [(each.keys, each.next) for each in pages]
            assert found[0].total is None, "it is not counted what so much leads to"
            patched.setattr(index_along, "ASKED", 5)
            with pytest.raises(Failure) as caught:
                whole.hits(query, Page(7, NEWEST))
            assert caught.value.category is Category.TOO_COSTLY
            patched.setattr(index_along, "ASKED", 2_000)
            patched.setattr(index_along, "PASSED", 5)
            with pytest.raises(Failure):
                whole.hits(query, Page(7, NEWEST))
            patched.setattr(index_chains, "HOP_AT_MOST", 100)
            assert whole.hits(query, Page(7, NEWEST, total="bounded")) == pages[0]


def test_what_is_hidden_is_not_asked_what_it_leads_to(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the bound of what is asked tells nothing of it; whichever way the parts of the query stand."""
    writer = IndexWriter()
    writer.begin(connection)
    for number in range(30):
        key = Key("Patient", f"p{number}")
        record = Record(key, 1, NUMBER + number + 1, number, "create", b"{}", Facts(patients=(key.id,)))
        writer.put(connection, record, IndexEntries(key, {"gender": (TokenValue(None, "male"),)}, (key.id,)))
    for number in range(500):
        key = Key("Media", f"hidden{number}")
        entries = IndexEntries(key, {"when": (DateValue((100 + number) * DAY, (101 + number) * DAY),)}, ("p1",))
        facts = Facts(patients=("p1",), labels=("secret",))
        writer.put(connection, Record(key, 1, 1_000 + number, number, "create", b"{}", facts), entries)
    for module, name, bound in (
        (index_chains, "BOUNDED", 1), (index_chains, "FEW", 1), (index_chains, "HOP_AT_MOST", 10),
        (index_along, "HOP_AT_MOST", 10), (index_along, "ASKED", 7),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, bound)
    men = All((OfType(frozenset({"Patient"})), Match("gender", (TokenTest("male"),))))
    parts = (Chain("subject", men), Not(FactHas("labels", frozenset({"secret"}))), OfType(frozenset({"Media"})))
    for query in (All(parts), All(parts[::-1])):
        hits = IndexState(connection, KnownTerms()).hits(query, Page(5, NEWEST))
        assert [key.id for key in hits.keys] == [f"m{number}" for number in range(59, 54, -1)]


async def _asked_at_once(connection: sqlite3.Connection, query: Query) -> list[str]:
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    index = SqlSearchIndex(Path(path), readers=1)
    try:
        hits = await index.search(narrowed(query), page=Page(5))
        buckets = await SqlIndexCounts(index, zone=STOCKHOLM).buckets(narrowed(query), by="year", with_patients=False)
    finally:
        await index.close()
    assert sum(each.count for each in buckets) == len(hits.keys)
    return [key.id for key in hits.keys]


def test_a_look_up_needs_no_thread(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    async def within(_index: SqlSearchIndex, _work: object) -> None:
        raise AssertionError("it was handed to a thread")

    monkeypatch.setattr(SqlSearchIndex, "within", within)
    for query, wanted in (
        (Match("identifier", (TokenTest("6", "i"),)), ["m06"]),
        (Match("subject", (ReferenceTest(Key("Patient", "p6")),)), ["m06", "m36"]),
    ):
        assert asyncio.run(_asked_at_once(connection, query)) == wanted


def test_a_total_is_counted_once_until_something_is_written(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    everything, count = narrowed(EVERYTHING), Page(0, total="accurate")
    counted: list[Query] = []
    find = SqlSearchIndex._find

    async def noted(index: SqlSearchIndex, query: NarrowedQuery, page: Page) -> Hits:
        counted.append(query.query)
        return await find(index, query, page)

    monkeypatch.setattr(SqlSearchIndex, "_find", noted)

    def write(number: int) -> None:
        key = Key("Media", f"m{number:02}")
        writer = IndexWriter()
        connection.execute("BEGIN IMMEDIATE")
        writer.begin(connection)
        record = Record(key, 1, 1000 + number, number, "create", b"{}", Facts(patients=("p1",)))
        writer.put(connection, record, IndexEntries(key, {}, ("p1",)))
        connection.execute("COMMIT")

    async def run() -> None:
        index = SqlSearchIndex(Path(path), readers=1)

        async def total(query: NarrowedQuery = everything) -> int | None:
            return (await index.search(query, page=count)).total

        try:
            assert [await total(), await total(), len(counted)] == [NUMBER, NUMBER, 1]
            of_one = narrowed(Match("subject", (ReferenceTest(Key("Patient", "p6")),)))
            assert [await total(of_one), await total(of_one), len(counted)] == [2, 2, 2]
            write(NUMBER)
            assert [await total(), len(counted)] == [NUMBER + 1, 3]
            asked = asyncio.gather(*(total(narrowed(Match("identifier", (TokenTest(str(n)),)))) for n in range(300)))
            assert await asked == [1] * NUMBER + [0] * (300 - NUMBER)
            write(NUMBER + 1)
            assert await total() == NUMBER + 2
        finally:
            await index.close()

    asyncio.run(run())


def test_all_there_is_of_some_types_divides_by_an_index_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lived.db", seed=11, size=60)

    async def run() -> None:
        index = SqlSearchIndex(archive.path, readers=1)
        counts = SqlIndexCounts(index, zone=STOCKHOLM)
        for kinds in (("Media",), ("Media", "Task"), TYPES):
            everything = FULL.narrow(OfType(frozenset(kinds)), types=kinds)
            assert "(p." not in await counts.explain(everything, page=Page(0, total="accurate"))
            for by in ("status", "odd", "year", "month", "nothing"):
                wanted = await archive.oracle.buckets(everything, by=by, with_patients=False)
                assert await counts.buckets(everything, by=by, with_patients=False) == wanted
        await index.close()

    asyncio.run(run())


def test_more_than_can_be_counted_is_refused(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    monkeypatch.setattr(index_facets, "COUNTED_AT_MOST", NUMBER - 1)

    async def run(query: Query) -> int:
        index = SqlSearchIndex(Path(path), readers=1)
        try:
            counts = SqlIndexCounts(index, zone=STOCKHOLM)
            return sum(each.count for each in await counts.buckets(narrowed(query), by="year", with_patients=False))
        finally:
            await index.close()

    with pytest.raises(Failure) as caught:
        asyncio.run(run(EVERYTHING))
    assert caught.value.category is Category.TOO_COSTLY
    assert asyncio.run(run(SCARRED)) == 10
