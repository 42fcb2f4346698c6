"""Counts that tell nothing about anybody: what whoever may not list the records gets to see of their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fhirmedia.access.grant import Grant
from fhirmedia.ports.index import Bucket, IndexCounts, Page, SearchIndex
from fhirmedia.r4.query import Query

FLOOR = 5
"""Fewer Patients than this are not counted out loud to whoever may not list their records."""

MOST_BUCKETS = 1000
"""Of one facet that are answered."""


@dataclass(frozen=True, slots=True)
class Division:
    """How the answer divides by one facet: buckets, most frequent first; of a hidden one `count` is None.

    `is_cut`: there are more buckets than are shown.
    """

    name: str
    buckets: tuple["ShownBucket", ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ShownBucket:
    """A bucket as it is answered."""

    system: str | None
    code: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """The number of resources, None where it is hidden, and how they divide."""

    total: int | None
    divisions: tuple[Division, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """How a search is answered; `plan` is None for whoever is no operator."""

    narrowed: str
    engine: str
    plan: str | None


class Counting:
    """Counts and explains for one Grant."""

    def __init__(self, index: SearchIndex, counts: IndexCounts, grant: Grant) -> None:
        self._index = index
        self._counts = counts
        self._grant = grant

    async def of(self, query: Query, divided: Mapping[str, Query], *, types: Sequence[str]) -> Statistics:
        """How many records a query selects, and how those of each named query divide by the facet of its name.

        Raises Failure FORBIDDEN, TOO_COSTLY.
        """
        listing = self._grant.listable(types) == frozenset(types)
        narrowed = self._grant.narrow(query, types=types, listing=listing)
        total = (await self._index.search(narrowed, page=Page(0, total="accurate"))).total
        if not listing and await self._counts.patients(narrowed) < FLOOR:
            return Statistics(None, ())
        divisions = []
        for name, selected in divided.items():
            inside = self._grant.narrow(selected, types=types, listing=listing)
            buckets = await self._counts.buckets(inside, by=name, with_patients=not listing)
            divisions.append((shown if listing else floored)(name, buckets))
        found = Statistics(total, tuple(divisions))
        return found if listing else rounded(found)

    async def explain(self, query: Query, *, types: Sequence[str], page: Page, is_operator: bool) -> Told:
        """The query with the limits of the Grant in it, and who answers. Raises Failure FORBIDDEN, TOO_COSTLY."""
        narrowed = self._grant.narrow(query, types=types)
        plan = await self._counts.explain(narrowed, page=page) if is_operator else None
        return Told(str(narrowed.query), self._counts.engine, plan)


def shown(name: str, buckets: Sequence[Bucket], *, most: int = MOST_BUCKETS) -> Division:
    """The buckets as they are, the first `most` of them."""
    kept = tuple(ShownBucket(each.system, each.code, each.count) for each in buckets[:most])
    return Division(name, kept, len(buckets) > most)


def floored(name: str, buckets: Sequence[Bucket], *, most: int = MOST_BUCKETS) -> Division:
    """The same with every bucket of fewer than FLOOR Patients hidden, and never one alone.

    A single hidden bucket could be worked out from the total, so the next smallest goes with it. The order of hidden
    ones is that of their codes: it would tell their numbers.
    """
    hidden = [each for each in buckets if (each.patients or 0) < FLOOR]
    if len(hidden) == 1:
        rest = [each for each in buckets if each not in hidden]
        hidden += sorted(rest, key=lambda each: (each.count, each.system or "", each.code))[:1]
    open_ones = [each for each in buckets if each not in hidden]
    veiled = [
        ShownBucket(each.system, each.code, None)
        for each in sorted(hidden, key=lambda each: (each.system or "", each.code))
    ]
    kept = (*shown(name, open_ones, most=len(buckets)).buckets, *veiled)
    return Division(name, kept[:most], len(kept) > most)


def rounded(statistics: Statistics) -> Statistics:
    """The total rounded down to a multiple of FLOOR where a bucket is hidden, so that no subtraction finds it."""
    is_veiled = any(each.count is None for division in statistics.divisions for each in division.buckets)
    if statistics.total is None or not is_veiled:
        return statistics
    return replace(statistics, total=statistics.total - statistics.total % FLOOR)
