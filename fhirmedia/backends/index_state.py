"""One state of the index, as a connection reads it at this moment: planning and answering searches of it."""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import partial

from fhirmedia.backends.index_along import leads_through_many, read_along
from fhirmedia.backends.index_answers import answer, number_of
from fhirmedia.backends.index_chains import Chains
from fhirmedia.backends.index_dialect import SQLITE, TRUE, Sql, sql
from fhirmedia.backends.index_plan import Plan, Planner
from fhirmedia.backends.index_record_words import RecordWords, Texts, asks_for_dropped
from fhirmedia.backends.index_terms import SYSTEM, UNKNOWN, KnownTerms
from fhirmedia.core.records import Key, parse_key
from fhirmedia.ports.index import Hits, Page, Pointer
from fhirmedia.r4.query import Query

IsOver = Callable[[], bool]
"""Whether the time of a search is over."""

_TYPES = (
    "WITH RECURSIVE each(type) AS (SELECT min(type) FROM res_row UNION ALL"
    " SELECT (SELECT min(r.type) FROM res_row r WHERE r.type > each.type) FROM each WHERE each.type IS NOT NULL)"
    " SELECT type FROM each WHERE type IS NOT NULL"
)
_POINTERS = (
    "SELECT DISTINCT t.target, t.version FROM json_each(?) AS asked CROSS JOIN res_row r CROSS JOIN idx_reference t"
    " WHERE r.type = json_extract(asked.value, '$[0]') AND r.id = json_extract(asked.value, '$[1]')"
    " AND t.rid = r.rid AND t.version >= 0 AND t.param IN ({})"
)
_SIZE = "SELECT coalesce(max(rid), 0) >> 8 FROM res_row"


class IndexState:
    """Searches of the state that a transaction of the connection reads; queries are already narrowed.

    SQLite ends its statements by itself; `is_over` is for what is done beside them. Methods raise Failure TOO_COSTLY,
    NOT_IMPLEMENTED, and WordsDroppedError.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        terms: KnownTerms,
        *,
        texts: Texts | None = None,
        is_over: IsOver = lambda: False,
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._texts = texts
        self._is_over = is_over

    def hits(self, query: Query, page: Page) -> Hits:
        """The answer."""
        hits = self._along(query, page)
        return answer(self._connection, self.plan(query, page)[1], page) if hits is None else hits

    def plan(self, query: Query, page: Page, *, watch: Sql = TRUE) -> tuple[Planner, Plan]:
        """How it is found with inner queries answered first; `watch` is a condition of every row that is looked at."""
        planner = self._planner(watch)

        def found(query: Query, page: Page) -> Hits:
            return answer(self._connection, planner.plan(words.resolved(query), page), page)

        chains = Chains(planner, found, partial(pointers_of, self._connection, self._terms))
        words = RecordWords(self._connection, self._texts, is_over=self._is_over, answer=found, inner=chains.answered)
        return planner, planner.plan(words.resolved(chains.resolved(query)), page)

    def plan_as_answered(self, query: Query, page: Page, *, watch: Sql) -> Plan:
        """The plan that the answer is found by; inner queries are run to know it."""
        if self._along(query, page) is not None:
            return self._planner(watch).along(query, page)
        return self.plan(query, page, watch=watch)[1]

    def _along(self, query: Query, page: Page) -> Hits | None:
        if not page.count or page.total == "accurate" or asks_for_dropped(self._connection, query):
            return None
        if not leads_through_many(query, self._planner(TRUE)):
            return None
        return read_along(self._connection, query, page, planner=self._planner)

    def _planner(self, watch: Sql, asking: Sql = TRUE) -> Planner:
        return Planner(SQLITE, IndexSnapshot(self._connection, self._terms), watch=watch, asking=asking)


def pointers_of(
    connection: sqlite3.Connection, terms: KnownTerms, keys: Sequence[Key], parameters: Collection[str]
) -> list[Pointer]:
    """What these resources refer to by some of the parameters."""
    known = (terms.number(connection, parameter, kind="reference") for parameter in parameters)
    numbers = [number for number in known if number != UNKNOWN]
    if not numbers or not keys:
        return []
    rows = connection.execute(_POINTERS.format(", ".join("?" * len(numbers))), (json.dumps(keys), *numbers))
    return [Pointer(parse_key(target), version) for target, version in rows]


class IndexSnapshot:
    """What planning asks of the state a connection reads."""

    def __init__(self, connection: sqlite3.Connection, terms: KnownTerms) -> None:
        self._connection = connection
        self._unknown: set[str] = set()
        self.terms = terms

    def number(self, parameter: str, kind: str) -> int:
        return self.terms.number(self._connection, parameter, kind=kind)

    def system(self, text: str) -> int:
        if text in self._unknown:
            return UNKNOWN
        number = self.terms.number(self._connection, text, kind=SYSTEM)
        if number == UNKNOWN:
            self._unknown.add(text)
        return number

    def rank(self, text: str, kind: str) -> int:
        return self.terms.rank(self._connection, text, kind=kind)

    def kinds(self, parameter: str) -> dict[str, tuple[int, bool]]:
        return self.terms.kinds(self._connection, parameter)

    def numbers(self, rows: Sql) -> list[int]:
        return [row[0] for row in self._connection.execute(*rows)]

    def count(self, rows: Sql) -> int:
        return number_of(self._connection, sql("SELECT count(*) FROM ({})", rows))

    def types(self) -> list[str]:
        return [row[0] for row in self._connection.execute(_TYPES)]

    def size(self) -> int:
        return number_of(self._connection, Sql(_SIZE))
