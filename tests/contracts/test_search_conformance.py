"""One table of searches for every engine: the query, what it finds, and why; expected ids are worked out by hand.

The same rows say what the self link is, which leads to the same answer, and over which hits facets are counted.

Each row runs against the reference evaluator and the database (which keeps words, or reads them from the records), with
pages of one, two and fifty: the walks must agree, and so must the total, and the order where a row says `ordered`.
A row may name a `caller`, who sees a part. Rows of the timeline corpus stand in
`tests/fhir/timeline_rows.py`, where they run over HTTP too.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from fhirmedia.access.grant import Grant
from fhirmedia.backends.elastic.engine import ElasticEngine, Shapes
from fhirmedia.backends.index_facets import SqlIndexCounts
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.index_record_words import Texts
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.backends.words_kept import keep_none_of
from fhirmedia.core.errors import Failure
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Key, Record
from fhirmedia.interactions.media_stats import FACETS
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Page, SearchIndex
from fhirmedia.r4.query import EVERYTHING
from fhirmedia.r4.query_modifiers import MAX_VALUES
from fhirmedia.r4.query_parser import ParsedSearch
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.values import IndexEntries
from fhirmedia.web.errors import STATUS
from tests.contracts.beside import Beside, filled
from tests.contracts.conformance import (
    BASE,
    EVERYBODY,
    REGISTRY,
    TABLES,
    ZONE,
    Row,
    entries_of,
    facts_in,
    pairs_of,
    parsed,
    place_of,
    rows,
)
from tests.contracts.corpora import HERE
from tests.contracts.shelf import Shelf, shelf
from tests.fhir.rest import link, matches
from tests.fhir.timelines import START_MS

LISTED = {
    "res": {
        "types": sorted({*REGISTRY.types} - {"Patient"}),
        "facets": [each for each in FACETS if each not in ("year", "month")],
    },
    "pat": {"types": ["Patient"], "facets": []},
}
"""Every type is kept in Elasticsearch here, so that every row is asked of it. The last two facets are the calendar."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def elasticsearch(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Iterator[Callable[[], ElasticEngine]]:
    """Where the server is; it is asked for by those who need it only."""
    opened: list[ElasticEngine] = []

    def engine() -> ElasticEngine:
        if not opened:
            address = parse_index_address(request.getfixturevalue("module_index_address"))
            opened.append(ElasticEngine(address, Shapes(REGISTRY, zone=ZONE, listed=LISTED), budget_s=10))
        return opened[0]

    yield engine
    for each in opened:
        runner.run(each.close())


ENGINES = ["evaluator", "sqlite", "sqlite-without-words", pytest.param("elasticsearch", marks=pytest.mark.services)]


@pytest.fixture(scope="module", params=ENGINES)
def engines(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    runner: asyncio.Runner,
    elasticsearch: Callable[[], ElasticEngine],
) -> Iterator[Callable[[str], SearchIndex]]:
    made: dict[str, SearchIndex] = {}

    def memory(name: str) -> MemoryIndex:
        index = MemoryIndex(ZONE)
        for entries in entries_of(name):
            index.put(entries, facts_in(name)[entries.key])
        return index

    def without_words(name: str) -> SearchIndex:
        texts = {each.key: each.texts for each in entries_of(name)}
        return sqlite(name, dropped=REGISTRY.types, texts=lambda _, keys: ((key, texts[key]) for key in keys))

    def sqlite(name: str, *, dropped: Collection[str] = (), texts: Texts | None = None) -> SearchIndex:
        path = tmp_path_factory.mktemp(name) / "records.db"
        connection, writer = open_writer(path), IndexWriter()
        make_schema(connection)
        connection.execute("BEGIN IMMEDIATE")
        keep_none_of(connection, dropped)
        writer.begin(connection)
        for sequence, entries in enumerate(entries_of(name), start=1):
            updated = entries.values["_lastUpdated"][0].lo
            record = Record(entries.key, 1, sequence, updated, "update", b"{}", facts_in(name)[entries.key])
            writer.put(connection, record, entries)
        flush = getattr(writer, "flush", None)
        if flush is not None:
            flush(connection)
        connection.execute("COMMIT")
        assert not dropped or connection.execute("SELECT 1 FROM idx_words").fetchone() is None
        connection.close()
        return SqlSearchIndex(path, readers=1, texts=texts)

    def beside(name: str) -> SearchIndex:
        engine = elasticsearch()
        changes = [
            DocumentChange(Record(each.key, 1, order, START_MS, "update", b"{}", facts_in(name)[each.key]), order, each)
            for order, each in enumerate(entries_of(name), start=1)
            if each.key.type in engine.types
        ]
        return Beside(runner.run(filled(engine, name, changes)), memory(name), REGISTRY.types)

    make: dict[str, Callable[[str], SearchIndex]] = {
        "evaluator": memory,
        "sqlite": sqlite,
        "sqlite-without-words": without_words,
        "elasticsearch": beside,
    }
    yield lambda name: made.setdefault(name, made[name] if name in made else make[request.param](name))
    for index in made.values():
        if isinstance(index, SqlSearchIndex):
            runner.run(index.close())


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Callable[[str], Shelf]]:
    """An archive for each corpus."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(shelf(tmp_path_factory.mktemp(name) / "data", runner, name)))


@cache
def entries_by_key(name: str) -> dict[Key, IndexEntries]:
    return {each.key: each for each in entries_of(name)}


async def walked(index: SearchIndex, search: ParsedSearch, *, grant: Grant, count: int) -> list[str]:
    narrowed = grant.narrow(search.query, types=search.types)
    found: list[str] = []
    page = Page(count, search.sort)
    while True:
        hits = await index.search(narrowed, page=page)
        found += [key.id for key in hits.keys]
        if hits.next is None:
            return found
        page = Page(count, search.sort, hits.next)


@pytest.mark.parametrize("row", list(rows()), ids=str)
def test_a_search_finds(engines: Callable[[str], SearchIndex], runner: asyncio.Runner, row: Row) -> None:
    index, search = engines(row.corpus), parsed(row.query, lenient=row.lenient)

    async def three() -> list[list[str]]:
        walks = (walked(index, search, grant=row.grant, count=count) for count in (1, 2, 50))
        return list(await asyncio.gather(*walks))

    walks = runner.run(three())
    assert walks[0] == walks[1] == walks[2]
    assert len(set(walks[0])) == len(walks[0])
    assert (walks[0] if row.ordered else set(walks[0])) == (list(row.ids) if row.ordered else set(row.ids))
    narrowed = row.grant.narrow(search.query, types=search.types)
    expected = len(row.ids) if row.total is None else row.total
    for page in (Page(0, total="accurate"), Page(2, search.sort, total="bounded")):
        assert runner.run(index.search(narrowed, page=page)).total == expected


@pytest.mark.parametrize("row", list(rows()), ids=str)
def test_the_self_link_says_what_was_asked(
    engines: Callable[[str], SearchIndex], shelves: Callable[[str], Shelf], row: Row
) -> None:
    """So whoever asks it is given the same, the link included."""
    archive, index = shelves(row.corpus), engines(row.corpus)
    bundle = archive.search(index, place_of(row.query), pairs_of(row.query), grant=row.grant, lenient=row.lenient)
    found = [each["id"] for each in matches(bundle)]
    assert link(bundle, "self") == row.self_link
    assert (found if row.ordered else set(found)) == (list(row.ids) if row.ordered else set(row.ids))
    assert bundle["total"] == (len(row.ids) if row.total is None else row.total)
    said = row.self_link.removeprefix(f"{BASE}/")
    again = archive.search(index, place_of(said), decode_query(said.partition("?")[2]), grant=row.grant)
    assert [each["id"] for each in matches(again)] == found
    assert (again["total"], link(again, "self")) == (bundle["total"], row.self_link)


@pytest.mark.parametrize("row", list(rows()), ids=str)
def test_facets_are_counted_over_the_hits(
    engines: Callable[[str], SearchIndex], runner: asyncio.Runner, row: Row
) -> None:
    """As the reference evaluator divides the resources that the same engine finds."""
    index, search = engines(row.corpus), parsed(row.query, lenient=row.lenient)
    counts = SqlIndexCounts(index, zone=ZONE) if isinstance(index, SqlSearchIndex) else index
    narrowed = row.grant.narrow(search.query, types=search.types)
    hits = MemoryIndex(ZONE)
    for key in runner.run(index.search(narrowed, page=Page(1000))).keys:
        hits.put(entries_by_key(row.corpus)[key], facts_in(row.corpus)[key])
    every = EVERYBODY.narrow(EVERYTHING, types=sorted(REGISTRY.types))
    for with_patients in (True, False):
        expected = runner.run(hits.divisions(every, by=FACETS, with_patients=with_patients))
        assert runner.run(counts.divisions(narrowed, by=FACETS, with_patients=with_patients)) == expected
    assert runner.run(counts.patients(narrowed)) == runner.run(hits.patients(every))


MANY = json.loads((HERE / "table" / "many.json").read_text("utf-8"))


@pytest.mark.parametrize("row", MANY, ids=lambda row: row["query"])
def test_a_value_is_found_among_as_many_as_are_taken(
    engines: Callable[[str], SearchIndex], runner: asyncio.Runner, row: dict[str, Any]
) -> None:
    name, _, value = row["query"].partition("=")
    others = (row["among"].format(number) for number in range(MAX_VALUES - 1))
    search = parsed(f"{name}={','.join(others)},{value}")
    found = runner.run(walked(engines(row["corpus"]), search, grant=EVERYBODY, count=50))
    assert (set(found), len(found)) == (set(row["ids"]), len(row["ids"]))


BY_ALPHABET = {
    "names": "aagaard andersson muller myrberg essen zorn akesson anglund aero oberg odegard",
    "names-nb": "andersson muller myrberg essen zorn anglund aero oberg odegard aagaard akesson",
    "names-en": "aagaard aero akesson andersson anglund muller myrberg oberg odegard essen zorn",
}


@pytest.mark.parametrize("name", BY_ALPHABET)
@pytest.mark.parametrize("parameter", ["family", "name"])
def test_names_stand_in_the_order_of_the_alphabet(
    engines: Callable[[str], SearchIndex], runner: asyncio.Runner, name: str, parameter: str
) -> None:
    wanted = BY_ALPHABET[name].split()
    for count in (1, 2, 50):
        rising, falling = parsed(f"Patient?_sort={parameter}"), parsed(f"Patient?_sort=-{parameter}")
        assert runner.run(walked(engines(name), rising, grant=EVERYBODY, count=count)) == [*wanted, "nameless"]
        assert runner.run(walked(engines(name), falling, grant=EVERYBODY, count=count)) == [*wanted[::-1], "nameless"]


def test_the_table_is_large_and_tells_hits_from_misses() -> None:
    table = list(rows())
    assert len(table) >= 400
    assert 0.1 <= sum(not row.ids for row in table) / len(table) <= 0.4
    for name in TABLES:
        for row in json.loads((HERE / "table" / f"{name}.json").read_text("utf-8")):
            assert row["why"], row["id"]


REFUSED = json.loads((HERE / "table" / "refused.json").read_text("utf-8"))


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row["query"])
def test_a_search_is_refused_by_name(row: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        parsed(row["query"])
    issue = caught.value.issues[0]
    assert (STATUS[caught.value.category], issue.code) == (row["status"], row["code"])
    assert issue.expression == row.get("element")
    assert row["names"] in issue.text
