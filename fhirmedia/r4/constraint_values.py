"""What the operators of constraints mean: three-valued logic, equality, order, all over parsed JSON.

FHIRPath, "Operators". An element that only has extensions is there (`NO_VALUE`) but has nothing to be compared by.
"""

from collections.abc import Hashable
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from fhirmedia.r4.dates import date_range

Truth = bool | None
"""None is FHIRPath's empty: neither true nor false."""

NO_VALUE: Final = object()
"""Stands for a primitive that has extensions and no value."""

_UTC = ZoneInfo("UTC")
_ZONES_SPAN_MS = 14 * 3_600_000
"""How far a local time may be from UTC."""


def conjunction(left: Truth, right: Truth) -> Truth:
    """`and`"""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def disjunction(left: Truth, right: Truth) -> Truth:
    """`or`"""
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def difference(left: Truth, right: Truth) -> Truth:
    """`xor`"""
    return None if left is None or right is None else left is not right


def implication(left: Truth, right: Truth) -> Truth:
    """`implies`"""
    return disjunction(negation(left), right)


def negation(truth: Truth) -> Truth:
    """`not()`"""
    return None if truth is None else not truth


def truth_of(found: list[Any]) -> Truth:
    """A collection as a condition: its one boolean, and true for one item of any other kind. Several are no answer."""
    if len(found) != 1 or found[0] is NO_VALUE:
        return None
    return found[0] if isinstance(found[0], bool) else True


def equal(left: list[Any], right: list[Any]) -> Truth:
    """`=` of two collections; None where one is empty or has no value."""
    if not left or not right or NO_VALUE in left or NO_VALUE in right:
        return None
    return len(left) == len(right) and all(map(same, left, right))


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are one; true is not 1."""
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def key_of(value: Any) -> Hashable:
    """What two JSON values share exactly if they are one: to look for many among many."""
    if isinstance(value, dict):
        return frozenset((name, key_of(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(map(key_of, value))
    return (bool, value) if isinstance(value, bool) else value


def is_at_most(left: list[Any], right: list[Any]) -> Truth:
    """`<=`; None where a side is no single value. An order that the precision or unit leaves open counts as kept."""
    if len(left) != 1 or len(right) != 1 or left[0] is NO_VALUE or right[0] is NO_VALUE:
        return None
    return _is_ordered(left[0], right[0])


def is_below(left: list[Any], right: list[Any]) -> Truth:
    """`<`, as `is_at_most`."""
    ordered = is_at_most(left, right)
    return ordered if not ordered else not equal(left, right)


def _is_ordered(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        units = [(one.get("system"), one.get("code", one.get("unit"))) for one in (left, right)]
        numbers = (left.get("value"), right.get("value"))
        return units[0] != units[1] or None in numbers or _is_ordered(*numbers)
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return left <= right
    return _is_in_time(str(left), str(right))


def _is_in_time(first: str, last: str) -> bool:
    """False only if the first date or time begins after all of the last has passed, wherever the clocks stand."""
    if "T" not in first and "T" not in last:
        shorter = min(len(first), len(last))
        return first[:shorter] <= last[:shorter]
    early, late = date_range(first, _UTC), date_range(last, _UTC)
    if early is None or late is None:
        return True
    slack = 0 if "T" in first and "T" in last else _ZONES_SPAN_MS
    return early[0] - slack < late[1]
