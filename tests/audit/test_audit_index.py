"""AuditEvents are found as the reference evaluator finds them, in every log, as soon as they are durable."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.audit_conditions import condition_of
from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.chained_table import TABLES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Page
from fhirmedia.r4.audit_shares import EventId, parse_event_id
from fhirmedia.r4.checker import check
from fhirmedia.r4.evaluator import matches
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.query import (
    EVERYTHING,
    All,
    Any,
    Chain,
    DateTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    ReferenceTest,
    SortKey,
    Test,
    Text,
    TokenTest,
)
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import DateValue, IndexEntries
from tests.audit.logs import NOON, SALT, a_disclosure, as_intruder, open_log, touch

URL = "https://media.example.org/fhir"
WIDE = Page(1_000, total="accurate")


def told() -> list[Disclosure]:
    """A small history: reads and searches of three patients, one of whom is a user, too."""
    history = []
    for at in range(12):
        of = (("anna",), ("bo",), ("anna", "bo"), ())[at % 4]
        user = ("Practitioner/kim", "Patient/anna", None)[at % 3]
        history.append(
            a_disclosure(
                ("read", "search-type", "update")[at % 3],
                touch(f"Media/m{at % 5}", of=of, version=at % 2 + 1),
                at=NOON + at % 7,
                user=user,
                subject=f"https://login.example.org|{user}",
                outcome=("0", "4")[at % 5 == 4],
                client=("viewer", "camera")[at % 2],
            )
        )
    return history


async def fill(folder: Path) -> None:
    """Two slots and the log of changes share the history."""
    one, other = open_log(folder), open_log(folder)
    with closing(open_writer(folder / "records.db")) as records:
        for statement in TABLES:
            records.execute(statement)
        for at, disclosure in enumerate(told()):
            if at % 3 == 0:
                ChangeChain().append(records, disclosure.encode(), None)
            else:
                await (one, other)[at % 3 - 1].append(disclosure.encode())
    await one.close()
    await other.close()


def index_of(folder: Path, *, seconds: float = 10) -> AuditIndexSql:
    changes = SqliteChainedLog("changes", [(1, folder / "records.db")])
    present = [changes] if (folder / "records.db").exists() else []
    return AuditIndexSql(
        folder / "index.db", logs=lambda: [*present, *slot_logs(folder)], base_url=URL, seconds=seconds
    )


def narrowed(query: Query) -> NarrowedQuery:
    everything = Grant((Rule(frozenset(ACTIONS), frozenset({"AuditEvent"}), EVERYTHING),))
    return everything.narrow(query, types=["AuditEvent"])


def found(index: AuditIndexSql, query: Query, page: Page = WIDE) -> list[str]:
    hits = asyncio.run(index.search(narrowed(query), page=page))
    assert hits.total in (None, len(hits.keys))
    return [key.id for key in hits.keys]


Oracle = dict[str, tuple[IndexEntries, Facts]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditIndexSql]:
    folder = tmp_path_factory.mktemp("audit")
    asyncio.run(fill(folder))
    index = index_of(folder)
    yield index
    asyncio.run(index.close())


@pytest.fixture(scope="module")
def oracle(index: AuditIndexSql) -> Oracle:
    """What the extractor and the facts' own rules say of every projected AuditEvent."""
    registry = load_registry()
    extractor = Extractor(registry, base_url=URL, zone=ZoneInfo("Europe/Stockholm"))
    records = asyncio.run(index.read([Key("AuditEvent", identity) for identity in found(index, EVERYTHING)]))
    known: Oracle = {}
    for record in records:
        assert record is not None
        assert record.body is not None
        event = json.loads(record.body)
        entries = extractor.entries(event, key=record.key, last_updated_ms=record.changed_at)
        facts = facts_of(event, entries=entries, registry=registry, base_url=URL, lookup=lambda key: None)
        assert set(facts.patients) == set(record.facts.patients)
        known[record.key.id] = entries, record.facts
    assert len(known) == 15
    return known


people = st.sampled_from(["anna", "bo", "nobody"])
times = st.integers(NOON - 2, NOON + 9)
prefixes = st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
ids = st.sampled_from(
    ["changes-1-1", "disclosures-0-1-1", "disclosures-1-2-1", "disclosures-0-1-2", "nothing", "a-1-1"]
)


def one_or_more(tests: st.SearchStrategy[Test]) -> st.SearchStrategy[tuple[Test, ...]]:
    return st.lists(tests, min_size=1, max_size=3).map(tuple)


date_tests = st.builds(lambda prefix, lo, size: DateTest(prefix, lo, lo + size), prefixes, times, st.integers(1, 4))
patient_tests = st.one_of(
    st.builds(lambda who: ReferenceTest(Key("Patient", who)), people),
    st.builds(lambda who: ReferenceTest(Key("Patient", who), version=1), people),
    st.just(ReferenceTest(url="http://elsewhere/Patient/anna")),
    st.just(ReferenceTest(Key("Practitioner", "kim"))),
)
leaves = st.one_of(
    st.builds(OfType, st.sampled_from([frozenset({"AuditEvent"}), frozenset({"Media"})])),
    st.builds(Match, st.just("_id"), one_or_more(st.builds(TokenTest, ids))),
    st.builds(Match, st.sampled_from(["date", "_lastUpdated"]), one_or_more(date_tests)),
    st.builds(Match, st.just("patient"), one_or_more(patient_tests)),
    st.builds(InCompartment, people),
    st.builds(FactIn, st.just("sole_patient"), st.frozensets(people)),
    st.builds(FactIn, st.just("id"), st.frozensets(ids)),
    st.builds(FactIn, st.sampled_from(["unit", "status", "encounter", "enterprise"]), st.just(frozenset({"x"}))),
    st.builds(FactIn, st.just("source"), st.sampled_from([frozenset({"staff"}), frozenset({"patient"})])),
    st.builds(FactIn, st.just("confidentiality"), st.sampled_from([frozenset("N"), frozenset("R")])),
    st.builds(FactHas, st.sampled_from(["labels", "authors"]), st.just(frozenset({"x"}))),
    st.builds(FactToken, st.just("category"), st.just(frozenset({"x"}))),
)
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(query=queries)
def test_same_events_as_the_reference(index: AuditIndexSql, oracle: Oracle, query: Query) -> None:
    expected = {identity for identity, (entries, facts) in oracle.items() if matches(query, entries, facts)}
    assert set(found(index, query)) == expected


sorts = st.lists(st.builds(SortKey, st.sampled_from(["date", "_lastUpdated", "_id"]), st.booleans()), max_size=3).map(
    tuple
)


def time_of(known: tuple[IndexEntries, Facts]) -> int:
    (date,) = known[0].values["date"]
    assert isinstance(date, DateValue)
    return date.lo


def in_order(identities: Sequence[str], oracle: Oracle, sort: Sequence[SortKey]) -> list[str]:
    def place(identity: str) -> EventId:
        event = parse_event_id(identity)
        assert event
        return event

    ordered = sorted(identities, key=place)
    for key in reversed(sort):
        if key.parameter == "_id":
            ordered = sorted(ordered, key=place, reverse=key.descending)
        else:
            ordered.sort(key=lambda identity: time_of(oracle[identity]), reverse=key.descending)
    return ordered


@given(query=queries, sort=sorts, count=st.integers(1, 6))
def test_pages_join_without_gap_or_overlap(
    index: AuditIndexSql, oracle: Oracle, query: Query, sort: tuple[SortKey, ...], count: int
) -> None:
    async def walk() -> list[str]:
        page, seen = Page(count, sort=sort), list[str]()
        while True:
            hits = await index.search(narrowed(query), page=page)
            seen += [key.id for key in hits.keys]
            if hits.next is None:
                return seen
            assert len(hits.keys) == count
            page = Page(count, sort=sort, after=hits.next)

    assert asyncio.run(walk()) == in_order(found(index, query), oracle, sort)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Match("agent", (ReferenceTest(Key("Practitioner", "kim")),)), 5),
        (Match("agent", (ReferenceTest(Key("Practitioner", "nobody")),)), 0),
        (Match("agent", (ReferenceTest(identifier=TokenTest("Patient/anna", "https://login.example.org")),)), 5),
        (Match("agent", (ReferenceTest(identifier=TokenTest("camera")),)), 6),
        (Match("entity", (ReferenceTest(Key("Media", "m0")),)), 4),
        (Match("entity", (ReferenceTest(Key("Media", "m0"), version=2),)), 1),
        (Match("entity", (ReferenceTest(Key("Patient", "bo")),)), 6),
        (Match("type", (TokenTest("rest"),)), 15),
        (Match("type", (TokenTest("login"),)), 0),
        (Match("subtype", (TokenTest("read", "http://hl7.org/fhir/restful-interaction"),)), 5),
        (Match("subtype", (TokenTest("read", "http://elsewhere"),)), 0),
        (Match("subtype", (TokenTest("search-type"), TokenTest("update"))), 10),
        (Match("outcome", (TokenTest("4"),)), 2),
        (Not(Match("outcome", (TokenTest("0"),))), 2),
    ],
)
def test_who_what_and_how(index: AuditIndexSql, query: Query, expected: int) -> None:
    assert len(found(index, query)) == expected


@pytest.mark.parametrize(
    "query",
    [
        Match("source", (TokenTest("x"),)),
        Not(Match("action", (TokenTest("R"),))),
        Missing("patient"),
        Chain("patient", EVERYTHING),
        Has("entity", OfType(frozenset({"AuditEvent"}))),
        Text("_text", (("x",),)),
    ],
)
def test_what_it_is_not_searched_by_is_refused(index: AuditIndexSql, query: Query) -> None:
    with pytest.raises(Failure) as refused:
        condition_of(query)
    assert refused.value.category is Category.NOT_IMPLEMENTED


def test_order_by_other_parameters_is_refused(index: AuditIndexSql) -> None:
    with pytest.raises(Failure) as refused:
        found(index, EVERYTHING, Page(5, sort=(SortKey("outcome"),)))
    assert refused.value.category is Category.NOT_IMPLEMENTED


def test_totals(index: AuditIndexSql) -> None:
    def total(**how: object) -> int | None:
        return asyncio.run(index.search(narrowed(EVERYTHING), page=Page(2, **how))).total  # type: ignore[arg-type]  # fields of Page

    assert total() is None
    assert total(total="accurate") == 15
    assert total(total="bounded", total_limit=15) == 15
    assert total(total="bounded", total_limit=14) is None
    assert asyncio.run(index.search(narrowed(EVERYTHING), page=Page(0, total="accurate"))).total == 15


def test_thousand_values_are_answered(index: AuditIndexSql) -> None:
    tests = tuple(ReferenceTest(Key("Patient", f"p{number}")) for number in range(1_000))
    assert found(index, Match("patient", tests)) == []
    assert len(found(index, Not(Match("patient", tests)))) == 15


async def test_events_are_found_as_soon_as_they_are_durable(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    for number in range(1, 4):
        await log.append(a_disclosure("read", touch("Media/m", of=["anna"])).encode())
        hits = await index.search(narrowed(EVERYTHING), page=WIDE)
        assert hits.total == number
    await log.close()
    await index.close()


async def test_events_of_other_processes_are_found_once(tmp_path: Path) -> None:
    one, other = index_of(tmp_path), index_of(tmp_path)
    log = open_log(tmp_path)
    for _ in range(50):
        await log.append(a_disclosure("read", touch("Media/m", of=["anna"])).encode())
    done = await asyncio.gather(*(asyncio.to_thread(index.drain, seconds=10) for index in (one, other, one, other)))
    assert all(done)
    assert (await other.search(narrowed(EVERYTHING), page=WIDE)).total == 50
    for each in (log, one, other):
        await each.close()


async def test_records_are_projected_with_their_facts(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    disclosure = a_disclosure("search-type", touch("Media/m", of=["anna", "bo"]), user="Patient/ce")
    await log.append(disclosure.encode(), SALT + b"GET /fhir/Media")
    keys = [Key("AuditEvent", name) for name in ("disclosures-0-1-2", "x", "disclosures-0-1-3", "disclosures-9-1-1")]
    first, *others = await index.read([*keys, Key("Media", "disclosures-0-1-1"), keys[0]])
    assert others == [None, None, None, None, first]
    assert first == Record(keys[0], 1, 1, NOON, "create", first.body if first else None, Facts(patients=("bo", "ce")))
    assert first.body is not None
    event = json.loads(first.body)
    assert check(event, type="AuditEvent") == []
    assert event["id"] == "disclosures-0-1-2"
    await log.close()
    await index.close()


async def test_index_can_be_thrown_away(tmp_path: Path) -> None:
    await fill(tmp_path)
    index = index_of(tmp_path)
    before = await index.search(narrowed(EVERYTHING), page=WIDE)
    await index.close()
    (tmp_path / "index.db").unlink()
    again = index_of(tmp_path)
    assert await again.search(narrowed(EVERYTHING), page=WIDE) == before
    await again.close()
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    later = index_of(tmp_path)
    assert await later.search(narrowed(EVERYTHING), page=WIDE) == before
    await later.close()


async def test_row_that_was_tampered_with_hides_no_other(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(3):
        await log.append(a_disclosure("read", touch("Media/m")).encode())
    await log.close()
    with as_intruder(log.path) as connection:
        connection.execute("UPDATE audit_row SET disclosure = x'00' WHERE sequence = 2")
    index = index_of(tmp_path)
    hits = await index.search(narrowed(EVERYTHING), page=WIDE)
    assert [key.id for key in hits.keys] == ["disclosures-0-1-1", "disclosures-0-3-1"]
    await index.close()


async def test_search_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path)
    log = open_log(tmp_path)
    await asyncio.gather(*(log.append(a_disclosure().encode()) for _ in range(500)))
    await log.close()
    index = index_of(tmp_path, seconds=0)
    with pytest.raises(Failure) as refused:
        await index.search(narrowed(EVERYTHING), page=WIDE)
    assert refused.value.category is Category.UNAVAILABLE  # nothing is left out silently
    assert await asyncio.to_thread(index.drain, seconds=10)
    slow = All(tuple(Match("date", (DateTest("ne", at, at + 1),)) for at in range(100)))
    with pytest.raises(Failure) as refused:
        await index.search(narrowed(slow), page=WIDE)
    assert refused.value.category is Category.TOO_COSTLY
    await index.close()


async def test_catching_up_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    await asyncio.gather(*(log.append(a_disclosure().encode()) for _ in range(2_500)))
    await log.close()
    rounds = 1
    while not await asyncio.to_thread(index.drain, seconds=0):
        rounds += 1
    assert 5 <= rounds <= 15
    assert (await index.search(narrowed(EVERYTHING), page=Page(1, total="accurate"))).total == 2_500
    await index.close()
