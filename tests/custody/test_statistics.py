"""Counts with a floor: what whoever may not list the records is told, and what nobody can work out from it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.custody.statistics import FLOOR, Counting, ShownBucket, Statistics, floored, rounded, shown
from fhirmedia.ports.index import Bucket, Chosen, Freshness, Hits, Page
from fhirmedia.r4.query import EVERYTHING, All, OfType
from fhirmedia.r4.values import IndexEntries, TokenValue

TYPES = frozenset({"Media"})
PICTURES = All((OfType(TYPES),))


def bucket(code: str, patients: int, *, count: int | None = None) -> Bucket:
    return Bucket("s", code, patients if count is None else count, patients)


def told(buckets: Sequence[Bucket], **bounds: int) -> dict[str, int | None]:
    return {each.code: each.count for each in floored("kind", buckets, **bounds).buckets}


def test_few_patients_are_not_counted_out_loud() -> None:
    assert told([bucket("a", 9), bucket("b", FLOOR), bucket("c", 4), bucket("d", 1)]) == {
        "a": 5, "b": FLOOR, "c": None, "d": None,
    }  # fmt: skip
    assert told([bucket("a", 10), bucket("b", FLOOR)]) == {"a": 10, "b": FLOOR}
    assert told([Bucket("s", "unknown", 50), bucket("b", 1)]) == {"unknown": None, "b": None}


def test_a_hidden_bucket_is_never_alone() -> None:
    assert told([bucket("a", 9), bucket("b", 7), bucket("c", 2)]) == {"a": 5, "b": None, "c": None}
    assert told([bucket("b", 7), bucket("c", 2)]) == {"b": None, "c": None}
    assert told([bucket("c", 2)]) == {"c": None}


def test_the_order_of_hidden_buckets_tells_nothing() -> None:
    one = floored("kind", [bucket("x", 4, count=90), bucket("b", 2, count=3)])
    other = floored("kind", [bucket("b", 2, count=90), bucket("x", 4, count=3)])
    assert one == other


def test_more_buckets_than_are_shown_are_cut_aloud() -> None:
    several = [bucket(str(number), 9) for number in range(4)]
    assert [each.code for each in shown("kind", several, most=3).buckets] == ["0", "1", "2"]
    assert shown("kind", several, most=3).is_cut
    assert not shown("kind", several, most=4).is_cut
    assert len(floored("kind", several, most=3).buckets) == 3
    assert floored("kind", several, most=3).is_cut
    assert not floored("kind", several, most=4).is_cut


def test_numbers_are_rounded_down() -> None:
    assert [rounded(each) for each in (0, 4, 5, 9, 10, 13)] == [0, 0, 5, 5, 10, 10]
    assert told([bucket("a", 6, count=19), bucket("b", 5, count=15)]) == {"a": 15, "b": 15}
    assert [each.code for each in floored("kind", [bucket("b", 6, count=19), bucket("a", 5, count=15)]).buckets] == [
        "a",
        "b",
    ]


@given(st.lists(st.integers(0, 12), max_size=8))
def test_no_number_of_few_is_told_or_left_over(patients: list[int]) -> None:
    buckets = [bucket(str(number), each) for number, each in enumerate(patients)]
    division = floored("kind", buckets)
    assert {each.code for each in division.buckets} == {each.code for each in buckets}
    open_ones = [each for each in division.buckets if each.count is not None]
    assert all(each.count is not None and each.count >= FLOOR and each.count % FLOOR == 0 for each in open_ones)
    hidden = len(division.buckets) - len(open_ones)
    assert hidden != 1 or len(division.buckets) == 1


class Counts(MemoryIndex):
    """The oracle, that explains itself."""

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        return Chosen("memory", "there is no other")

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        return f"looks at everything for {query.query}, {page.count} a page"


def holding(*patients: str) -> Counts:
    index = Counts()
    for number, patient in enumerate(patients):
        key = Key("Media", f"m{number}")
        values = {"kind": (TokenValue(None, ("image", "video")[number % 2]),)}
        index.put(IndexEntries(key, values, (patient,)), Facts(patients=(patient,)))
    return index


def counting(index: Counts, *actions: str) -> Counting:
    wanted = frozenset(each for each in ACTIONS if each in actions)
    return Counting(index, index, Grant((Rule(wanted, TYPES, EVERYTHING),)))


def counted(index: Counts, *actions: str) -> Statistics:
    return asyncio.run(counting(index, *actions).of(PICTURES, {"kind": PICTURES}, types=sorted(TYPES)))


def test_whoever_may_list_is_told_everything() -> None:
    found = counted(holding("p", "p", "q"), "search", "read")
    assert found.total == 3
    assert found.divisions[0].buckets == (ShownBucket(None, "image", 2), ShownBucket(None, "video", 1))


def test_whoever_may_not_is_told_nothing_of_few() -> None:
    assert counted(holding(*"pqrs"), "search") == Statistics(None, ())
    assert counted(holding(*"pqrstuv"), "search").total == 5
    found = counted(holding(*"pqrst"), "search")
    assert found.total == 5
    assert found.divisions[0].buckets == (ShownBucket(None, "image", None), ShownBucket(None, "video", None))
    assert counted(holding(*"aabbccddee", *"aabbccddee"), "search").divisions[0].buckets == (
        ShownBucket(None, "image", 10),
        ShownBucket(None, "video", 10),
    )


class Late(Counts):
    """It says that it is behind."""

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        return replace(await super().search(query, page=page), freshness=Freshness(1500))


def test_what_is_counted_says_how_far_behind_it_may_be() -> None:
    for patients in ("pqrst", "pq"):
        late = Late()
        for number, patient in enumerate(patients):
            index_entries = IndexEntries(Key("Media", f"m{number}"), {}, (patient,))
            late.put(index_entries, Facts(patients=(patient,)))
        assert counted(late, "search").lag_ms == 1500
        assert counted(late, "search", "read").lag_ms == 1500
    assert counted(holding("p"), "search", "read").lag_ms == 0


def test_without_the_right_to_search_there_is_nothing() -> None:
    with pytest.raises(Failure) as caught:
        counted(holding("p"), "read")
    assert caught.value.category is Category.FORBIDDEN


def test_only_operators_see_how_a_search_is_found() -> None:
    asked = counting(holding("p"), "search", "read")
    for is_operator in (True, False):
        told = asyncio.run(asked.explain(PICTURES, types=["Media"], page=Page(3), is_operator=is_operator))
        assert (told.engine, told.plan is not None) == ("memory", is_operator)
        assert told.why == "there is no other"
        assert told.narrowed == "the type is Media"
