"""What any search engine must do, shown on each: pages, order, totals, narrowing, and answers that follow writes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Page, Position, SearchIndex
from fhirmedia.r4.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    DateTest,
    FactHas,
    FactIn,
    InCompartment,
    Match,
    Missing,
    Not,
    NumberTest,
    Prefix,
    Query,
    ReferenceTest,
    SortKey,
    StringTest,
    TokenTest,
)
from fhirmedia.r4.value_tests import date_satisfies, number_satisfies
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
)

TYPES = frozenset({"Media", "Patient"})
FULL = Grant((Rule(frozenset(ACTIONS), TYPES, EVERYTHING),))
NEWEST = (SortKey("when", descending=True),)
OLDEST = (SortKey("when"),)
DAY = 86_400_000
AT_ONCE = Page(100)


Values = SearchValue | tuple[SearchValue, ...]


class Engine(Protocol):
    """A SearchIndex with whatever writes to it."""

    index: SearchIndex

    def put(self, key: str, *, of: str | None = "p", facts: Facts | None = None, **values: Values) -> None: ...

    def remove(self, key: str) -> None: ...


def described(key: Key, of: str | None, values: Mapping[str, Values]) -> IndexEntries:
    kept = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    kept["_id"] = (TokenValue(None, key.id),)
    if of is not None:
        kept["patient"] = (ReferenceValue(Key("Patient", of)),)
    return IndexEntries(key, kept, () if of is None else (of,))


class InMemory:
    def __init__(self) -> None:
        self.index = MemoryIndex()

    def put(self, key: str, *, of: str | None = "p", facts: Facts | None = None, **values: Values) -> None:
        named = Key(*key.split("/"))
        self.index.put(described(named, of, values), facts or Facts(patients=() if of is None else (of,)))

    def remove(self, key: str) -> None:
        self.index.remove(Key(*key.split("/")))


class OnSqlite:
    def __init__(self, path: Path) -> None:
        self._connection = open_writer(path)
        make_schema(self._connection)
        self._writer, self._sequence = IndexWriter(), 0
        self.index = SqlSearchIndex(path, readers=1)

    def put(self, key: str, *, of: str | None = "p", facts: Facts | None = None, **values: Values) -> None:
        named = Key(*key.split("/"))
        self._sequence += 1
        kept = facts or Facts(patients=() if of is None else (of,))
        record = Record(named, 1, self._sequence, self._sequence, "update", b"{}", kept)
        self._within(lambda: self._writer.put(self._connection, record, described(named, of, values)))

    def remove(self, key: str) -> None:
        self._within(lambda: self._writer.remove(self._connection, Key(*key.split("/"))))

    def _within(self, work: Callable[[], None]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._writer.begin(self._connection)
        work()
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()
        asyncio.run(self.index.close())


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "memory":
        yield InMemory()
        return
    made = OnSqlite(tmp_path / "records.db")
    yield made
    made.close()


def found(engine: Engine, query: Query | NarrowedQuery, page: Page = AT_ONCE) -> list[str]:
    narrowed = query if isinstance(query, NarrowedQuery) else FULL.narrow(query, types=TYPES)
    hits = asyncio.run(engine.index.search(narrowed, page=page))
    return [str(key) for key in hits.keys]


def total(engine: Engine, query: Query | NarrowedQuery, page: Page) -> int | None:
    narrowed = query if isinstance(query, NarrowedQuery) else FULL.narrow(query, types=TYPES)
    return asyncio.run(engine.index.search(narrowed, page=page)).total


def of_patient(patient: str) -> Match:
    return Match("patient", (ReferenceTest(Key("Patient", patient)),))


def on(day: int) -> DateValue:
    return DateValue(day * DAY, (day + 1) * DAY)


async def all_found(engine: Engine, queries: Iterable[Query]) -> list[set[str]]:
    hits = [await engine.index.search(FULL.narrow(query, types=TYPES), page=Page(100)) for query in queries]
    return [{key.id for key in each.keys} for each in hits]


@pytest.mark.parametrize("query", [of_patient("p"), InCompartment("p"), EVERYTHING, Not(Missing("patient"))])
@pytest.mark.parametrize(("sort", "days"), [(NEWEST, ["c", "a", "b", "x", "y"]), (OLDEST, ["a", "b", "c", "x", "y"])])
def test_a_timeline_has_ties_by_key_and_the_undated_last(
    engine: Engine, query: Query, sort: tuple[SortKey, ...], days: list[str]
) -> None:
    engine.put("Media/y")
    engine.put("Media/b", when=on(3))
    engine.put("Media/a", when=on(3))
    engine.put("Media/c", when=on(7))
    engine.put("Media/x")
    for count in (1, 2, 5):
        walked, after = list[str](), None
        while True:
            narrowed = FULL.narrow(query, types={"Media"})
            hits = asyncio.run(engine.index.search(narrowed, page=Page(count, sort, after)))
            walked += [key.id for key in hits.keys]
            after = hits.next
            if after is None:
                break
            assert len(hits.keys) == count
        assert walked == days


def test_the_last_page_knows_that_nothing_follows(engine: Engine) -> None:
    for name in "abcd":
        engine.put(f"Media/{name}", when=on(1))
    narrowed = FULL.narrow(of_patient("p"), types=TYPES)
    first = asyncio.run(engine.index.search(narrowed, page=Page(2, NEWEST)))
    assert first.next == Position((DAY,), Key("Media", "b"))
    second = asyncio.run(engine.index.search(narrowed, page=Page(2, NEWEST, first.next)))
    assert (second.keys, second.next) == ((Key("Media", "c"), Key("Media", "d")), None)
    beyond = asyncio.run(engine.index.search(narrowed, page=Page(2, NEWEST, Position((DAY,), Key("Media", "d")))))
    assert (beyond.keys, beyond.next) == ((), None)


def test_totals_count_all_pages_or_are_left_out(engine: Engine) -> None:
    for name in "abcde":
        engine.put(f"Media/{name}")
    for query in (of_patient("p"), EVERYTHING, Match("_id", tuple(TokenTest(name) for name in "abcde"))):
        assert total(engine, query, Page(2)) is None
        assert total(engine, query, Page(2, total="accurate")) == 5
        assert total(engine, query, Page(0, total="accurate")) == 5
        assert total(engine, query, Page(2, total="bounded", total_limit=5)) == 5
        assert total(engine, query, Page(2, total="bounded", total_limit=4)) is None
    assert found(engine, EVERYTHING, Page(0, total="accurate")) == []
    assert total(engine, NOTHING, Page(0, total="accurate")) == 0


def test_what_a_grant_hides_is_neither_found_nor_counted(engine: Engine) -> None:
    for number, unit in enumerate(("u1", "u2", None, "u1", "u1")):
        labels = ("act|SDV",) if number == 4 else ()
        facts = Facts(patients=("p",), unit=unit, labels=labels)
        engine.put(f"Media/{number}", facts=facts, status=TokenValue(None, "done"))
    staff = Rule(frozenset(ACTIONS), TYPES, FactIn("unit", frozenset({"u1"})))
    narrowed = Grant((staff,), (Not(FactHas("labels", frozenset({"act|SDV"}))),)).narrow(of_patient("p"), types=TYPES)
    assert found(engine, narrowed) == ["Media/0", "Media/3"]
    assert total(engine, narrowed, Page(1, NEWEST, total="accurate")) == 2
    elsewhere = Grant((Rule(frozenset(ACTIONS), TYPES, FactIn("sole_patient", frozenset({"q"}))),))
    assert found(engine, elsewhere.narrow(of_patient("p"), types=TYPES)) == []


def test_a_record_of_two_patients_is_in_both_timelines_and_solely_of_none(engine: Engine) -> None:
    engine.put("Media/family", facts=Facts(patients=("p", "q")), other=ReferenceValue(Key("Patient", "q")))
    assert found(engine, of_patient("p"), Page(5, NEWEST)) == ["Media/family"]
    assert found(engine, Match("other", (ReferenceTest(Key("Patient", "q")),)), Page(5, NEWEST)) == ["Media/family"]
    assert found(engine, of_patient("q"), Page(5, NEWEST)) == []
    assert found(engine, Any((of_patient("q"), of_patient("p")))) == ["Media/family"]
    for patient in "pq":
        assert found(engine, FactIn("sole_patient", frozenset({patient}))) == []


def test_a_patient_is_in_its_own_compartment(engine: Engine) -> None:
    engine.put("Patient/p", of=None)
    engine.put("Media/m", when=on(1))
    assert found(engine, InCompartment("p"), Page(5, NEWEST)) == ["Media/m", "Patient/p"]
    assert found(engine, InCompartment("p"), Page(5)) == ["Media/m", "Patient/p"]
    assert found(engine, InCompartment("q")) == []


def test_answers_follow_updates_and_removals(engine: Engine) -> None:
    engine.put("Media/m", when=on(1), status=TokenValue("s", "draft"), name=StringValue("ada", "Ada"))
    engine.put("Media/m", of="q", when=on(2), status=TokenValue("s", "done"))
    draft, done = (Match("status", (TokenTest(code, "s"),)) for code in ("draft", "done"))
    assert found(engine, draft) == []
    assert found(engine, done) == ["Media/m"]
    assert found(engine, of_patient("p"), Page(5, NEWEST)) == []
    assert found(engine, All((of_patient("q"), Match("when", (DateTest("eq", 2 * DAY, 3 * DAY),))))) == ["Media/m"]
    assert found(engine, Missing("name")) == ["Media/m"]
    engine.remove("Media/m")
    engine.remove("Media/m")
    assert found(engine, EVERYTHING) == []
    assert found(engine, of_patient("q"), Page(5, NEWEST)) == []
    engine.put("Media/m")
    assert found(engine, EVERYTHING) == ["Media/m"]
    assert found(engine, Missing("when")) == ["Media/m"]


HOSTILE = ("'", '"; DROP TABLE res_row; --', "a'b", "%", "_", "?1", "\\", "\N{SNOWMAN}", "a b", "{}", "[1]", "null")


@pytest.mark.parametrize("text", HOSTILE)
def test_values_are_compared_as_they_are(engine: Engine, text: str) -> None:
    engine.put(
        "Media/m",
        facts=Facts(labels=(text,), unit=text, tokens={"kind": (f"s|{text}",)}),
        status=TokenValue(text, text),
        name=StringValue(text, text),
    )
    engine.put("Media/other", status=TokenValue("s", "x"), name=StringValue("x", "x"))
    for query in (
        Match("status", (TokenTest(text, text),)),
        Match("status", tuple(TokenTest(code) for code in (text, *"0123456789"))),
        Match("name", (StringTest("starts", text),)),
        Match("name", (StringTest("contains", text),)),
        FactHas("labels", frozenset({text})),
        FactIn("unit", frozenset({text})),
    ):
        assert found(engine, query) == ["Media/m"]
    assert found(engine, Match(text, (TokenTest("x"),))) == []


def test_text_sorts_and_begins_by_code_point(engine: Engine) -> None:
    names = ["Z", "a", "a\ud7ff", "a\ue000", "a\U0010ffff", "ab", "\xe5", "\uffff", "\U0001f600", "\U0010ffff"]
    for number, name in enumerate(names):
        engine.put(f"Media/{number}", name=StringValue(name, name))
    by_name = sorted(range(len(names)), key=names.__getitem__)
    assert found(engine, EVERYTHING, Page(20, (SortKey("name"),))) == [f"Media/{number}" for number in by_name]
    for prefix in ("", "a", "a\ud7ff", "\U0010ffff", "\uffff"):
        begun = [f"Media/{number}" for number, name in enumerate(names) if name.startswith(prefix)]
        assert found(engine, Match("name", (StringTest("starts", prefix),))) == sorted(begun)


def test_a_thousand_values_are_one_list(engine: Engine) -> None:
    engine.put("Media/m", status=TokenValue("s", "c999"))
    engine.put("Media/n", status=TokenValue("s", "c1000"))
    tests = tuple(TokenTest(f"c{number}", "s") for number in range(1000))
    assert found(engine, Match("status", tests)) == ["Media/m"]
    assert found(engine, Not(Match("status", tests))) == ["Media/n"]


RANGES = [(lo, hi) for lo in range(5) for hi in range(lo, 5)]
PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


@pytest.mark.parametrize("parameter", ["created", "when"])
def test_every_prefix_draws_the_line_between_times_where_the_standard_does(engine: Engine, parameter: str) -> None:
    values = {f"{lo}-{hi}": DateValue(lo, hi + 1) for lo, hi in RANGES}
    for name, value in values.items():
        engine.put(f"Media/{name}", **{parameter: value})
    engine.put("Media/none")
    tests = [DateTest(prefix, lo, hi + 1) for prefix in PREFIXES for lo, hi in RANGES]
    queries = [Match(parameter, (test,)) for test in tests]
    answers = asyncio.run(all_found(engine, queries))
    others = asyncio.run(all_found(engine, map(Not, queries)))
    for test, answer, other in zip(tests, answers, others, strict=True):
        assert answer == {name for name, value in values.items() if date_satisfies(value, test)}, test
        assert other == {"none", *values} - answer, test


def test_every_prefix_draws_the_line_between_numbers_where_the_standard_does(engine: Engine) -> None:
    values = {f"{lo}-{hi}": NumberValue(lo, hi) for lo, hi in RANGES}
    for name, value in values.items():
        engine.put(f"Media/{name}", dose=value)
    tests = [NumberTest(prefix, lo, hi) for prefix in PREFIXES for lo, hi in RANGES]
    answers = asyncio.run(all_found(engine, (Match("dose", (test,)) for test in tests)))
    for test, answer in zip(tests, answers, strict=True):
        expected = {name for name, value in values.items() if number_satisfies(value.lo, value.hi, test=test)}
        assert answer == expected, test


@pytest.mark.parametrize("descending", [False, True])
def test_a_bound_may_be_met_by_another_date_than_the_one_sorted_by(engine: Engine, descending: bool) -> None:
    """In whatever way the engine reads: few resources, and many along their order."""
    for day in range(40):
        engine.put(f"Media/{day:02}", created=on(day))
    engine.put("Media/both", created=(on(-500), on(500)))
    since, before = Match("created", (DateTest("ge", 0, 0),)), Match("created", (DateTest("lt", 30 * DAY, 0),))
    first = Page(1, (SortKey("created", descending),))
    assert found(engine, before if descending else since, first) == ["Media/both"]
    assert found(engine, All((since, before)), first) == ["Media/both"]
    assert len(found(engine, All((since, before)))) == 31
