"""Rows of documents: what has to be met together is, and what has no room for its rows is never missed in silence."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fhirmedia.backends.elastic import rows
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.r4.query import (
    All,
    Any,
    CompositeTest,
    FactIn,
    Match,
    Missing,
    Not,
    NumberTest,
    QuantityTest,
    Test,
    TokenTest,
)
from fhirmedia.r4.values import QuantityValue, SearchValue, TokenValue
from tests.contracts.place import ZONE, Place, change, opened
from tests.laws.shapes import FixedShape

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def empty(index_address: str, runner: asyncio.Runner) -> Iterator[Place]:
    yield from opened(index_address, runner, FixedShape(ZONE))


def several(key: str, **values: tuple[SearchValue, ...]) -> DocumentChange:
    plain = change(key, status=TokenValue("s", "done"))
    assert plain.entries is not None
    return replace(plain, entries=replace(plain.entries, values={**plain.entries.values, **values}))


def met(one: Test, other: Test, *, name: str = "relation") -> Match:
    return Match(name, (CompositeTest(((f"{name}$1", one), (f"{name}$2", other))),))


def length(number: float, unit: str | None = None) -> QuantityTest:
    return QuantityTest(NumberTest("eq", number, number + 0.5), unit=unit)


@pytest.mark.parametrize("name", ["relation", "author:Task.relation"])
def test_parts_are_met_within_one_repetition_whatever_it_holds(empty: Place, name: str) -> None:
    codes = {"a": 0, "b": 0, "c": 1}
    readings = (QuantityValue(1, 1, unit="mm", group=0), QuantityValue(2, 2, unit="cm", group=0))
    readings += (QuantityValue(3, 3, unit="mm", group=1),)
    ones = tuple(TokenValue("s", code, group=group) for code, group in codes.items())
    empty.write(several("Media/many", **{f"{name}$1": ones, f"{name}$2": readings}))
    for code, group in codes.items():
        for reading in readings:
            number, is_met = reading.lo, reading.group == group
            one = TokenTest(code, "s")
            assert bool(empty.found(met(one, length(number, reading.unit), name=name))) is is_met, (code, number)
            # Number and unit are of one and the same reading.
            assert empty.found(met(one, length(number, "km"), name=name)) == []
    assert empty.found(met(TokenTest("a", "s"), length(1, "cm"), name=name)) == []


def test_a_row_for_each_repetition_and_not_for_each_combination(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS_AT_MOST", 1)
    ones, others = (tuple(TokenValue(None, f"{sign}{each}") for each in range(500)) for sign in "ab")
    assert empty.write(several("Media/many", **{"relation$1": ones, "relation$2": others})) == {}
    assert empty.found(met(TokenTest("a499"), TokenTest("b0"))) == ["Media/many"]


ONE, OTHER = (TokenValue(None, "a"),), (TokenValue(None, "b"),)
INSIDE = "author:Task"
LEFT_OUT: dict[str, tuple[Match, dict[str, tuple[SearchValue, ...]]]] = {
    "composites": (met(TokenTest("a"), TokenTest("b")), {"relation$1": ONE, "relation$2": OTHER}),
    "quantities": (Match("length", (length(1),)), {"length": (QuantityValue(1, 1), QuantityValue(2, 2))}),
    "what is contained": (Match(f"{INSIDE}.code", (TokenTest("a"),)), {f"{INSIDE}.code": ONE}),
    "composites of what is contained": (
        met(TokenTest("a"), TokenTest("b"), name=f"{INSIDE}.relation"),
        {f"{INSIDE}.relation$1": ONE, f"{INSIDE}.relation$2": OTHER},
    ),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
@pytest.mark.parametrize("bound", ["ROWS_AT_MOST", "ROWS_BYTES"])
def test_a_search_for_rows_that_were_left_out_is_not_answered(
    empty: Place, monkeypatch: pytest.MonkeyPatch, kind: str, bound: str
) -> None:
    query, values = LEFT_OUT[kind]
    empty.write(several("Media/kept", **values), change("Media/none"))
    assert empty.found(query) == ["Media/kept"]
    monkeypatch.setattr(rows, bound, 0)
    assert empty.write(several("Media/left", **values)) == {}
    for asked_for in (query, Not(query), Any((query, Match("status", (TokenTest("other"),))))):
        with pytest.raises(Failure) as caught:
            empty.found(asked_for)
        assert caught.value.category is Category.NOT_IMPLEMENTED
    # Who cannot find that document, or asks for nothing that was left out, is answered.
    assert empty.found(All((query, FactIn("id", frozenset({"kept", "none"}))))) == ["Media/kept"]
    assert empty.found(Missing(next(iter(values)))) == ["Media/none"]
    assert empty.found(Match("status", (TokenTest("done"),))) == ["Media/kept", "Media/left"]
