"""Histories: which versions a Grant lets be walked through, found by the facts it is bound to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.ports.changes import ChangePage, OfType, Period, Reach, Stream
from fhirmedia.r4.query import All, Any, FactIn, Query

VISITS = 5_000
"""Versions looked at for one page; a page that has not found enough by then ends early, and the next goes on."""

AHEAD = 50
"""Visible versions of types counted past a page to know the total; one resource's are always counted, up to VISITS."""


@dataclass(frozen=True, slots=True)
class ChangeWalk:
    """One step of a walk through a history: below which sequence, how many versions, and which of them.

    `since` and the half-open period `at` are in milliseconds UTC, and mean what a `ChangePage` says; `count` 0 asks for
    the total alone.
    """

    before: int
    count: int
    since: int | None = None
    at: tuple[int, int] | None = None


def page_of(grant: Grant, of: Key | Sequence[str], walk: ChangeWalk) -> ChangePage:
    """The step for the store: of one resource, which the caller may read, or of types, read and searched.

    Raises Failure FORBIDDEN for a type that the caller may not both read and search, and for no type at all.
    """
    if isinstance(of, Key):
        streams: Sequence[Stream] = (of,)
        admits = partial(grant.admits, "read")
        ahead = VISITS
    else:
        if not of:
            raise Failure(Category.FORBIDDEN, "The token does not allow the history of any type.")
        for each in of:
            grant.require("search", each)
            grant.require("read", each)
        streams = [stream for each in of for stream in _streams(grant, each)]
        admits = partial(_listable, grant)
        ahead = AHEAD if walk.count else VISITS
    at = None if walk.at is None else Period(*walk.at)
    return ChangePage(streams, admits, walk.before, walk.count, walk.since, at, visits=VISITS, ahead=ahead)


def _listable(grant: Grant, key: Key, facts: Facts) -> bool:
    return grant.admits("read", key, facts) and grant.admits("search", key, facts)


def _streams(grant: Grant, type: str) -> list[OfType]:
    """Where versions of the type stand that the caller may read and search: all of them, and few others."""
    reaches = _bounds(All((grant.rows("read", type), grant.rows("search", type))))
    if reaches is None:
        return [OfType(type)]
    return [OfType(type, reach) for reach in reaches]


def _bounds(rows: Query) -> tuple[Reach, ...] | None:
    """Facts of which every record that the rule selects has one; None if it does not bound them."""
    match rows:
        case FactIn("unit", values):
            return tuple(Reach("unit", value) for value in sorted(values))
        case FactIn("sole_patient", values):
            return tuple(Reach("sole_patient", value) for value in sorted(values))
        case All(parts):
            bounded = [found for part in parts if (found := _bounds(part)) is not None]
            return min(bounded, key=len) if bounded else None
        case Any(parts):
            each = [_bounds(part) for part in parts]
            known = [found for found in each if found is not None]
            return tuple(dict.fromkeys(sum(known, ()))) if len(known) == len(each) else None
        case _:
            return None
