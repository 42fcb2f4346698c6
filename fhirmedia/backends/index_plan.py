"""How a page is read: from few candidates and sorted (D), or along the order and tested (S).

S costs about page * all / answers rows, D as many as there are candidates; if all of these were answers, they would
cost the same at the square root of page * all. Rights and other tests leave perhaps one in four, so D is taken up to
twice that. A plan is a list of segments that follow each other in the order of the page.
"""

from dataclasses import dataclass, replace
from math import isqrt

from fhirmedia.backends.index_candidates import (
    EVERYTHING,
    READ_AT_MOST,
    Candidates,
    Snapshot,
    by_key,
    by_patient,
    by_type,
    conjuncts,
    has_words,
)
from fhirmedia.backends.index_compile import Compiler
from fhirmedia.backends.index_dialect import FALSE, TRUE, Dialect, Sql, every, sql
from fhirmedia.backends.index_drivers import by_equality, by_value
from fhirmedia.backends.index_order import shown, sorted_rows, term_of
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_walk import Segment, Walker
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import All, Query, SortKey

_NEWEST_FIRST = SortKey("when", descending=True)

VISITED_FOR_TOTAL = 20_000
"""A bounded total looks at so many candidates at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The segments of the page; the candidates a total is counted from, with what they must fulfil."""

    shape: str
    segments: tuple[Segment, ...]
    counted: Candidates
    condition: Sql


NOTHING = Plan("nothing", (), EVERYTHING, FALSE)
"""The plan of a query that nothing can satisfy."""


class Planner:
    """Plans against one snapshot of the database."""

    def __init__(self, dialect: Dialect, snapshot: Snapshot, *, watch: Sql = TRUE, asking: Sql = TRUE) -> None:
        self._dialect = dialect
        self._snapshot = snapshot
        self.compiler = Compiler(dialect, snapshot, watch=watch, asking=asking)

    def few(self, query: Query) -> Candidates | None:
        """The candidates, where ids or Patients bound the answer; finding them asks the database for nothing much."""
        return by_key(query, self.compiler, self._snapshot) or by_patient(query, self._dialect)

    def at_once(self, query: Query, *, limit: int) -> Candidates | None:
        """So many candidates at most, found by a few looks into an index; None where it takes more to find them."""
        few = self.few(query)
        if few is None:
            return by_equality(query, self.compiler, self._snapshot, limit=limit)[0]
        rows = self._snapshot.count(few.first(limit + 1))
        return replace(few, rows=rows) if rows <= limit else None

    def size(self) -> int:
        """About how many resources there are, rather too many than too few."""
        return self._snapshot.size()

    def is_bounded(self, query: Query, *, limit: int) -> bool:
        """Whether ids or Patients bound the answer to so many candidates."""
        few = self.few(query)
        return few is not None and self._snapshot.count(few.first(limit + 1)) <= limit

    def begins_with(self, query: Query, *, limit: int) -> bool:
        """Whether there are so many candidates at most, by ids, Patients, a value, a stretch of time or their type."""
        if self.is_bounded(query, limit=limit):
            return True
        few = by_value(query, self.compiler, self._snapshot, limit=limit)
        if few is not None and few.rows is not None:
            return few.rows <= limit
        return self._snapshot.count(by_type(query, self._dialect).first(limit + 1)) <= limit

    def plan(self, query: Query, page: Page) -> Plan:
        """Raises Failure NOT_IMPLEMENTED for what this engine cannot answer."""
        few = self.few(query)
        if few is not None:
            return self.driven(few, query, page)
        limit = 2 * isqrt((page.count + 1) * self._snapshot.size()) if page.count else VISITED_FOR_TOTAL
        probed = limit if page.total == "none" else max(limit, VISITED_FOR_TOTAL)
        few = by_value(query, self.compiler, self._snapshot, limit=probed)
        if few is not None and few.rows is not None and (few.listed or few.rows <= limit):
            return self.driven(few, query, page)
        return self.along(query, page, counted=few)

    def along(self, query: Query, page: Page, *, counted: Candidates | None = None) -> Plan:
        """The plan that reads along the order; `counted` are the candidates of its total."""
        counted = counted or by_type(query, self._dialect)
        condition = self._condition(query, counted)
        if condition == FALSE:
            return NOTHING
        walker = Walker(self.compiler, self._snapshot, most=page.count + 1)
        segments = tuple(walker.segments(query, page.sort, page.after)) if page.count else ()
        return Plan("S", segments, counted, condition)

    def driven(self, few: Candidates, query: Query, page: Page) -> Plan:
        """The plan that begins with these candidates."""
        few = self._read_one_by_one(few, query)
        condition = self._condition(query, few)
        if condition == FALSE:
            return NOTHING
        if not page.count:
            return Plan(f"D {few.name}", (), few, condition)
        if few.name == "patient" and page.sort == (_NEWEST_FIRST,):
            segment = Segment(self._timeline(few, condition, page))
        else:
            counts = page.total != "none" and page.after is None
            statement = sorted_rows(self.compiler, few, condition, sort=page.sort, after=page.after, counts=counts)
            segment = Segment(statement, counts=counts)
        return Plan(f"D {few.name}", (segment,), few, condition)

    def _read_one_by_one(self, few: Candidates, query: Query) -> Candidates:
        """The same; of few the words are read one by one, rather than looked for among all resources."""
        if not has_words(query):
            return few
        rows = self._snapshot.count(few.first(READ_AT_MOST + 1)) if few.rows is None else few.rows
        return replace(few, row=replace(few.row, one_of_few=rows <= READ_AT_MOST))

    def _condition(self, query: Query, of: Candidates) -> Sql:
        """What is left to test of the candidates."""
        left = query if of.met is None else All(tuple(part for part in conjuncts(query) if part != of.met))
        return every((of.base, self.compiler.tested(left, of.row)))

    def _timeline(self, few: Candidates, condition: Sql, page: Page) -> Sql:
        """The rows of one Patient in their own order: nothing is sorted, and the walk ends with the page."""
        after = TRUE
        if page.after is not None:
            value, key = page.after.values[0], page.after.key
            recency = -value if isinstance(value, int) else MISSING
            after = Sql("(p.recency, p.type, p.id) > (?, ?, ?)", (recency, *key))
        hits = shown([term_of(self.compiler, _NEWEST_FIRST, few.row)], few.row)
        return sql(
            "SELECT {} FROM {} WHERE {} ORDER BY p.recency, p.type, p.id",
            hits,
            few.source_for(hits, condition),
            every((condition, after)),
        )
