"""AuditEvents are found as the reference evaluator finds them, page by page."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.backends.audit_conditions import Condition, condition_of
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, parse_key
from fhirmedia.ports.index import Page
from fhirmedia.r4.audit_event import EVENT_TYPES, OUTCOMES
from fhirmedia.r4.audit_kinds import INTERACTIONS, OPERATIONS
from fhirmedia.r4.audit_shares import EventId, parse_event_id
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
from tests.audit.histories import URL, fill, found, index_of, narrowed
from tests.audit.logs import NOON

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
identifiers = st.builds(
    lambda code, system, bare: TokenTest(code, None if bare else system, no_system=bare),
    st.sampled_from(["patient/anna", "practitioner/kim", "camera", "viewer", URL, "kim"]),
    st.sampled_from([None, "https://login.example.org", "urn:ietf:rfc:3986", "http://elsewhere"]),
    st.booleans(),
)
agent_tests = st.one_of(
    st.sampled_from(["Practitioner/kim", "Patient/anna", "Patient/bo"]).map(lambda key: ReferenceTest(parse_key(key))),
    st.builds(lambda token: ReferenceTest(identifier=token), identifiers),
    st.just(ReferenceTest(identifier=TokenTest(system="https://login.example.org"))),
)
entity_tests = st.builds(
    lambda key, version: ReferenceTest(parse_key(key), version),
    st.sampled_from(["Media/m0", "Media/m3", "Media/never", "Patient/bo"]),
    st.sampled_from([None, 1, 2]),
)


def coded(codes: list[str], system: str) -> st.SearchStrategy[TokenTest]:
    """Tokens of a system, without, of another, and the system alone."""
    return st.one_of(
        st.builds(TokenTest, st.sampled_from(codes), st.sampled_from([None, system, "http://elsewhere"])),
        st.builds(lambda code: TokenTest(code, no_system=True), st.sampled_from(codes)),
        st.just(TokenTest(system=system)),
    )


leaves = st.one_of(
    st.builds(Match, st.just("agent"), one_or_more(agent_tests)),
    st.builds(Match, st.just("entity"), one_or_more(entity_tests)),
    st.builds(Match, st.just("type"), one_or_more(coded(["rest", "login"], EVENT_TYPES))),
    st.builds(Match, st.just("outcome"), one_or_more(coded(["0", "4", "8"], OUTCOMES))),
    st.builds(
        Match,
        st.just("subtype"),
        one_or_more(coded(["read", "search-type", "update", "operation", "history", "everything"], INTERACTIONS))
        | one_or_more(coded(["everything", "read", "operation"], OPERATIONS)),
    ),
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
    assert set(found(index, query)) == expected, str(query)


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
        (Match("agent", (ReferenceTest(identifier=TokenTest("patient/anna", "https://login.example.org")),)), 5),
        (Match("agent", (ReferenceTest(identifier=TokenTest("camera")),)), 6),
        (Match("entity", (ReferenceTest(Key("Media", "m0")),)), 4),
        (Match("entity", (ReferenceTest(Key("Media", "m0"), version=2),)), 1),
        (Match("entity", (ReferenceTest(Key("Patient", "bo")),)), 6),
        (Match("type", (TokenTest("rest"),)), 15),
        (Match("type", (TokenTest("login"),)), 0),
        (Match("subtype", (TokenTest("read", "http://hl7.org/fhir/restful-interaction"),)), 5),
        (Match("subtype", (TokenTest("read", "http://elsewhere"),)), 0),
        (Match("subtype", (TokenTest("search-type"), TokenTest("update"))), 9),
        (Match("subtype", (TokenTest("everything"),)), 1),
        (Match("subtype", (TokenTest("operation", INTERACTIONS),)), 1),
        (Match("subtype", (TokenTest("everything", OPERATIONS),)), 1),
        (Match("subtype", (TokenTest("everything", INTERACTIONS),)), 0),
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
        Match("entity", (ReferenceTest(identifier=TokenTest("x")),)),
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
    assert refused.value.category is Category.INVALID


def test_order_by_other_parameters_is_refused(index: AuditIndexSql) -> None:
    with pytest.raises(Failure) as refused:
        found(index, EVERYTHING, Page(5, sort=(SortKey("outcome"),)))
    assert refused.value.category is Category.NOT_IMPLEMENTED


def test_a_page_does_not_wait_for_its_total(index: AuditIndexSql, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)"
    counting = AuditIndexSql._total

    def slowly(self: AuditIndexSql, condition: Condition, page: Page) -> int | None:
        self._connection.execute(endless).fetchone()
        return counting(self, condition, page)

    monkeypatch.setattr(index, "_seconds", 0.2)
    monkeypatch.setattr(AuditIndexSql, "_total", slowly)
    found = asyncio.run(index.search(narrowed(EVERYTHING), page=Page(2, total="accurate")))
    assert (len(found.keys), found.total) == (2, None)
    with pytest.raises(Failure) as caught:
        asyncio.run(index.search(narrowed(EVERYTHING), page=Page(0, total="accurate")))
    assert caught.value.category is Category.TOO_COSTLY


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
