"""Reading along an order that an index already has, testing row by row: the segments of a page, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhirmedia.access.grant import types_named
from fhirmedia.backends.index_candidates import EVERYTHING, Snapshot, conjuncts
from fhirmedia.backends.index_compile import Compiler, negated
from fhirmedia.backends.index_conditions import TABLE_OF_KIND
from fhirmedia.backends.index_dialect import FALSE, TRUE, Sql, every, join, sql
from fhirmedia.backends.index_order import (
    SORT_COLUMN,
    Term,
    behind,
    of_hits,
    order_by,
    shown,
    sorted_rows,
    term_of,
    unsorted,
)
from fhirmedia.backends.index_resource import row_of
from fhirmedia.backends.index_stretches import Stretch, stretches_of
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_values import NARROW, VALUE_TABLES
from fhirmedia.ports.index import Position, SortValue
from fhirmedia.r4.query import Query, SortKey

_COLUMNS = {table.name: [column.name for column in table.columns] for table in VALUE_TABLES}


@dataclass(frozen=True, slots=True)
class Segment:
    """A statement without LIMIT: type, id, and the sort values, but for those of the first `missing` keys.

    `counts`: one more column tells how many candidates fulfil the condition, those of other pages included.
    """

    statement: Sql
    missing: int = 0
    counts: bool = False


@dataclass(frozen=True, slots=True)
class _Stream:
    """Rows in the order of the first sort key: FROM clause, own condition, the column walked and its direction.

    `negated`: the column holds the sort value with the other sign.
    """

    source: str
    condition: Sql
    column: str
    falling: bool
    negated: bool = False

    def stored(self, value: SortValue) -> SortValue:
        """The sort value as the column has it."""
        return -value if self.negated and isinstance(value, int) else value


class Walker:
    """Makes the segments of one page of at most `most` rows."""

    def __init__(self, compiler: Compiler, snapshot: Snapshot, *, most: int) -> None:
        self._compiler = compiler
        self._snapshot = snapshot
        self._most = most

    def segments(self, query: Query, sort: Sequence[SortKey], after: Position | None) -> Iterator[Segment]:
        """Those with a value of the first sort key, then those without, by the remaining keys; at last by Key."""
        condition = self._compiler.tested(query, EVERYTHING.row)
        for missing, key in enumerate(sort):
            left = sort[missing:]
            if key.parameter == "_id":
                break
            if after is None or after.values[0] is not None:
                walks = self._by_value(query, condition, left, after)
                yield from (Segment(statement, missing) for statement in walks)
                after = None
            else:
                after = Position(after.values[1:], after.key)
            condition = every((condition, unsorted(self._compiler, key.parameter, EVERYTHING.row)))
            if condition == FALSE:
                return
        else:
            missing, left = len(sort), ()
        yield from (Segment(statement, missing) for statement in self._by_key(query, condition, left, after))

    def _by_key(self, query: Query, condition: Sql, sort: Sequence[SortKey], after: Position | None) -> Iterator[Sql]:
        """One walk for each type, since types sort by their name."""
        falling = bool(sort) and sort[0].descending
        bound = types_named(query)
        for each in sorted(self._snapshot.types() if bound is None else bound, reverse=falling):
            behind_key = TRUE
            if after is not None and each == after.key.type:
                behind_key = Sql("r.id < ?" if falling else "r.id > ?", (after.key.id,))
            elif after is not None and (each > after.key.type) == falling:
                continue
            yield sql(
                "SELECT {} FROM {} WHERE {} ORDER BY {}",
                shown(self._terms(sort), EVERYTHING.row),
                Sql(self._compiler.dialect.by_index("res_row r", "res_row_key")),
                every((Sql("r.type = ?", (each,)), behind_key, condition)),
                Sql("r.id DESC" if falling else "r.id"),
            )

    def _by_value(self, query: Query, condition: Sql, sort: Sequence[SortKey], after: Position | None) -> list[Sql]:
        row, streams = EVERYTHING.row, self._streams(query, sort[0])
        if streams is None:
            present = every((condition, negated(unsorted(self._compiler, sort[0].parameter, row))))
            return [sorted_rows(self._compiler, EVERYTHING, present, sort=sort, after=after)]
        walks = [self._walk(stream, condition, sort, after) for stream in streams]
        if len(walks) < 2:
            return walks
        limited = [sql("SELECT * FROM ({} LIMIT {})", walk, Sql("?", (self._most,))) for walk in walks]
        ordered = order_by(of_hits(sort), row_of("h"))
        return [sql("SELECT * FROM ({}) h ORDER BY {}", join(limited, " UNION ALL "), ordered)]

    def _walk(self, stream: _Stream, condition: Sql, sort: Sequence[SortKey], after: Position | None) -> Sql:
        row, terms = EVERYTHING.row, self._terms(sort)
        rest = TRUE
        if after is not None:
            value = stream.stored(after.values[0])
            tied = behind(terms[1:], after.values[1:], key=after.key, row=row)
            beyond = "<" if stream.falling else ">"
            rest = sql(
                f"{{}} AND ({stream.column} {beyond} {{}} OR {{}})",
                Sql(f"{stream.column} {beyond}= ?", (value,)),
                Sql("?", (value,)),
                tied,
            )
        return sql(
            "SELECT {} FROM {} WHERE {} ORDER BY {}, {}",
            shown(terms, row),
            Sql(stream.source),
            every((stream.condition, condition, rest)),
            Sql(stream.column + (" DESC" if stream.falling else "")),
            order_by(terms[1:], row),
        )

    def _terms(self, sort: Sequence[SortKey]) -> list[Term]:
        return [term_of(self._compiler, key, EVERYTHING.row) for key in sort]

    def _streams(self, query: Query, key: SortKey) -> list[_Stream] | None:
        """The walks that together pass every resource with a value once; None where no index has that order."""
        stretch = self._stretch(query, key.parameter)
        walk = self._compiler.dialect.by_index
        if key.parameter == "_lastUpdated":
            return [_Stream(walk("res_row r", "res_row_updated"), TRUE, "r.updated", key.descending)]
        if key.parameter == "when":
            return self._when_streams(stretch, falling=not key.descending)
        kinds = self._compiler.terms.kinds(key.parameter)
        if len({TABLE_OF_KIND[kind] for kind in kinds}) > 1:
            return None
        numbers = [number for number, _ in kinds.values()]
        if any(many for _, many in kinds.values()):
            stretch = None
        return [_value_stream(kind, kinds[kind][0], numbers, key=key, stretch=stretch) for kind in sorted(kinds)]

    def _stretch(self, query: Query, parameter: str) -> Stretch | None:
        found = stretches_of(conjuncts(query), self._compiler.terms).get(parameter, [])
        return found[0] if len(found) == 1 else None

    def _when_streams(self, stretch: Stretch | None, *, falling: bool) -> list[_Stream]:
        walk = self._compiler.dialect.by_index
        by_recency = walk("res_row r", "res_row_recency")
        if stretch is None:
            return [_Stream(by_recency, Sql("r.recency < ?", (MISSING,)), "r.recency", falling, negated=True)]
        within = "r.recency > ? AND r.recency <= ?"
        narrow = Sql(f"r.wide = 0 AND {within}", (-stretch.last, -stretch.first))
        wide = Sql(f"r.wide = 1 AND {within}", (-stretch.last, -stretch.wide_first))
        return [
            _Stream(by_recency, narrow, "r.recency", falling, negated=True),
            _Stream(walk("res_row r", "res_row_wide"), wide, "r.recency", falling, negated=True),
        ]


def _value_stream(kind: str, number: int, numbers: Sequence[int], *, key: SortKey, stretch: Stretch | None) -> _Stream:
    """Along the values of one kind, at each resource's first in this direction among all its kinds."""
    table = TABLE_OF_KIND[kind]
    column, has_value = SORT_COLUMN[table]
    names = [column, "param", *(name for name in _COLUMNS[table] if name not in (column, "param", "rid"))]
    one, other = (", ".join(f"{alias}.{name}" for name in names) for alias in ("t", "s"))
    conditions = [
        Sql("s.param = ?", (number,)),
        Sql(has_value.replace("t.", "s.")),
        Sql(
            f"NOT EXISTS (SELECT 1 FROM {table} t WHERE t.rid = s.rid AND t.param IN ({', '.join('?' * len(numbers))})"
            f" AND {has_value} AND ({one}) {'>' if key.descending else '<'} ({other}))",
            tuple(numbers),
        ),
    ]
    if stretch is not None and table == "idx_date":
        first = stretch.first if kind == NARROW else stretch.wide_first
        conditions.append(Sql("s.lo >= ? AND s.lo < ?", (first, stretch.last)))
    source = f"{table} s CROSS JOIN res_row r ON r.rid = s.rid"
    return _Stream(source, every(conditions), f"s.{column}", key.descending)
