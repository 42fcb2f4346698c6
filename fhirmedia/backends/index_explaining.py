"""How a page is found, for operators: the shape of its plan, its statements, SQLite's account of them, rows visited."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from fhirmedia.backends.index_answers import answer, count_of
from fhirmedia.backends.index_dialect import TRUE, Sql
from fhirmedia.backends.index_plan import Plan
from fhirmedia.backends.sqlite import is_interrupt
from fhirmedia.ports.index import Page


def explained(connection: sqlite3.Connection, planned: Callable[[Sql], Plan], page: Page) -> str:
    """Lines without values; `planned` makes the plan, with a condition of every row that is looked at."""
    plan = planned(TRUE)
    statements = [segment.statement for segment in plan.segments]
    if page.total != "none":
        statements.append(count_of(plan))
    lines = [f"shape {plan.shape}"]
    for statement in statements:
        lines.append(statement.text)
        steps = connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.values)
        lines.extend(f"  {step[3]}" for step in steps)
    lines.append(f"rows visited {_visited(connection, planned, page)}")
    return "\n".join(lines)


def _visited(connection: sqlite3.Connection, planned: Callable[[Sql], Plan], page: Page) -> str:
    """How many rows are looked at for the page, those of inner searches included."""
    looks = count()
    connection.create_function("visited", 0, lambda: next(looks) >= 0)
    try:
        answer(connection, planned(Sql("visited()")), replace(page, total="none"))
    except sqlite3.Error as error:
        if not is_interrupt(error):
            raise
        return f"more than {next(looks)}: it takes too long"
    finally:
        connection.create_function("visited", 0, None)
    return str(next(looks))
