"""IndexCounts on SQLite: how many resources have which value, and how many Patients they are about."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fhirmedia.access.grant import NarrowedQuery, types_named
from fhirmedia.backends.index_answers import candidates_to
from fhirmedia.backends.index_calendar import Calendar
from fhirmedia.backends.index_candidates import EVERYTHING
from fhirmedia.backends.index_compile import Compiler
from fhirmedia.backends.index_dialect import FALSE, SQLITE, Sql, every, sql
from fhirmedia.backends.index_plan import Plan, Planner
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_terms import NO_SYSTEM, TYPE, UNKNOWN
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.index import Bucket, Chosen, Page
from fhirmedia.r4.query import Query

DATABASE = "database"
"""What this engine is called when a search is explained."""
SPANS = {"year": "%Y", "month": "%Y-%m"}
COUNTED_AT_MOST = 100_000
"""Candidates above this number are not counted by value."""

_NAMED = (
    "(SELECT s.text FROM idx_term s WHERE s.id = {0}.system),"
    " coalesce((SELECT w.spelled FROM idx_spelling w WHERE w.system = {0}.system AND w.code = {0}.code), {0}.code)"
)
"""The text of a row's system, and its code as it was written."""

_HOUR_MS = 3_600_000
_SHIFT_MS = 400_000 * 8760 * _HOUR_MS
"""Makes whole hours of any time in the calendar positive, so that division rounds down."""


class SqlIndexCounts:
    """Counts what the searches of an index select; `zone` is where years and months begin."""

    def __init__(self, index: SqlSearchIndex, *, zone: ZoneInfo) -> None:
        self._index = index
        self._calendars = {span: Calendar(form, zone) for span, form in SPANS.items()}

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        """The records' own database."""
        return Chosen(DATABASE)

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        """Shape, statements and the database's own account of them."""
        return await self._index.explain(query, page=page)

    async def buckets(self, query: NarrowedQuery, *, by: str, with_patients: bool) -> Sequence[Bucket]:
        """How the answer divides. Raises Failure TOO_COSTLY, UNAVAILABLE."""
        (found,) = await self.divisions(query, by=(by,), with_patients=with_patients)
        return found

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        """By several facets, counted in one state of the index. Raises Failure TOO_COSTLY, UNAVAILABLE."""

        def divide(connection: sqlite3.Connection, planner: Planner, plan: Plan) -> list[list[Bucket]]:
            _require_few(connection, planner, plan)
            ranks = None if with_patients else _whole_types(planner, plan, query.query)
            if ranks is None:
                return [self._of_selected(connection, planner, plan, each, with_patients=with_patients) for each in by]
            return [self._of_types(connection, planner, ranks, each) for each in by]

        return await self._index.counting(query.query, divide)

    def _of_selected(
        self, connection: sqlite3.Connection, planner: Planner, plan: Plan, by: str, *, with_patients: bool
    ) -> list[Bucket]:
        if by in SPANS:
            return span_buckets(connection, plan, calendar=self._calendars[by], with_patients=with_patients)
        return token_buckets(connection, planner.compiler, of_resources(plan, with_patients=with_patients), by)

    def _of_types(
        self, connection: sqlite3.Connection, planner: Planner, ranks: Sequence[int], by: str
    ) -> list[Bucket]:
        if by in SPANS:
            return spans_of_types(connection, ranks, calendar=self._calendars[by])
        return tokens_of_types(connection, planner.compiler, ranks, by)

    async def patients(self, query: NarrowedQuery) -> int:
        """How many Patients the answer is about. Raises Failure TOO_COSTLY, UNAVAILABLE."""

        def count(connection: sqlite3.Connection, planner: Planner, plan: Plan) -> int:
            _require_few(connection, planner, plan)
            statement = sql("SELECT count(DISTINCT r.sole_patient) FROM {} WHERE {}", _source(plan), plan.condition)
            return int(connection.execute(*statement).fetchone()[0])

        return await self._index.counting(query.query, count)


def _require_few(connection: sqlite3.Connection, planner: Planner, plan: Plan) -> None:
    if planner.size() <= COUNTED_AT_MOST:
        return
    if candidates_to(connection, plan, limit=COUNTED_AT_MOST) > COUNTED_AT_MOST:
        text = f"More than {COUNTED_AT_MOST} resources would have to be counted one by one; narrow the search."
        raise Failure(Category.TOO_COSTLY, text)


def _whole_types(planner: Planner, plan: Plan, query: Query) -> list[int] | None:
    """The ranks of the types, where the answer is all there is of them: then an index alone tells what to count."""
    types = types_named(query)
    if types is None or plan.counted.name != EVERYTHING.name or plan.condition != plan.counted.base:
        return None
    ranks = (planner.compiler.terms.rank(each, TYPE) for each in types)
    return sorted(rank for rank in ranks if rank != UNKNOWN)


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows of `idx_token t` to count: FROM, condition, and how many Patients they are about (NULL: not asked)."""

    source: Sql
    condition: Sql
    patients: str = "NULL"


def of_resources(plan: Plan, *, with_patients: bool) -> TokenRows:
    """Of the resources that a plan selects, looked up for each."""
    return TokenRows(
        sql("{} CROSS JOIN idx_token t", _source(plan)),
        every((plan.condition, Sql(f"t.rid = {plan.counted.row.rid}"))),
        "count(DISTINCT r.sole_patient)" if with_patients else "NULL",
    )


def _ranked(rid: str, ranks: Sequence[int]) -> Sql:
    return Sql(f"({rid} & 255) IN ({', '.join('?' * len(ranks))})", tuple(ranks))


def token_buckets(connection: sqlite3.Connection, compiler: Compiler, of: TokenRows, parameter: str) -> list[Bucket]:
    """The values of a token parameter."""
    number = compiler.terms.number(parameter, "token")
    if number == UNKNOWN or of.condition == FALSE:
        return []
    rows = connection.execute(
        *sql(
            f"SELECT {_NAMED.format('t')}, count(DISTINCT t.rid), {of.patients}, t.system FROM {{}} WHERE {{}}"
            " AND t.param = {} GROUP BY t.system, t.code",
            of.source,
            of.condition,
            Sql("?", (number,)),
        )
    )
    return in_order([
        Bucket(None if system == NO_SYSTEM else text, code, count, people) for text, code, count, people, system in rows
    ])  # fmt: skip


def tokens_of_types(
    connection: sqlite3.Connection, compiler: Compiler, ranks: Sequence[int], parameter: str
) -> list[Bucket]:
    """The values of a token parameter of all resources whose types have these ranks.

    The index brings them code by code. Of a code that has one system, each row is a resource.
    """
    number, ranked = compiler.terms.number(parameter, "token"), _ranked("t.rid", ranks)
    if number == UNKNOWN or not ranks:
        return []
    each_code = sql(
        "SELECT t.code, min(t.system) AS system, count(*) AS number,"
        " min(t.system) = max(t.system) AND min(t.grp) = max(t.grp) AS is_one"
        " FROM idx_token t WHERE t.param = {} AND {} GROUP BY t.code",
        Sql("?", (number,)),
        ranked,
    )
    buckets, mixed = [], []
    named = sql(f"SELECT {_NAMED.format('g')}, g.number, g.system, g.is_one, g.code FROM ({{}}) g", each_code)
    for text, spelled, count, system, is_one, code in connection.execute(*named):
        if is_one:
            buckets.append(Bucket(None if system == NO_SYSTEM else text, spelled, count))
        else:
            mixed.append(code)
    if mixed:
        of_mixed = TokenRows(Sql("idx_token t"), every((ranked, SQLITE.among("t.code", mixed))))
        buckets += token_buckets(connection, compiler, of_mixed, parameter)
    return in_order(buckets)


def span_buckets(
    connection: sqlite3.Connection, plan: Plan, *, calendar: Calendar, with_patients: bool
) -> list[Bucket]:
    """Years or months of the resources that a plan selects."""
    if plan.condition == FALSE:
        return []
    recency = plan.counted.row.recency
    hour = f"({_SHIFT_MS} - {recency}) / {_HOUR_MS}"
    people = ", r.sole_patient" if with_patients else ", NULL"
    statement = sql(
        f"SELECT {hour}{people}, count(*) FROM {{}} WHERE {{}}"
        f" AND {recency} < {MISSING} AND abs({recency}) < {_SHIFT_MS} GROUP BY 1, 2",
        _source(plan),
        plan.condition,
    )
    counts: Counter[str] = Counter()
    known: dict[str, set[str]] = {}
    for hours, patient, count in connection.execute(*statement):
        name = calendar.of_hour(hours - _SHIFT_MS // _HOUR_MS)
        counts[name] += count
        if patient is not None:
            known.setdefault(name, set()).add(patient)
    return in_order([
        Bucket(None, name, count, len(known.get(name, ())) if with_patients else None) for name, count in counts.items()
    ])  # fmt: skip


def spans_of_types(connection: sqlite3.Connection, ranks: Sequence[int], *, calendar: Calendar) -> list[Bucket]:
    """Years or months of all resources whose types have these ranks."""
    source = SQLITE.by_index("res_row r", "res_row_recency")
    within = f"r.recency > {-_SHIFT_MS} AND r.recency < {_SHIFT_MS}"
    rows = connection.execute(*sql(f"SELECT r.recency FROM {source} WHERE {within} AND {{}}", _ranked("r.rid", ranks)))
    counts = calendar.counts([-recency for (recency,) in rows])
    return in_order([Bucket(None, name, count) for name, count in counts.items()])


def in_order(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Most frequent first, then by system and code."""
    return sorted(buckets, key=lambda each: (-each.count, each.system or "", each.code))


def _source(plan: Plan) -> Sql:
    return plan.counted.source_for(Sql("r.rid"))
