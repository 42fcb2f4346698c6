"""SearchIndex on SQLite: plans and runs each search on one of a few read-only connections, within a budget of time."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import TypeVar

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.index_answers import answer
from fhirmedia.backends.index_candidates import Candidates, is_light
from fhirmedia.backends.index_dialect import SQLITE
from fhirmedia.backends.index_explaining import explained
from fhirmedia.backends.index_plan import Plan, Planner
from fhirmedia.backends.index_record_words import Texts, asks_for_dropped, too_long
from fhirmedia.backends.index_state import IndexSnapshot, IndexState, IsOver, pointers_of
from fhirmedia.backends.index_terms import KnownTerms
from fhirmedia.backends.index_totals import Totals
from fhirmedia.backends.index_words import equip
from fhirmedia.backends.sqlite import failure_of, is_interrupt, open_reader
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Hits, Page, Pointer
from fhirmedia.r4.query import Query

T = TypeVar("T")
_SMALL = 500
"""Searches among so many candidates at most run at once on the event loop: they take less than a millisecond, about
what it costs to wake a thread and to wait for its turn, which under load may take several."""

_STEPS = 20_000
"""Instructions of SQLite between two looks at the clock: about a millisecond."""


class SqlSearchIndex:
    """Searches of one database file; writers may be at work in this and other processes.

    A search sees one state of the index, the last one committed when it began. After `budget_s` seconds it is
    stopped and raises Failure TOO_COSTLY. `texts` reads words that the database does not keep.
    """

    def __init__(self, path: Path, *, readers: int = 2, budget_s: float = 10.0, texts: Texts | None = None) -> None:
        self._budget_s = budget_s
        self._texts = texts
        self.terms = KnownTerms()
        self._connections: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(readers):
            self._connections.put(_open(path))
        self._readers = readers
        self._inline = _open(path)
        self._totals = Totals(self._inline)
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="search")

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """The page and, if wanted, the total. Raises Failure TOO_COSTLY, NOT_IMPLEMENTED or UNAVAILABLE."""
        if not self._totals.remembers(query.query, page):
            return await self._find(query, page)
        with _translated():
            since = self._totals.state()
        hits = self._totals.get(query.query)
        if hits is None:
            hits = await self._find(query, page)
            self._totals.keep(query.query, hits, since=since)
        return hits

    async def _find(self, query: NarrowedQuery, page: Page) -> Hits:
        hits = self._search_small(query.query, page)
        if hits is not None:
            return hits
        return await self._within_budget(
            lambda connection, is_over: self._state(connection, is_over).hits(query.query, page)
        )

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        """What these resources refer to. Raises Failure UNAVAILABLE, TOO_COSTLY."""
        if len(keys) > _SMALL:
            return await self.within(lambda connection: pointers_of(connection, self.terms, keys, parameters))
        with _translated(), _one_state(self._inline):
            return pointers_of(self._inline, self.terms, keys, parameters)

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        """The shape of the plan, its statements, SQLite's own account of them, rows visited for the page; no values."""
        return await self._within_budget(
            lambda connection, is_over: self._explain(connection, query.query, page, is_over)
        )

    async def close(self) -> None:
        """Wait for running searches and let go of the file."""
        await asyncio.to_thread(self._pool.shutdown)
        for _ in range(self._readers):
            self._connections.get().close()
        self._inline.close()

    async def within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run other work on one state of the index, on a connection that reads, within the budget of a search.

        Raises Failure TOO_COSTLY, UNAVAILABLE.
        """
        return await self._within_budget(lambda connection, _is_over: work(connection))

    async def _within_budget(self, work: Callable[[sqlite3.Connection, IsOver], T]) -> T:
        budget = _Budget(self._budget_s)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._within, work, budget)
        except asyncio.CancelledError:
            budget.spent = True
            raise

    async def counting(self, query: Query, work: Callable[[sqlite3.Connection, Planner, Plan], T]) -> T:
        """Run work on the plan of a total: at once where there is little to count, else like `within`."""
        page = Page(0, total="accurate")
        if is_light(query):
            with _translated(), _one_state(self._inline):
                planner = Planner(SQLITE, IndexSnapshot(self._inline, self.terms))
                few = self._at_once(planner, query)
                if few is not None:
                    return work(self._inline, planner, planner.driven(few, query, page))
        return await self._within_budget(
            lambda connection, is_over: work(connection, *self._state(connection, is_over).plan(query, page))
        )

    def _at_once(self, planner: Planner, query: Query) -> Candidates | None:
        """The candidates, where they are few and none of them has to be read for its words."""
        if asks_for_dropped(self._inline, query):
            return None
        return planner.at_once(query, limit=_SMALL)

    def _state(self, connection: sqlite3.Connection, is_over: IsOver) -> IndexState:
        return IndexState(connection, self.terms, texts=self._texts, is_over=is_over)

    def _within(self, work: Callable[[sqlite3.Connection, IsOver], T], budget: "_Budget") -> T:
        connection = self._connections.get()
        try:
            connection.set_progress_handler(budget.exceeded, _STEPS)
            with _translated(), _one_state(connection):
                return work(connection, budget.exceeded)
        finally:
            self._connections.put(connection)

    def _search_small(self, query: Query, page: Page) -> Hits | None:
        """The answer, if it takes less time than handing the search to a thread and back; None if it may take more."""
        if not is_light(query):
            return None
        with _translated(), _one_state(self._inline):
            planner = Planner(SQLITE, IndexSnapshot(self._inline, self.terms))
            few = self._at_once(planner, query)
            return None if few is None else answer(self._inline, planner.driven(few, query, page), page)

    def _explain(self, connection: sqlite3.Connection, query: Query, page: Page, is_over: IsOver) -> str:
        state = self._state(connection, is_over)
        return explained(connection, lambda watch: state.plan_as_answered(query, page, watch=watch), page)


def _open(path: Path) -> sqlite3.Connection:
    connection = open_reader(path)
    equip(connection)
    return connection


def search_within(
    connection: sqlite3.Connection, query: NarrowedQuery, *, page: Page, budget_s: float, texts: Texts | None = None
) -> Hits:
    """A search inside the transaction that is under way on this connection: it sees what that has written.

    Raises Failure TOO_COSTLY after `budget_s` seconds; the transaction stays as it was. Any other error of the database
    is raised as it is: it may have ended the transaction. Terms are looked up anew each time: a number given in this
    transaction is nobody's if that is undone.
    """
    is_over = _Budget(budget_s).exceeded
    connection.set_progress_handler(is_over, _STEPS)
    try:
        return IndexState(connection, KnownTerms(), texts=texts, is_over=is_over).hits(query.query, page)
    except sqlite3.Error as error:
        if is_interrupt(error):
            raise too_long() from None
        raise
    finally:
        connection.set_progress_handler(None, 0)


class _Budget:
    """Time for one search; `spent` ends it early."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.spent = False

    def exceeded(self) -> bool:
        """Asked by SQLite now and then; true stops the statement."""
        return self.spent or time.monotonic() > self._until


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the database as Failures."""
    try:
        yield
    except sqlite3.Error as error:
        if is_interrupt(error):
            raise too_long() from None
        raise failure_of(error) from error
