"""Laws of the reference evaluator and of the in-memory index: sets, order, pages."""

import asyncio
from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.ports.index import Page, Position
from fhirmedia.r4.evaluator import compare, matches, sort_tuple
from fhirmedia.r4.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Chain,
    CompositeTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    Match,
    Missing,
    Not,
    NumberTest,
    OfType,
    Prefix,
    Query,
    ReferenceTest,
    SortKey,
    Text,
    TokenTest,
)
from fhirmedia.r4.value_tests import number_satisfies
from fhirmedia.r4.values import DateValue, IndexEntries, ReferenceValue, SearchValue, StringValue, TokenValue
from tests.laws.searches import VALUES, corpora, matches_of_a_parameter, queries, sorts

TYPES = frozenset({"Media", "Patient"})
ALL_RIGHTS = Grant((Rule(frozenset(ACTIONS), TYPES, EVERYTHING),))

Corpus = list[tuple[IndexEntries, Facts]]


def found(query: Query, corpus: Corpus) -> set[Key]:
    return {entries.key for entries, facts in corpus if matches(query, entries, facts)}


@given(corpora(), queries, queries)
def test_queries_combine_as_sets(corpus: Corpus, one: Query, other: Query) -> None:
    everything = {entries.key for entries, _ in corpus}
    assert found(All((one, other)), corpus) == found(one, corpus) & found(other, corpus)
    assert found(Any((one, other)), corpus) == found(one, corpus) | found(other, corpus)
    assert found(Not(one), corpus) == everything - found(one, corpus)
    assert found(EVERYTHING, corpus) == everything
    assert found(NOTHING, corpus) == set()


@given(corpora(), matches_of_a_parameter)
def test_values_are_or_and_not_is_about_all_of_them(corpus: Corpus, query: Match) -> None:
    each = [found(Match(query.parameter, (test,)), corpus) for test in query.tests]
    assert found(query, corpus) == set().union(*each)
    everything = {entries.key for entries, _ in corpus}
    assert found(query, corpus) | found(Not(query), corpus) == everything
    assert not found(query, corpus) & found(Not(query), corpus)


@given(corpora(), matches_of_a_parameter, st.sampled_from(sorted(VALUES)))
def test_missing_parts_the_corpus_in_two(corpus: Corpus, query: Match, code: str) -> None:
    with_value = {entries.key for entries, _ in corpus if entries.values.get(code)}
    assert found(Not(Missing(code)), corpus) == with_value
    if query.parameter in VALUES:
        assert found(query, corpus) <= found(Not(Missing(query.parameter)), corpus)


@given(corpora(), queries, sorts, st.integers(1, 4))
def test_pages_of_any_size_walk_the_set_in_order(
    corpus: Corpus, query: Query, sort: tuple[SortKey, ...], count: int
) -> None:
    index = MemoryIndex()
    for entries, facts in corpus:
        index.put(entries, facts)
    narrowed = ALL_RIGHTS.narrow(query, types=TYPES)
    walked: list[Key] = []
    after: Position | None = None
    while True:
        hits = asyncio.run(index.search(narrowed, page=Page(count, sort, after, total="accurate")))
        assert hits.total == len(found(query, corpus))
        assert 0 < len(hits.keys) <= count or (not hits.keys and hits.next is None)
        walked.extend(hits.keys)
        if hits.next is None:
            break
        assert len(hits.keys) == count
        after = hits.next
    rows = [(sort_tuple(entries, sort), entries.key) for entries, facts in corpus if matches(query, entries, facts)]
    assert walked == [key for _, key in sorted(rows, key=cmp_to_key(lambda a, b: compare(a, b, sort=sort)))]


@given(corpora(), sorts)
def test_the_order_is_total_and_knows_no_ties(corpus: Corpus, sort: tuple[SortKey, ...]) -> None:
    rows = [(sort_tuple(entries, sort), entries.key) for entries, _ in corpus]
    for one in rows:
        for other in rows:
            assert compare(one, other, sort=sort) == -compare(other, one, sort=sort)
            assert (compare(one, other, sort=sort) == 0) == (one[1] == other[1])


def entry(id: str, **values: tuple[SearchValue, ...]) -> IndexEntries:
    return IndexEntries(Key("Media", id), values)


def in_order(corpus: list[IndexEntries], *sort: SortKey) -> list[str]:
    rows = [(sort_tuple(entries, sort), entries.key) for entries in corpus]
    return [key.id for _, key in sorted(rows, key=cmp_to_key(lambda a, b: compare(a, b, sort=sort)))]


def test_smallest_ascending_largest_descending_missing_last() -> None:
    corpus = [
        entry("both", when=(DateValue(1, 2), DateValue(9, 10))),
        entry("five", when=(DateValue(5, 6),)),
        entry("none"),
        entry("also-none"),
    ]
    assert in_order(corpus, SortKey("when")) == ["both", "five", "also-none", "none"]
    assert in_order(corpus, SortKey("when", descending=True)) == ["both", "five", "also-none", "none"]
    corpus[0] = entry("both", when=(DateValue(1, 2), DateValue(4, 10)))
    assert in_order(corpus, SortKey("when", descending=True)) == ["five", "both", "also-none", "none"]


def test_what_has_only_an_identifier_or_a_system_sorts_as_missing() -> None:
    logical = ReferenceValue(identifier=TokenValue("s", "a"))
    corpus = [
        entry("c", subject=(logical,), status=(TokenValue("s", None),), name=(StringValue("b", "B"),)),
        entry("b", subject=(ReferenceValue(Key("Patient", "1")),), status=(TokenValue("s", "z"),)),
        entry(
            "a",
            subject=(ReferenceValue(url="http://z"),),
            status=(TokenValue(None, "a"),),
            name=(StringValue("a", "A"),),
        ),
    ]
    assert in_order(corpus, SortKey("subject")) == ["b", "a", "c"]
    assert in_order(corpus, SortKey("status")) == ["a", "b", "c"]
    assert in_order(corpus, SortKey("name")) == ["a", "c", "b"]
    assert in_order(corpus, SortKey("_id", descending=True)) == ["c", "b", "a"]


def test_a_composite_is_met_within_one_repetition() -> None:
    query = Match(
        "relation", (CompositeTest((("r$1", ReferenceTest(key=Key("Media", "1"))), ("r$2", TokenTest("b")))),)
    )
    one, other = ReferenceValue(Key("Media", "1"), group=0), ReferenceValue(Key("Media", "2"), group=1)
    crossed = entry("x", **{"r$1": (one, other), "r$2": (TokenValue(None, "a", 0), TokenValue(None, "b", 1))})
    straight = entry("y", **{"r$1": (one, other), "r$2": (TokenValue(None, "b", 0), TokenValue(None, "a", 1))})
    assert not matches(query, crossed, Facts())
    assert matches(query, straight, Facts())


def test_queries_reach_other_resources() -> None:
    index = MemoryIndex()
    patient = IndexEntries(
        Key("Patient", "p"), {"name": (StringValue("ada", "Ada"),), "status": (TokenValue(None, "a"),)}
    )
    media = entry("m", subject=(ReferenceValue(Key("Patient", "p")),), status=(TokenValue(None, "b"),))
    lost = entry("n", subject=(ReferenceValue(Key("Patient", "gone")),))
    for each in (patient, media, lost):
        index.put(each, Facts())

    def keys(query: Query) -> list[str]:
        narrowed = ALL_RIGHTS.narrow(query, types=TYPES)
        return [str(key) for key in asyncio.run(index.search(narrowed, page=Page(10))).keys]

    patients, pictures = OfType(frozenset({"Patient"})), OfType(frozenset({"Media"}))
    assert keys(Chain("subject", All((patients, Match("status", (TokenTest("a"),)))))) == ["Media/m"]
    assert keys(Has("subject", All((pictures, Match("status", (TokenTest("b"),)))))) == ["Patient/p"]
    assert keys(Has("subject", All((pictures, Match("status", (TokenTest("a"),)))))) == []
    index.remove(Key("Patient", "p"))
    index.remove(Key("Patient", "p"))
    assert keys(Chain("subject", patients)) == []


def test_other_resources_cannot_be_judged_without_them() -> None:
    for query in (Chain("subject", EVERYTHING), Not(Has("subject", EVERYTHING))):
        with pytest.raises(Failure) as caught:
            matches(query, entry("m"), Facts())
        assert caught.value.category is Category.NOT_IMPLEMENTED


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (FactIn("sole_patient", frozenset({"p"})), True),
        (FactIn("unit", frozenset({"u", "v"})), True),
        (FactIn("enterprise", frozenset({"u"})), False),
        (FactIn("encounter", frozenset({"Encounter/e"})), True),
        (FactIn("status", frozenset({"final"})), False),
        (FactIn("source", frozenset({"patient"})), True),
        (FactIn("confidentiality", frozenset({"N"})), True),
        (FactIn("id", frozenset({"m"})), True),
        (FactHas("labels", frozenset({"s|x", "s|SDV"})), True),
        (FactHas("authors", frozenset({"Practitioner/2"})), False),
        (FactToken("kind", frozenset({"image"})), True),
        (FactToken("kind", frozenset({"k|image"})), True),
        (FactToken("kind", frozenset({"x|image", "mage", ""})), False),
        (FactToken("modality", frozenset({"image"})), False),
    ],
)
def test_facts(query: Query, holds: bool) -> None:
    facts = Facts(
        patients=("p",),
        unit="u",
        encounter="Encounter/e",
        source="patient",
        labels=("s|SDV",),
        authors=("Practitioner/1",),
        tokens={"kind": ("k|image",)},
    )
    assert matches(query, entry("m"), facts) is holds
    assert not matches(FactIn("sole_patient", frozenset({"p"})), entry("m"), Facts(patients=("p", "q")))


def test_words_are_looked_for_in_their_field() -> None:
    noted = IndexEntries(Key("Media", "m"), {}, texts={"text": "Erythema på underarm"})
    assert matches(Text("text", (("eryt", "pa"),)), noted, Facts())
    assert not matches(Text("_content", (("eryt",),)), noted, Facts())


def test_a_bounded_total_is_left_out_above_its_limit() -> None:
    index = MemoryIndex()
    for number in range(5):
        index.put(entry(str(number)), Facts())
    narrowed = ALL_RIGHTS.narrow(EVERYTHING, types=TYPES)

    def total(page: Page) -> int | None:
        return asyncio.run(index.search(narrowed, page=page)).total

    assert total(Page(2)) is None
    assert total(Page(2, total="bounded", total_limit=5)) == 5
    assert total(Page(2, total="bounded", total_limit=4)) is None
    assert total(Page(0, total="accurate")) == 5


MEANING = {
    "eq": lambda value, low, high: all(low <= point < high for point in value),
    "ne": lambda value, low, high: any(point < low or point >= high for point in value),
    "gt": lambda value, _, number: any(point > number for point in value),
    "lt": lambda value, number, _: any(point < number for point in value),
    "ge": lambda value, number, _: any(point >= number for point in value),
    "le": lambda value, _, number: any(point <= number for point in value),
    "sa": lambda value, _, number: all(point > number for point in value),
    "eb": lambda value, number, _: all(point < number for point in value),
    "ap": lambda value, low, high: any(low <= point <= high for point in value),
}
"""The prefixes said naively, over the points of a range."""


@pytest.mark.parametrize("prefix", MEANING)
def test_number_prefixes_mean_what_they_say_about_points(prefix: Prefix) -> None:
    for lo, hi, number in ((a, b, c) for a in range(6) for b in range(a, 7) for c in range(7)):
        margin = 1 if prefix in ("eq", "ne", "ap") else 0
        test = NumberTest(prefix, number - margin, number + margin)
        expected = MEANING[prefix]([half / 2 for half in range(2 * lo, 2 * hi + 1)], number - margin, number + margin)
        assert number_satisfies(lo, hi, test=test) == expected, (lo, hi, number)
