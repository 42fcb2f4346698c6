"""IndexCounts on SQLite: how many resources have which value, and how many Patients they are about."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.index_compile import Compiler
from fhirmedia.backends.index_dialect import FALSE, Sql, sql
from fhirmedia.backends.index_plan import Plan, Planner
from fhirmedia.backends.index_sql import SqlSearchIndex, counted_to, plan_of
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_terms import NO_SYSTEM, UNKNOWN
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.index import Bucket, Chosen, Page
from fhirmedia.r4.query import Query

DATABASE = "database"
"""What this engine is called when a search is explained."""
SPANS = {"year": "%Y", "month": "%Y-%m"}
COUNTED_AT_MOST = 100_000
"""Candidates above this number are not counted by value."""

_HOUR_MS = 3_600_000
_SHIFT_MS = 400_000 * 8760 * _HOUR_MS
"""Makes whole hours of any time in the calendar positive, so that division rounds down."""


class SqlIndexCounts:
    """Counts what the searches of an index select; `zone` is where years and months begin."""

    def __init__(self, index: SqlSearchIndex, *, zone: ZoneInfo) -> None:
        self._index = index
        self._zone = zone

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        """The records' own database."""
        return Chosen(DATABASE)

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        """Shape, statements and the database's own account of them."""
        return await self._index.explain(query, page=page)

    async def buckets(self, query: NarrowedQuery, *, by: str, with_patients: bool) -> Sequence[Bucket]:
        """How the answer divides. Raises Failure TOO_COSTLY, UNAVAILABLE."""

        def divide(connection: sqlite3.Connection) -> list[Bucket]:
            planner, plan = self._planned(connection, query.query)
            if by in SPANS:
                return span_buckets(connection, plan, form=SPANS[by], zone=self._zone, with_patients=with_patients)
            return token_buckets(connection, planner.compiler, plan, by, with_patients=with_patients)

        return await self._index.within(divide)

    async def patients(self, query: NarrowedQuery) -> int:
        """How many Patients the answer is about. Raises Failure TOO_COSTLY, UNAVAILABLE."""

        def count(connection: sqlite3.Connection) -> int:
            plan = self._planned(connection, query.query)[1]
            statement = sql("SELECT count(DISTINCT r.sole_patient) FROM {} WHERE {}", _source(plan), plan.condition)
            return int(connection.execute(*statement).fetchone()[0])

        return await self._index.within(count)

    def _planned(self, connection: sqlite3.Connection, query: Query) -> tuple[Planner, Plan]:
        planner, plan = plan_of(connection, self._index.terms, query, Page(0, total="accurate"))
        if counted_to(connection, plan, plan.counted.base, limit=COUNTED_AT_MOST) > COUNTED_AT_MOST:
            text = f"More than {COUNTED_AT_MOST} resources would have to be counted one by one; narrow the search."
            raise Failure(Category.TOO_COSTLY, text)
        return planner, plan


def token_buckets(
    connection: sqlite3.Connection, compiler: Compiler, plan: Plan, parameter: str, *, with_patients: bool
) -> list[Bucket]:
    """The values of a token parameter."""
    number = compiler.terms.number(parameter, "token")
    if number == UNKNOWN or plan.condition == FALSE:
        return []
    rid, patients = plan.counted.row.rid, "count(DISTINCT r.sole_patient)" if with_patients else "NULL"
    rows = connection.execute(
        *sql(
            "SELECT (SELECT s.text FROM idx_term s WHERE s.id = t.system),"
            " coalesce((SELECT w.spelled FROM idx_spelling w WHERE w.system = t.system AND w.code = t.code), t.code),"
            f" count(DISTINCT t.rid), {patients}, t.system FROM {{}} CROSS JOIN idx_token t"
            f" WHERE {{}} AND t.rid = {rid} AND t.param = {{}} GROUP BY t.system, t.code",
            _source(plan),
            plan.condition,
            Sql("?", (number,)),
        )
    )
    return in_order([
        Bucket(None if system == NO_SYSTEM else text, code, count, people) for text, code, count, people, system in rows
    ])  # fmt: skip


def span_buckets(
    connection: sqlite3.Connection, plan: Plan, *, form: str, zone: ZoneInfo, with_patients: bool
) -> list[Bucket]:
    """Years or months, by the form of `strftime`."""
    if plan.condition == FALSE:
        return []
    named, recency = name_of_hours(form, zone), plan.counted.row.recency
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
        name = named(hours - _SHIFT_MS // _HOUR_MS)
        counts[name] += count
        if patient is not None:
            known.setdefault(name, set()).add(patient)
    return in_order([
        Bucket(None, name, count, len(known.get(name, ())) if with_patients else None) for name, count in counts.items()
    ])  # fmt: skip


def in_order(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Most frequent first, then by system and code."""
    return sorted(buckets, key=lambda each: (-each.count, each.system or "", each.code))


def _source(plan: Plan) -> Sql:
    return plan.counted.source_for(Sql("r.rid"))


def name_of_hours(form: str, zone: ZoneInfo) -> Callable[[int], str]:
    """What a whole hour since 1970 is called."""

    @lru_cache(maxsize=65_536)
    def named(hour: int) -> str:
        try:
            return datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).strftime(form)
        except (OverflowError, ValueError):
            return ""

    return named
