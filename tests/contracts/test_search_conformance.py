"""One table of searches for every engine: the query, what it finds, and why; expected ids are worked out by hand.

Each row runs against the reference evaluator and the database (which keeps words, or reads them from the records), with
pages of one, two and fifty: the walks must agree, and so must the total, and the order where a row says `ordered`.
A row may name a `caller`, who sees a part. Rows of the timeline corpus stand in
`tests/fhir/timeline_rows.py`, where they run over HTTP too.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.access.policy import grant_for, scope_parser
from fhirmedia.backends.elastic.engine import ElasticEngine, Shapes
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.index_record_words import Texts
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.backends.words_kept import keep_none_of
from fhirmedia.core.errors import Failure
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Page, SearchIndex
from fhirmedia.r4.codec import dump
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.query import EVERYTHING, FactIn, Not
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries
from fhirmedia.web.errors import STATUS
from tests.contracts.beside import Beside, filled
from tests.contracts.corpora import HERE, corpus
from tests.fhir.timeline_rows import ROWS as TIMELINE_ROWS
from tests.fhir.timelines import START_MS

TABLES = ("values", "units", "cells", "contained", "spellings", "reach")
BASE = "https://fhir.example.org/fhir"
ZONE = ZoneInfo("Europe/Stockholm")
HOUR_MS = 3_600_000
REGISTRY = load_registry()
CONTEXT = SearchContext(REGISTRY, BASE, ZONE, START_MS + 2 * HOUR_MS)
EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset(REGISTRY.types), EVERYTHING),))


def caller(scope: str = "user/*.rs", *units: str, patient: str | None = None) -> Grant:
    """What one with this scope may see; of all units where none is named."""
    scopes = scope_parser(REGISTRY)(scope)
    someone = Caller("x|kim", "app", scopes, patient=patient, units=frozenset(units), all_units=not units)
    return grant_for(someone, REGISTRY)


NOT_RESTRICTED = Not(FactIn("confidentiality", frozenset(("R", "V"))))
CALLERS = {
    "": EVERYBODY,
    "derm": caller("user/*.rs", "derm"),
    "eyes": caller("user/*.rs", "eyes"),
    "derm and eyes": caller("user/*.rs", "derm", "eyes"),
    "nowhere": caller("user/*.rs", "closed"),
    "anna": caller("patient/*.rs", patient="anna"),
    "completed": caller("user/Media.rs?status=completed"),
    "normal": replace(EVERYBODY, restrictions=(NOT_RESTRICTED,)),
}
LISTED = {
    "res": {"types": sorted({*REGISTRY.types} - {"Patient"}), "facets": ["kind"]},
    "pat": {"types": ["Patient"], "facets": []},
}
"""Every type is kept in Elasticsearch here, so that every row is asked of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A search below the base and the ids it finds."""

    corpus: str
    query: str
    ids: tuple[str, ...]
    ordered: bool = False
    total: int | None = None
    caller: str = ""

    @property
    def grant(self) -> Grant:
        """What whoever asks may see."""
        return CALLERS[self.caller]

    def __str__(self) -> str:
        return f"{self.corpus}: {self.query}" + (f" as {self.caller}" if self.caller else "")


def rows() -> Iterator[Row]:
    for name in TABLES:
        for each in json.loads((HERE / "table" / f"{name}.json").read_text("utf-8")):
            said = {part: each[part] for part in ("ordered", "total", "caller") if part in each}
            yield Row(name, each["query"], tuple(each["ids"]), **said)
    for kind, queries in TIMELINE_ROWS.items():
        for query, ids in queries.items():
            if "department" not in query:  # tags the server adds at a write
                yield Row("timeline", f"{kind}?{query.replace('BASE', BASE)}", tuple(ids.split()))


@cache
def entries_of(name: str) -> list[IndexEntries]:
    """Through the server's own extraction; the name of a corpus may end in the language of its deployment."""
    extractor = Extractor(REGISTRY, base_url=BASE, zone=ZONE, language=name.partition("-")[2] or DEFAULT_LANGUAGE)
    found = []
    for resource, updated in corpus(name):
        key = Key(resource["resourceType"], resource["id"])
        found.append(extractor.entries(parse_json(dump(resource)), key=key, last_updated_ms=updated))
    return found


@cache
def facts_in(name: str) -> dict[Key, Facts]:
    """What access decides by, as at a write."""
    held = {Key(each["resourceType"], each["id"]): parse_json(dump(each)) for each, _ in corpus(name)}
    return {
        each.key: facts_of(held[each.key], entries=each, registry=REGISTRY, base_url=BASE, lookup=held.get)
        for each in entries_of(name)
    }


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
        index = MemoryIndex()
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


def parsed(query: str) -> ParsedSearch:
    path, _, text = query.partition("?")
    match path.split("/"):
        case [kind]:
            type, compartment = kind or None, None
        case [compartment_type, identity, kind]:
            type, compartment = None if kind == "*" else kind, (compartment_type, identity)
        case _:
            raise AssertionError(path)
    asked = decode_query(text.replace(" ", "%20").replace("+", "%2B"))
    return parse_search(asked, context=CONTEXT, type=type, compartment=compartment, lenient=False)


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
    index, search = engines(row.corpus), parsed(row.query)

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
