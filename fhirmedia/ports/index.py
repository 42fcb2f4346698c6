"""What a search engine must answer; it only ever sees narrowed queries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.errors import Issue
from fhirmedia.core.records import Key
from fhirmedia.r4.query import SortKey

SortValue = int | float | str | None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort tuple of its last row (None: the value is missing) and that row's Key."""

    values: tuple[SortValue, ...]
    key: Key


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a walk: order, how many rows, after which row, and how the total is wanted.

    `total`: `none`; `accurate` counts exactly; `bounded` counts up to `total_limit` rows and leaves the total out above
    it. A page comes first: its total is left out where there is no time left to count. `count` 0 asks for the total
    alone, which raises TOO_COSTLY then. `strong`: nothing that was changed before may be
    missing, even if that takes a while.
    """

    count: int
    sort: tuple[SortKey, ...] = ()
    after: Position | None = None
    total: Literal["none", "accurate", "bounded"] = "none"
    total_limit: int = 1000
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """How an answer stands to the records: how many milliseconds it may be behind, and what is to be said of it."""

    lag_ms: int
    remarks: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Hits:
    """The Keys of a page in order, where it ended (None: nothing follows), and the total (None: it was not counted).

    `freshness` is None where nothing but the records' own database could have answered.
    """

    keys: tuple[Key, ...]
    next: Position | None
    total: int | None
    freshness: Freshness | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """A local record that something refers to; `version` 0 where the reference names none."""

    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many resources have a value: a coded one, or a year (`2024`) or month (`2024-03`) as code.

    `patients` is how many different Patients they are about, each resource counted that is about one alone; None where
    that was not asked for.
    """

    system: str | None
    code: str
    count: int
    patients: int | None = None


Span = Literal["year", "month"]
"""Stretches of the calendar in the zone of the deployment, by the beginning of `when`."""


class SearchIndex(Protocol):
    """One engine."""

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """Keys of current records that the query selects. Raises Failure TOO_COSTLY beyond the search budget."""

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        """What the current resources of these Keys refer to through the reference parameters, each once, in no order.

        It is said of any Keys: only Keys of records that the Caller may read are to be asked about.
        """


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine that would answer, and why that one; `why` is None where there is no other."""

    engine: str
    why: str | None = None


class IndexCounts(Protocol):
    """What an engine tells about the resources a query selects, besides which they are."""

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        """Who would answer at present."""

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        """How the page is found and how much is visited for it, for operators: that tells of what is hidden. No values.

        Raises Failure TOO_COSTLY, UNAVAILABLE.
        """

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        """How the selected resources divide by the values of each token parameter, or Span; most frequent first.

        A resource counts once in each bucket it has a value for. What is told is of one moment where the engine can say
        so. Raises Failure TOO_COSTLY for too many resources.
        """

    async def patients(self, query: NarrowedQuery) -> int:
        """How many different Patients the selected resources are about, those about one alone counted."""
