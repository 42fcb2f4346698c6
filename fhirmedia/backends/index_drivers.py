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
from fhirmedia.backends.index_conditions import Lookup
from fhirmedia.backends.index_dialect import FALSE, Sql, join, sql
from fhirmedia.backends.index_stretches import Stretch, stretches_of
from fhirmedia.backends.index_values import HOT, NARROW, WIDE
from fhirmedia.r4.contained import is_inside
from fhirmedia.r4.query import All, Any, Match, Query, Text, leaves

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


def _values(parts: Iterable[Query], compiler: Compiler) -> Iterator[tuple[str, Sql, Query | None]]:
    """Where each part begins that is a value, or is one of several; with the part, if that says all of it."""
    for part in parts:
        rows = _beginnings(part, compiler)
        if rows:
            names = dict.fromkeys(leaf.parameter for leaf in leaves(part) if isinstance(leaf, Match))
            met = part if _says_all(part, compiler) else None
            yield f"value of {', '.join(names)}", join(rows, " UNION ALL "), met


def _says_all(part: Query, compiler: Compiler) -> bool:
    """Whether each resource among the beginnings of the part has what it asks for."""
    match part:
        case Match(parameter):
            return not is_inside(parameter)
        case Any(several):
            return all(_says_all(each, compiler) or _beginnings(each, compiler) == [] for each in several)
        case _:
            return False


def _beginnings(part: Query, compiler: Compiler) -> list[Sql] | None:
    """SELECTs of rids, of which some have what is asked for and no others can; None where no index leads to them."""
    match part:
        case Match(parameter, tests) if parameter not in HOT:
            lookups = compiler.lookups(tests)
            if not lookups:
                return None
            owned = [(each, own) for each in lookups if (own := compiler.rows_of(parameter, each)) != FALSE]
            if all(_is_seekable(lookup) for lookup, _ in owned):
                return _sought(owned)
            if not is_inside(parameter):
                return None
            return [Sql(f"SELECT t.rid FROM {lookup.table} t WHERE {own.text}", own.values) for lookup, own in owned]
        case Any(several):
            found = [_beginnings(each, compiler) for each in several]
            known = [rows for rows in found if rows is not None]
            return [row for rows in known for row in rows] if len(known) == len(found) else None
        case All(several):
            return next((rows for each in several if (rows := _beginnings(each, compiler)) is not None), None)
        case _:
            return None


def _sought(owned: list[tuple[Lookup, Sql]]) -> list[Sql]:
    return [
        sql(f"SELECT t.rid FROM {lookup.table} t WHERE {{}} AND {{}}", own, condition.sql)
        for lookup, own in owned
        for condition in lookup.conditions
    ]


def _is_seekable(lookup: Lookup) -> bool:
    return all(each.seekable for each in lookup.conditions)


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
