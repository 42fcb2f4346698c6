"""A plan carried out: the page, read segment by segment, and its total."""

import sqlite3

from fhirmedia.backends.index_dialect import Sql, sql
from fhirmedia.backends.index_plan import VISITED_FOR_TOTAL, Plan
from fhirmedia.backends.sqlite import is_interrupt
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Hits, Page, Position, SortValue


def answer(connection: sqlite3.Connection, plan: Plan, page: Page) -> Hits:
    """The hits of the page, and the total if it is wanted and may be told; beside a page, if there is time for it."""
    keys: list[Key] = []
    last: Position | None = None
    more = False
    counted: int | None = None
    for segment in plan.segments:
        room = page.count - len(keys)
        limited = sql("{} LIMIT {}", segment.statement, Sql("?", (room + 1,)))
        rows = connection.execute(*limited).fetchall()
        if segment.counts:
            counted = rows[0][-1] if rows else 0
        more = len(rows) > room
        del rows[room:]
        if rows:
            keys.extend(Key(row[0], row[1]) for row in rows)
            values: tuple[SortValue, ...] = rows[-1][2 : -1 if segment.counts else None]
            last = Position((None,) * segment.missing + values, keys[-1])
        if more:
            break
    try:
        total = _total(connection, plan, page, counted=counted)
    except sqlite3.OperationalError as error:
        if page.count == 0 or not is_interrupt(error):
            raise
        total = None
    return Hits(tuple(keys), last if more else None, total)


def _total(connection: sqlite3.Connection, plan: Plan, page: Page, *, counted: int | None) -> int | None:
    """The total that is wanted, if it may be told; `counted` where the page told it."""
    if page.total == "none":
        return None
    if page.total == "accurate":
        return number_of(connection, count_of(plan)) if counted is None else counted
    if candidates_to(connection, plan, limit=VISITED_FOR_TOTAL) > VISITED_FOR_TOTAL:
        return None
    count = counted_to(connection, plan, plan.condition, limit=page.total_limit) if counted is None else counted
    return count if count <= page.total_limit else None


def candidates_to(connection: sqlite3.Connection, plan: Plan, *, limit: int) -> int:
    """How many candidates there are at most, or more than the limit; counted only where planning has not."""
    known = plan.counted
    if known.over >= limit:
        return limit + 1
    if known.rows is not None and known.rows <= limit:
        return known.rows
    return counted_to(connection, plan, known.base, limit=limit)


def count_of(plan: Plan) -> Sql:
    """The statement of an exact total."""
    return sql("SELECT count(*) FROM {} WHERE {}", plan.counted.source_for(plan.condition), plan.condition)


def counted_to(connection: sqlite3.Connection, plan: Plan, condition: Sql, *, limit: int) -> int:
    """How many of the candidates fulfil the condition, but no further than one more than the limit."""
    source = plan.counted.source_for(condition)
    some = sql("SELECT 1 FROM {} WHERE {} LIMIT {}", source, condition, Sql("?", (limit + 1,)))
    return number_of(connection, sql("SELECT count(*) FROM ({})", some))


def number_of(connection: sqlite3.Connection, statement: Sql) -> int:
    """The one number a statement gives."""
    return int(connection.execute(*statement).fetchone()[0])
