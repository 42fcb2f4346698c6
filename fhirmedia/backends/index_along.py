"""Pages of queries with inner ones (Chain, Has), read along their own order where what is asked for is frequent.

An inner query with many answers costs all of them before the first match is known. But what many have is soon found:
it is asked of the first resources of the order one by one, and if these fill the page, it is the answer. Which ones
are asked does not depend on what is hidden from the Caller, unless very much is.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from fhirmedia.backends.index_answers import answer
from fhirmedia.backends.index_candidates import has_words
from fhirmedia.backends.index_chains import HOP_AT_MOST, has_few_outside
from fhirmedia.backends.index_dialect import Sql
from fhirmedia.backends.index_plan import Planner
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import Chain, Has, Query, has_inner, leaves

ASKED = 2_000
"""Of so many resources, at most, that the Caller may see and that fulfil all else, the inner queries are asked."""

PASSED = 50_000
"""So many resources, hidden ones and others, are passed on the way."""


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
    connection: sqlite3.Connection, query: Query, page: Page, *, planner: Callable[[Sql, Sql], Planner]
) -> Hits | None:
    """The page, without a total; None if that takes more than ASKED or PASSED.

    `planner` is given `watch` and `asking` of a Compiler.
    """
    bounds = {"passed": _Bound(PASSED), "asked": _Bound(ASKED)}
    for name, bound in bounds.items():
        connection.create_function(name, 0, bound)
    try:
        plan = planner(Sql("passed()"), Sql("asked()")).along(query, page)
        return answer(connection, plan, replace(page, total="none"))
    except sqlite3.OperationalError:
        if not any(bound.is_spent for bound in bounds.values()):
            raise
        return None
    finally:
        for name in bounds:
            connection.create_function(name, 0, None)


class _Bound:
    """A function of SQL that is true so many times and then ends its statement."""

    def __init__(self, most: int) -> None:
        self._left = most

    @property
    def is_spent(self) -> bool:
        return self._left < 0

    def __call__(self) -> bool:
        self._left -= 1
        if self.is_spent:
            raise TimeoutError
        return True
