"""One SearchIndex over two engines: the index beside the database where it is right and ready, else the database.

A search about named Patients is answered as of this moment: what waits about them is taken in first. One across
Patients may be behind, and says by how much; Keys whose facts have changed since are left out of it. Whenever the
index cannot answer, or not in time, the database does, and the answer says so. A walk in the order of changes is never
behind: what would be found late, it would have passed by.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.following.choosing import choose
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.presence import Presence
from fhirmedia.backends.following.worker import IndexWorker
from fhirmedia.backends.index_chains import HOP_AT_MOST, one_of
from fhirmedia.backends.words_kept import WordsDroppedError
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.records import Key
from fhirmedia.ports.generations import GenerationIndex, SearchEngine
from fhirmedia.ports.index import Bucket, Chosen, Freshness, Hits, IndexCounts, Page, Pointer, SearchIndex
from fhirmedia.r4.query import NOTHING, Chain, DateTest, Has, Match, Query, ReferenceTest, SortKey

T = TypeVar("T")
log = logging.getLogger("fhirmedia")

CATCH_UP_S = 2.0
"""So long a search waits for what it must not miss."""
_CATCH_UP_MOST = 1000
"""Changes about a search's Patients that are taken in while it waits."""
_MOVED_MOST = 5000
_HOP_PAGE = 5000
_NOTED_LAG_MS = 5000
_LOOK_S = 0.02
_BY_CHANGE = SortKey("_lastUpdated")
"""The order of those who follow changes: what is found late would be behind the place they have reached."""
RETRY_S = 5
"""When to ask again for what the index alone can answer."""

_ANSWERED_BY_DATABASE = "The records' own database answered, completely, in place of the search index: {}."
_WORDS_ARE_BESIDE = (
    "Words among so many resources are found by the search index alone, which cannot answer at present; try again, or "
    "name a patient."
)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a query goes, with what its inner queries found in their place.

    That is an index, less the Keys `without`; None is the database, which takes it as it is. `why` explains it.
    """

    query: NarrowedQuery
    index: GenerationIndex | None
    why: str
    freshness: Freshness
    without: Collection[Key] = ()
    is_of_patients: bool = False
    """Whether what is remarked tells of the Patients that were asked about; whoever finds nothing is not told."""


class RoutedIndex:
    """SearchIndex and IndexCounts."""

    def __init__(
        self,
        database: SearchIndex,
        counts: IndexCounts,
        engine: SearchEngine,
        outbox: Outbox,
        worker: IndexWorker,
        presence: Presence,
        *,
        clock: Clock,
        patience_s: float,
        late: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._database = database
        self._counts = counts
        self._engine = engine
        self._outbox = outbox
        self._worker = worker
        self._presence = presence
        self._clock = clock
        self._patience_s = patience_s
        self._late = late

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """Keys of current records. Raises Failure TOO_COSTLY, UNAVAILABLE."""
        route = await self._route(query, page.sort, strong=page.strong)

        async def beside(index: GenerationIndex) -> Hits:
            hits = await index.search(route.query, page=page, without=route.without)
            return replace(hits, freshness=route.freshness)

        async def in_database(query: NarrowedQuery, freshness: Freshness) -> Hits:
            hits = await self._database.search(query, page=page)
            is_told = hits.keys or not route.is_of_patients
            return replace(hits, freshness=freshness if is_told else Freshness(0))

        return await self._ask(query, route, beside, in_database, strong=page.strong)

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        """What these refer to: the database knows it of all of them."""
        return await self._database.pointers(keys, parameters=parameters)

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        """Who would answer now, and why."""
        if not self._presence.is_there:
            await self._presence.look()
        route = self._settled(query)
        name = (await self._counts.chosen(query)).engine if route.index is None else route.index.engine
        return Chosen(name, route.why)

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        """The plan of whoever would answer."""
        route = self._settled(query, page.sort)
        if route.index is None:
            return await self._in_database(
                query, route.freshness, lambda query, _: self._counts.explain(query, page=page)
            )
        route = await self._without_inner(route)
        if route.index is None:
            return await self._counts.explain(query, page=page)
        return await route.index.explain(route.query, page=page)

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        """How it divides by each of these, all answered by the same. Raises Failure TOO_COSTLY, UNAVAILABLE."""
        route = await self._route(query)
        return await self._ask(
            query,
            route,
            lambda index: index.divisions(route.query, by=by, with_patients=with_patients, without=route.without),
            lambda query, _: self._counts.divisions(query, by=by, with_patients=with_patients),
        )

    async def patients(self, query: NarrowedQuery) -> int:
        """How many Patients the answer is about. Raises Failure TOO_COSTLY, UNAVAILABLE."""
        route = await self._route(query)
        return await self._ask(
            query,
            route,
            lambda index: index.patients(route.query, without=route.without),
            lambda query, _: self._counts.patients(query),
        )

    async def _ask(
        self,
        query: NarrowedQuery,
        route: Route,
        beside: Callable[[GenerationIndex], Awaitable[T]],
        in_database: Callable[[NarrowedQuery, Freshness], Awaitable[T]],
        *,
        strong: bool = False,
    ) -> T:
        if route.index is None:
            return await self._in_database(query, route.freshness, in_database, strong=strong)
        try:
            async with asyncio.timeout(self._patience_s):
                found = await beside(route.index)
        except Exception as error:  # noqa: BLE001 (an index that answers nonsense is none)
            return await self._in_database(query, self._failed(error), in_database, strong=strong)
        self._presence.served()
        return found

    def _failed(self, error: Exception) -> Freshness:
        """What is to be said of an answer in place of one that failed. Raises Failure TOO_COSTLY if it was that."""
        match error:
            case TimeoutError():
                self._presence.lost(Failure(Category.UNAVAILABLE, "It does not answer in time."))
                return _instead("it does not answer in time")
            case Failure(category=Category.TOO_COSTLY):
                raise error
            case Failure(category=Category.NOT_IMPLEMENTED):
                return Freshness(0)
            case Failure(category=Category.UNAVAILABLE):
                self._presence.lost(error)
            case _:
                self._doubt(error)
        return _instead("it cannot be asked at present")

    async def _in_database(
        self,
        query: NarrowedQuery,
        freshness: Freshness,
        in_database: Callable[[NarrowedQuery, Freshness], Awaitable[T]],
        *,
        strong: bool = False,
    ) -> T:
        """What the database answers. Raises Failure UNAVAILABLE for words that only the index finds."""
        try:
            return await in_database(query, freshness)
        except WordsDroppedError:
            if freshness.remarks:
                raise Failure(Category.UNAVAILABLE, _WORDS_ARE_BESIDE, retry_after_s=RETRY_S) from None
            # The words may be inside, of types that the index holds.
            split = await self._without_inner(Route(query, None, "", freshness), strong=strong)
            if split.query == query:
                raise
            return await in_database(split.query, split.freshness)

    def _doubt(self, error: Exception) -> None:
        """This search it did not answer; others it may."""
        log.error("the search index did not answer a search as it should (%s)", type(error).__name__)
        self._presence.doubt()

    async def _route(self, query: NarrowedQuery, sort: Sequence[SortKey] = (), *, strong: bool = False) -> Route:
        """Where the query goes, once what it must not miss has been taken in.

        In the order of changes that is everything up to this moment, and the index is asked for no later change: of
        those it may have the second and not yet the first.
        """
        route = self._settled(query, sort)
        if route.index is None:
            return route
        now = self._clock()
        is_by_change = tuple(sort[:1]) == (_BY_CHANGE,)
        up_to = self._outbox.moment(now=now) if strong or is_by_change else now
        if is_by_change:
            route = replace(route, query=query.and_also(Match(_BY_CHANGE.parameter, (DateTest("le", 0, up_to + 1),))))
        patients = choose(query.query, held=self._engine.types).patients
        if patients:
            if not await self._is_caught_up(patients):
                return replace(_database(query, "it is behind on what was asked for"), is_of_patients=True)
            return route
        if (strong or is_by_change) and not await self._is_taken_in(up_to):
            return _database(query, "it is behind")
        moved = self._outbox.moved(limit=_MOVED_MOST + 1)
        if len(moved) > (0 if is_by_change else _MOVED_MOST):
            return _database(query, "it is behind")
        route = replace(route, freshness=self._freshness(now), without=moved)
        return await self._without_inner(route, strong=strong)

    async def _without_inner(self, route: Route, *, strong: bool = False) -> Route:
        """Each inner query answered by the engine that is right for it; by the database where they find too much.

        The route is as fresh then as the oldest of these answers, and repeats what is said of any.
        """
        answers: dict[Query, Query] = {}
        freshness = route.freshness
        for node, inside in route.query.inner().items():
            keys, after = list[Key](), None
            while True:
                hits = await self.search(inside, page=Page(_HOP_PAGE, after=after, strong=strong))
                freshness = _joined(freshness, hits.freshness)
                keys, after = [*keys, *hits.keys], hits.next
                if after is None:
                    break
                if len(keys) >= HOP_AT_MOST:
                    return Route(route.query, None, "a chain goes through too many resources", Freshness(0))
            if isinstance(node, Has):
                pointers = await self._database.pointers(keys, parameters=(node.parameter,))
                answers[node] = one_of({pointer.key for pointer in pointers})
            elif isinstance(node, Chain):
                answers[node] = Match(node.parameter, tuple(map(ReferenceTest, keys))) if keys else NOTHING
        return replace(route, query=route.query.answered(answers), freshness=freshness) if answers else route

    def _settled(self, query: NarrowedQuery, sort: Sequence[SortKey] = ()) -> Route:
        """Where the query goes as far as nothing has to be waited for."""
        choice = choose(query.query, held=self._engine.types, sort=sort, late=self._late())
        if not choice.is_beside:
            return Route(query, None, choice.why, Freshness(0))
        live = self._outbox.generations().live
        if live is None or live.fingerprint != self._engine.fingerprint:
            return _database(query, "it is being filled")
        if not self._presence.is_there:
            return _database(query, "it cannot be asked at present")
        return Route(query, self._engine.index(live.name), choice.why, Freshness(0))

    def _freshness(self, now: int) -> Freshness:
        lag_ms, dead = self._outbox.lag(now=now)
        remarks = []
        if lag_ms > _NOTED_LAG_MS:
            text = f"The search index is {lag_ms // 1000} s behind; what changed since may be missing."
            remarks.append(Issue("incomplete", text, severity="warning"))
        if dead:
            text = "Some resources could not be taken into the search index; the operator can tell which."
            remarks.append(Issue("incomplete", text, severity="warning"))
        return Freshness(lag_ms, tuple(remarks))

    async def _is_caught_up(self, patients: Sequence[str]) -> bool:
        """Let the index have what waits about these Patients; whether it has, in time."""
        if not self._outbox.of_patients(patients, limit=1):
            return True
        try:
            async with asyncio.timeout(CATCH_UP_S):
                return await self._worker.take_in_patients(patients, limit=_CATCH_UP_MOST)
        except TimeoutError:
            self._presence.doubt()
        except Exception as error:  # noqa: BLE001 (whatever it is, the database knows the answer)
            self._doubt(error)
        return False

    async def _is_taken_in(self, moment: int) -> bool:
        """Wait until everything that changed up to a moment is in the index; whether it is, in time."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while self._outbox.waits_since(moment):  # noqa: ASYNC110 (other processes may be what ends it)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            return False
        return not self._outbox.lag(now=moment)[1]


def _joined(one: Freshness, other: Freshness | None) -> Freshness:
    """Of an answer that both went into."""
    if other is None:
        return one
    return Freshness(max(one.lag_ms, other.lag_ms), tuple(dict.fromkeys((*one.remarks, *other.remarks))))


def _database(query: NarrowedQuery, why: str) -> Route:
    return Route(query, None, f"the search index would be right, but {why}", _instead(why))


def _instead(why: str) -> Freshness:
    """Of an answer that the database gave in place of the index; it is behind by nothing."""
    return Freshness(0, (Issue("informational", _ANSWERED_BY_DATABASE.format(why), severity="information"),))
