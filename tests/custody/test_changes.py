"""Which versions a history walks through: those found by what the caller is bound to, and of types it may list."""

from functools import cache

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.access.policy import grant_for, scope_parser
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.custody.changes import AHEAD, VISITS, ChangeWalk, page_of
from fhirmedia.ports.changes import OfType, Period, Reach
from fhirmedia.r4.query import EVERYTHING, All, Any, FactIn, FactToken, Not, Query
from fhirmedia.r4.registry import Registry, load_registry

UNIT_A, UNIT_B = FactIn("unit", frozenset({"a"})), FactIn("unit", frozenset({"b"}))
ANNA = FactIn("sole_patient", frozenset({"anna"}))
STATUS = FactToken("status", frozenset({"final"}))
FIRST = ChangeWalk(2**62, 50)


@cache
def registry() -> Registry:
    return load_registry()


def granting(rows: Query, *limits: Query) -> Grant:
    return Grant((Rule(frozenset(ACTIONS), frozenset({"Media"}), rows),), limits)


@pytest.mark.parametrize(
    ("grant", "reaches"),
    [
        (granting(EVERYTHING), None),
        (granting(STATUS), None),
        (granting(Not(UNIT_A)), None),
        (granting(FactIn("status", frozenset({"final"}))), None),
        (granting(UNIT_A), [Reach("unit", "a")]),
        (granting(ANNA), [Reach("sole_patient", "anna")]),
        (granting(FactIn("unit", frozenset({"b", "a"}))), [Reach("unit", "a"), Reach("unit", "b")]),
        (granting(All((STATUS, UNIT_A))), [Reach("unit", "a")]),
        (granting(All((FactIn("unit", frozenset({"a", "b"})), ANNA))), [Reach("sole_patient", "anna")]),
        (granting(Any((UNIT_A, UNIT_B, UNIT_A))), [Reach("unit", "a"), Reach("unit", "b")]),
        (granting(Any((UNIT_A, STATUS))), None),
        (granting(Any(())), []),
        (granting(STATUS, UNIT_A), [Reach("unit", "a")]),
    ],
)
def test_types_are_walked_by_what_bounds_the_grant(grant: Grant, reaches: list[Reach] | None) -> None:
    expected = [OfType("Media")] if reaches is None else [OfType("Media", reach) for reach in reaches]
    assert list(page_of(grant, ("Media",), FIRST).streams) == expected


def test_both_listing_and_reading_bound_a_type() -> None:
    reading = Rule(frozenset({"read"}), frozenset({"Media"}), EVERYTHING)
    listing = Rule(frozenset({"search"}), frozenset({"Media"}), UNIT_A)
    page = page_of(Grant((reading, listing)), ("Media",), FIRST)
    assert list(page.streams) == [OfType("Media", Reach("unit", "a"))]
    assert page.admits(Key("Media", "m"), Facts(unit="a"))
    assert not page.admits(Key("Media", "m"), Facts(unit="b"))
    swapped = Grant(
        (
            Rule(frozenset({"search"}), frozenset({"Media"}), EVERYTHING),
            Rule(frozenset({"read"}), frozenset({"Media"}), UNIT_A),
        )
    )
    assert not page_of(swapped, ("Media",), FIRST).admits(Key("Media", "m"), Facts(unit="b"))


def test_one_resource_is_walked_by_itself_and_only_read() -> None:
    reading = Grant((Rule(frozenset({"read"}), frozenset({"Media"}), UNIT_A),))
    page = page_of(reading, Key("Media", "m"), FIRST)
    assert (list(page.streams), page.visits, page.ahead) == ([Key("Media", "m")], VISITS, VISITS)
    assert page.admits(Key("Media", "m"), Facts(unit="a"))
    assert not page.admits(Key("Media", "m"), Facts(unit="b"))


def test_what_is_asked_goes_to_the_store() -> None:
    page = page_of(granting(EVERYTHING), ("Media",), ChangeWalk(7, 3, since=5, at=(1, 2)))
    assert (page.before, page.count, page.since, page.at) == (7, 3, 5, Period(1, 2))
    assert (page.visits, page.ahead) == (VISITS, AHEAD)
    assert page_of(granting(EVERYTHING), ("Media",), ChangeWalk(7, 0)).ahead == VISITS


@pytest.mark.parametrize("actions", [{"read"}, {"search"}, set()])
def test_types_that_may_not_be_listed_are_refused(actions: set) -> None:
    grant = Grant((Rule(frozenset(actions), frozenset({"Media"}), EVERYTHING),))
    for of in (("Media",), ()):
        with pytest.raises(Failure) as refused:
            page_of(grant, of, FIRST)
        assert refused.value.category is Category.FORBIDDEN


def test_tokens_as_they_are() -> None:
    def streams(scope: str, **bound: object) -> set[object]:
        caller = Caller("s", "c", scope_parser(registry())(scope), **bound)  # type: ignore[arg-type]  # as a test names
        return set(page_of(grant_for(caller, registry()), ("Media",), FIRST).streams)

    derm, anna = OfType("Media", Reach("unit", "derm")), OfType("Media", Reach("sole_patient", "anna"))
    assert streams("user/*.rs", all_units=True) == {OfType("Media")}
    assert streams("user/*.rs", units=frozenset({"derm"})) == {derm}
    assert streams("patient/*.rs", patient="anna") == {anna}
    assert streams("user/*.rs patient/*.rs", patient="anna", units=frozenset({"derm"})) == {derm, anna}
