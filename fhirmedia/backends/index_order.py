"""The order of a page as SQL: what it sorts by, and which rows come behind a position."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhirmedia.backends.index_candidates import Candidates
from fhirmedia.backends.index_compile import Compiler
from fhirmedia.backends.index_conditions import TABLE_OF_KIND
from fhirmedia.backends.index_dialect import TRUE, Sql, every, join, sql
from fhirmedia.backends.index_resource import Row, row_of
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_values import HOT, OF_IDENTIFIER
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Position, SortValue
from fhirmedia.r4.query import SortKey

SORT_COLUMN = {
    "idx_token": ("code", "t.code <> ''"),
    "idx_date": ("lo", "1=1"),
    "idx_reference": ("target", f"t.version > {OF_IDENTIFIER}"),
    "idx_string": ("plain", "1=1"),
    "idx_uri": ("value", "1=1"),
    "idx_number": ("lo", "1=1"),
    "idx_quantity": ("lo", "1=1"),
}
"""By which column the values of a table are sorted, and which rows have it."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to sort by: an expression that is NULL where the value is missing."""

    sql: Sql
    descending: bool


def term_of(compiler: Compiler, key: SortKey, row: Row) -> Term:
    """Of several values the smallest counts ascending, the largest descending."""
    return Term(_expression(compiler, key, row), key.descending)


def _expression(compiler: Compiler, key: SortKey, row: Row) -> Sql:
    match key.parameter:
        case "_id":
            return Sql(f"({row.type} || '/' || {row.id})")
        case "_lastUpdated":
            return Sql(f"{row.columns}.updated")
        case "when":
            return Sql(f"(CASE WHEN {row.recency} < ? THEN -{row.recency} END)", (MISSING,))
    outermost = "max" if key.descending else "min"
    parts = []
    for kind, (number, _) in sorted(compiler.terms.kinds(key.parameter).items()):
        table = TABLE_OF_KIND[kind]
        column, having = SORT_COLUMN[table]
        parts.append(
            Sql(
                f"SELECT t.{column} AS v FROM {table} t WHERE t.rid = {row.rid} AND t.param = ? AND {having}", (number,)
            )
        )
    if not parts:
        return Sql("NULL")
    return sql(f"(SELECT {outermost}(v) FROM ({{}}))", join(parts, " UNION ALL "))


def unsorted(compiler: Compiler, parameter: str, row: Row) -> Sql:
    """Whether the resource has nothing to be sorted by: values without a code or a target do not count."""
    if parameter in HOT:
        return compiler.missing(parameter, row)
    conditions = []
    for kind, (number, _) in sorted(compiler.terms.kinds(parameter).items()):
        table = TABLE_OF_KIND[kind]
        having = SORT_COLUMN[table][1]
        rows = f"SELECT 1 FROM {table} t WHERE t.rid = {row.rid} AND t.param = ? AND {having}"
        conditions.append(Sql(f"NOT EXISTS ({rows})", (number,)))
    return every(conditions)


def behind(terms: Sequence[Term], values: Sequence[SortValue], *, key: Key, row: Row) -> Sql:
    """Whether the row comes after the position: missing values are last in both directions, the Key decides ties."""
    if not terms:
        return Sql(f"({row.type}, {row.id}) > (?, ?)", key)
    first, value = terms[0], values[0]
    same_so_far = behind(terms[1:], values[1:], key=key, row=row)
    if value is None:
        return sql("({} IS NULL AND {})", first.sql, same_so_far)
    beyond = "<" if first.descending else ">"
    bound = Sql("?", (value,))
    return sql(
        f"({{}} {beyond} {{}} OR {{}} IS NULL OR ({{}} = {{}} AND {{}}))",
        first.sql,
        bound,
        first.sql,
        first.sql,
        bound,
        same_so_far,
    )


def order_by(terms: Sequence[Term], row: Row) -> Sql:
    """The ORDER BY list, the Key included."""
    parts = []
    for term in terms:
        parts.append(sql("{} IS NULL", term.sql))
        parts.append(sql("{} DESC" if term.descending else "{}", term.sql))
    return join((*parts, Sql(row.type), Sql(row.id)), ", ")


def shown(terms: Sequence[Term], row: Row) -> Sql:
    """The SELECT list of a hit: its Key and its sort values, named for a statement around it."""
    values = (sql(f"{{}} AS k{at}", term.sql) for at, term in enumerate(terms))
    return join((Sql(f"{row.type} AS type, {row.id} AS id"), *values), ", ")


def of_hits(sort: Sequence[SortKey]) -> list[Term]:
    """The terms of hits that a statement inside has given names, under the alias `h`."""
    return [Term(Sql(f"h.k{at}"), key.descending) for at, key in enumerate(sort)]


def sorted_rows(
    compiler: Compiler,
    few: Candidates,
    condition: Sql,
    *,
    sort: Sequence[SortKey],
    after: Position | None,
    counts: bool = False,
) -> Sql:
    """All candidates that fulfil the condition, then put in order; no LIMIT yet. `counts`: with their number, last."""
    terms, hit, named = [term_of(compiler, key, few.row) for key in sort], row_of("h"), of_hits(sort)
    hits = shown(terms, few.row)
    rest = TRUE if after is None else behind(named, after.values, key=after.key, row=hit)
    number = ", (SELECT count(*) FROM hits)" if counts else ""
    return sql(
        f"WITH hits AS MATERIALIZED (SELECT {{}} FROM {{}} WHERE {{}}) SELECT h.*{number}"
        " FROM hits h WHERE {} ORDER BY {}",
        hits,
        few.source_for(hits, condition),
        condition,
        rest,
        order_by(named, hit),
    )
