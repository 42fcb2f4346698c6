"""SQL as pieces with their bound values, and what one database spells differently from another."""

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

Bound = int | float | str | None


class Sql(NamedTuple):
    """A piece of a statement and the values of its `?`, in order. Values never stand in the text."""

    text: str
    values: tuple[Bound, ...] = ()


TRUE = Sql("1=1")
FALSE = Sql("1=0")


def join(pieces: Iterable[Sql], separator: str) -> Sql:
    """The pieces one after the other."""
    parts = tuple(pieces)
    return Sql(separator.join(part.text for part in parts), tuple(value for part in parts for value in part.values))


def sql(template: str, *pieces: Sql) -> Sql:
    """The template with its `{}` filled by the pieces; it holds no other `?` than theirs."""
    return Sql(
        template.format(*(piece.text for piece in pieces)), tuple(value for piece in pieces for value in piece.values)
    )


def every(conditions: Iterable[Sql]) -> Sql:
    """All of the conditions; none: true."""
    parts = [condition for condition in conditions if condition != TRUE]
    if FALSE in parts:
        return FALSE
    if len(parts) < 2:
        return parts[0] if parts else TRUE
    return join(parts, " AND ")


def some(conditions: Iterable[Sql]) -> Sql:
    """Some of the conditions, in brackets; none: false."""
    parts = [condition for condition in conditions if condition != FALSE]
    if TRUE in parts:
        return TRUE
    if len(parts) < 2:
        return parts[0] if parts else FALSE
    if len(parts) <= _ABREAST:
        return sql("({})", join((sql("({})", part) for part in parts), " OR "))
    size = -(-len(parts) // _ABREAST)
    return some(some(parts[at : at + size]) for at in range(0, len(parts), size))


_ABREAST = 40
"""Of more alternatives a tree is made: SQLite takes expressions of a depth of 1000 at most."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between databases.

    `many` makes a subquery of a list of texts given as one bound value; `elements` a row source `j(value)` of a JSON
    array column, of one member of it if a name is given; `type_of`, `id_of` take a reference target apart; `by_index`
    is a table with its alias, to be walked in the order of that index; `tested` keeps a planner from taking a test of
    the column for a reason to sort, or to look for each value of a list. `by_row`: statements are for one resource at a
    time, whose few values are compared with a long list.
    """

    many: Callable[[Collection[str]], Sql]
    elements: Callable[[str, str | None], Sql]
    type_of: Callable[[str], str]
    id_of: Callable[[str], str]
    by_index: Callable[[str, str], str]
    tested: Callable[[str], str]
    by_row: bool = False

    def among(self, column: str, values: Collection[str]) -> Sql:
        """Whether the column, never NULL, is one of the values; sorted, so that equal sets make equal statements."""
        wanted = sorted(values)
        if not wanted:
            return FALSE
        if len(wanted) == 1:
            return Sql(f"{column} = ?", (wanted[0],))
        if len(wanted) <= _SPELLED_OUT:
            return Sql(f"{column} IN ({', '.join('?' * len(wanted))})", tuple(wanted))
        return sql(f"{self.tested(column) if self.by_row else column} IN ({{}})", self.many(wanted))


_SPELLED_OUT = 8
"""Longer lists are bound as one value, so that few different statements arise."""


def _sqlite_many(texts: Collection[str]) -> Sql:
    return Sql("SELECT value FROM json_each(?)", (json.dumps(list(texts), ensure_ascii=False),))


def _sqlite_elements(column: str, member: str | None) -> Sql:
    if member is None:
        return Sql(f"json_each({column}) j")
    return Sql(f"json_each({column}, ?) j", ("$." + json.dumps(member, ensure_ascii=False),))


SQLITE = Dialect(
    many=_sqlite_many,
    elements=_sqlite_elements,
    type_of=lambda column: f"substr({column}, 1, instr({column}, '/') - 1)",
    id_of=lambda column: f"substr({column}, instr({column}, '/') + 1)",
    by_index=lambda table, index: f"{table} INDEXED BY {index}",
    tested=lambda column: f"+{column}",
)
