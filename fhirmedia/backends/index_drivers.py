"""Where a search begins that neither ids nor Patients bound: at a value, words or a stretch of time with few rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fhirmedia.backends.index_candidates import (
    READ_AT_MOST,
    Candidates,
    Snapshot,
    conjuncts,
    from_rids,
    from_rows,
)
from fhirmedia.backends.index_compile import Compiler
from fhirmedia.backends.index_dialect import FALSE, Sql, join, sql
from fhirmedia.backends.index_stretches import Stretch, stretches_of
from fhirmedia.backends.index_values import HOT, NARROW, WIDE
from fhirmedia.r4.query import Match, Query, Text

WORDS_LISTED = 20_000
"""So many resources with the words asked for are listed once and then sorted."""


def by_value(query: Query, compiler: Compiler, snapshot: Snapshot, *, limit: int) -> Candidates | None:
    """The value, words or stretch of time with the fewest rows; where all have more than `limit`, one without `rows`.

    Of words up to WORDS_LISTED are taken, if that is more than the limit.
    """
    parts = list(conjuncts(query))
    fewest, many = by_equality(query, compiler, snapshot, limit=limit)
    most = limit if fewest is None or fewest.rows is None else fewest.rows
    for name, rows in _stretches(parts, compiler):
        count = snapshot.count(sql("SELECT 1 FROM ({} LIMIT {})", rows, Sql("?", (most + 1,))))
        if count <= most:
            fewest, most = replace(from_rows(name, rows), rows=count), count
    if fewest is not None and most <= READ_AT_MOST:
        return fewest
    for part in parts:
        if isinstance(part, Text) and (rows := compiler.word_rows(part)) != FALSE:
            listed_at_most = most if fewest is not None else max(limit, WORDS_LISTED)
            rids = snapshot.numbers(sql("{} LIMIT {}", rows, Sql("?", (listed_at_most + 1,))))
            if len(rids) <= listed_at_most:
                fewest, most = replace(from_rids(f"words of {part.field}", rids), met=part), len(rids)
            else:
                found = from_rows(f"words of {part.field}", rows)
                many = many or replace(found, met=part, over=listed_at_most)
    return fewest or many


def by_equality(
    query: Query, compiler: Compiler, snapshot: Snapshot, *, limit: int
) -> tuple[Candidates | None, Candidates | None]:
    """The value with the fewest rows, up to the limit; and one of which there are more."""
    fewest: Candidates | None = None
    many: Candidates | None = None
    for name, rows, met in _values(conjuncts(query), compiler):
        count = snapshot.count(sql("SELECT 1 FROM ({} LIMIT {})", rows, Sql("?", (limit + 1,))))
        found = replace(from_rows(name, rows), met=met)
        if count <= limit:
            fewest, limit = replace(found, rows=count), count
        else:
            many = many or replace(found, over=limit)
    return fewest, many


def _values(parts: Iterable[Query], compiler: Compiler) -> Iterator[tuple[str, Sql, Query]]:
    for part in parts:
        if not isinstance(part, Match) or part.parameter in HOT:
            continue
        lookups = compiler.lookups(part.tests)
        seekable = bool(lookups) and all(each.seekable for lookup in lookups for each in lookup.conditions)
        if not seekable:
            continue
        rows = [
            sql(f"SELECT t.rid FROM {lookup.table} t WHERE {{}} AND {{}}", own, condition.sql)
            for lookup in lookups
            if (own := compiler.rows_of(part.parameter, lookup)) != FALSE
            for condition in lookup.conditions
        ]
        if rows:
            yield f"value of {part.parameter}", join(rows, " UNION ALL "), part


def _stretches(parts: Iterable[Query], compiler: Compiler) -> Iterator[tuple[str, Sql]]:
    for parameter, stretches in stretches_of(parts, compiler.terms).items():
        for stretch in stretches:
            yield f"dates of {parameter}", _dated(parameter, stretch, compiler)


def _dated(parameter: str, stretch: Stretch, compiler: Compiler) -> Sql:
    walk = compiler.dialect.by_index
    match parameter:
        case "_lastUpdated":
            within = "t.updated >= ? AND t.updated < ?"
            return Sql(f"SELECT t.rid FROM res_row t WHERE {within}", (stretch.first, stretch.last))
        case "when":
            within = "t.recency > ? AND t.recency <= ?"
            narrow = f"SELECT t.rid FROM {walk('res_row t', 'res_row_recency')} WHERE {within}"
            wide = f"SELECT t.rid FROM {walk('res_row t', 'res_row_wide')} WHERE t.wide = 1 AND {within}"
            bounds = (-stretch.last, -stretch.first, -stretch.last, -stretch.wide_first)
            return Sql(f"{narrow} UNION ALL {wide}", bounds)

    def kind(name: str, first: int) -> Sql:
        values = (compiler.terms.number(parameter, name), first, stretch.last)
        return Sql("SELECT t.rid FROM idx_date t WHERE t.param = ? AND t.lo >= ? AND t.lo < ?", values)

    return join((kind(NARROW, stretch.first), kind(WIDE, stretch.wide_first)), " UNION ALL ")
