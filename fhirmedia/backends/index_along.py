"""Pages of queries with inner ones (Chain, Has), read along their own order where what is asked for is frequent.

An inner query with many answers costs all of them before the first match is known. But what many have is soon found:
the first resources of the order are looked at one by one, and if these fill the page, it is the answer.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from fhirmedia.backends.index_answers import answer
from fhirmedia.backends.index_candidates import has_words
from fhirmedia.backends.index_chains import HOP_AT_MOST, has_few_outside, has_inner
from fhirmedia.backends.index_dialect import Sql
from fhirmedia.backends.index_plan import Planner
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import Chain, Has, Query, leaves

LOOKED_AT = 2_000
"""So many resources of the order, at most."""


def leads_through_many(query: Query, planner: Planner) -> bool:
    """Whether an inner query begins with more than HOP_AT_MOST resources, and nothing beside it bounds the answer."""
    if not has_inner(query) or has_words(query) or has_few_outside(query, planner):
        return False
    inner = [leaf.target for leaf in leaves(query) if isinstance(leaf, Chain)]
    inner += [leaf.source for leaf in leaves(query) if isinstance(leaf, Has)]
    if any(map(has_words, inner)):
        return False
    return not all(planner.begins_with(each, limit=HOP_AT_MOST) for each in inner)


def read_along(
    connection: sqlite3.Connection, query: Query, page: Page, *, planner: Callable[[Sql], Planner]
) -> Hits | None:
    """The page, without a total; None if that takes more than LOOKED_AT resources.

    `planner` is given a condition of every resource that is looked at.
    """
    looks = count()
    spent = False

    def looked() -> bool:
        nonlocal spent
        spent = next(looks) >= LOOKED_AT
        if spent:
            raise TimeoutError
        return True

    connection.create_function("looked", 0, looked)
    try:
        return answer(connection, planner(Sql("looked()")).along(query, page), replace(page, total="none"))
    except sqlite3.OperationalError:
        if not spent:
            raise
        return None
    finally:
        connection.create_function("looked", 0, None)
