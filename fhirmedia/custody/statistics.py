"""Counts that tell nothing about anybody: what whoever may not list the records gets to see of their number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.index import Bucket, IndexCounts, Page, SearchIndex
from fhirmedia.ports.quotas import Quota
from fhirmedia.r4.query import Query
from fhirmedia.r4.query_sentence import in_words

if TYPE_CHECKING:
    from fhirmedia.custody.custodian import Stores

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
    """The number of resources, None where it is hidden, and how they divide; `lag_ms` as of `Freshness`."""

    total: int | None
    divisions: tuple[Division, ...]
    lag_ms: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """How a search is answered, and why by this engine; `plan` is None for whoever is no operator."""

    narrowed: str
    engine: str
    why: str | None
    plan: str | None


class Counting:
    """Counts and explains for one Grant; `spend` is called before anything is counted for who may not list it."""

    def __init__(
        self, index: SearchIndex, counts: IndexCounts, grant: Grant, *, spend: Callable[[], None] = lambda: None
    ) -> None:
        self._index = index
        self._counts = counts
        self._grant = grant
        self._spend = spend

    async def of(self, query: Query, divided: Mapping[str, Query], *, types: Sequence[str]) -> Statistics:
        """How many records a query selects, and how those of each named query divide by the facet of its name.

        Raises Failure FORBIDDEN, TOO_COSTLY, and what `spend` raises.
        """
        listing = self._grant.listable(types) == frozenset(types)
        narrowed = self._grant.narrow(query, types=types, listing=listing)
        if not listing:
            self._spend()
        hits = await self._index.search(narrowed, page=Page(0, total="accurate"))
        total, lag_ms = hits.total, 0 if hits.freshness is None else hits.freshness.lag_ms
        if not listing and await self._counts.patients(narrowed) < FLOOR:
            return Statistics(None, (), lag_ms)
        told = shown if listing else floored
        divisions: dict[str, Division] = {}
        for selected, names in _by_query(divided).items():
            inside = self._grant.narrow(selected, types=types, listing=listing)
            found = await self._counts.divisions(inside, by=names, with_patients=not listing)
            divisions.update((name, told(name, buckets)) for name, buckets in zip(names, found, strict=True))
        in_order = tuple(divisions[name] for name in divided)
        return Statistics(total if listing or total is None else rounded(total), in_order, lag_ms)

    async def explain(self, query: Query, *, types: Sequence[str], page: Page, is_operator: bool) -> Told:
        """The query with the limits of the Grant in it, and who answers. Raises Failure FORBIDDEN, TOO_COSTLY."""
        narrowed = self._grant.narrow(query, types=types)
        plan = await self._counts.explain(narrowed, page=page) if is_operator else None
        chosen = await self._counts.chosen(narrowed)
        return Told(in_words(narrowed.query), chosen.engine, chosen.why, plan)


def _by_query(divided: Mapping[str, Query]) -> dict[Query, list[str]]:
    """The names of each query: an engine divides one by all of them at once."""
    found: dict[Query, list[str]] = {}
    for name, selected in divided.items():
        found.setdefault(selected, []).append(name)
    return found


def counting_for(stores: "Stores", caller: Caller, grant: Grant, clock: Clock) -> Counting:
    """Counting of what the stores hold, as often as the Caller may."""
    return Counting(stores.index, stores.counts, grant, spend=partial(spend_count, stores.quota, caller, clock))


def spend_count(quota: Quota, caller: Caller, clock: Clock) -> None:
    """Take one of the counts in an hour that somebody has who may not list what is counted. Raises THROTTLED."""
    wait_s = quota.spend(caller.subject, now=clock())
    if wait_s:
        text = "Who may not read the records is told only so many counts in an hour; wait a little."
        raise Failure(Category.THROTTLED, text, retry_after_s=wait_s)


def shown(name: str, buckets: Sequence[Bucket], *, most: int = MOST_BUCKETS) -> Division:
    """The buckets as they are, the first `most` of them."""
    kept = tuple(ShownBucket(each.system, each.code, each.count) for each in buckets[:most])
    return Division(name, kept, len(buckets) > most)


def floored(name: str, buckets: Sequence[Bucket], *, most: int = MOST_BUCKETS) -> Division:
    """The same with every bucket of fewer than FLOOR Patients hidden, never one alone, and all numbers rounded down.

    A single hidden bucket could be worked out from the others, so the next smallest goes with it; and what is left is
    a multiple of FLOOR, so that neither the total nor another facet gives a hidden number away. Buckets are in the
    order of their rounded numbers and their codes: a finer one would tell.
    """
    hidden = [each for each in buckets if (each.patients or 0) < FLOOR]
    if len(hidden) == 1:
        rest = [each for each in buckets if each not in hidden]
        hidden += sorted(rest, key=lambda each: (each.count, each.system or "", each.code))[:1]
    told = [ShownBucket(each.system, each.code, None if each in hidden else rounded(each.count)) for each in buckets]
    told.sort(key=lambda each: (-(each.count or 0), each.system or "", each.code))
    return Division(name, tuple(told[:most]), len(told) > most)


def rounded(count: int) -> int:
    """Down to a multiple of FLOOR."""
    return count - count % FLOOR
