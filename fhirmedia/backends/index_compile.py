"""A Query as a condition on one row of `res_row`: the compile table of every node.

Each condition is true or false, never NULL, so that NOT means what `Not` means. What asks for other rows is a nested
EXISTS on the resource's own rows, cheap for a single resource; which rows are visited at all is the plan's business.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, assert_never

from fhirmedia.backends.index_conditions import TABLE_OF_KIND, Lookup, lookups
from fhirmedia.backends.index_dialect import FALSE, TRUE, Dialect, Sql, every, join, some, sql
from fhirmedia.backends.index_resource import Row, hot_condition, row_by_rid, row_of
from fhirmedia.backends.index_tables import IN_COMPARTMENT, MISSING, PATIENT, SOLE
from fhirmedia.backends.index_terms import FIELD, ROLE, TYPE, UNKNOWN
from fhirmedia.backends.index_values import HOT, role_bit
from fhirmedia.backends.index_words import word_rows, words_of_one
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    CompositeTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    ReferenceTest,
    Test,
    Text,
    has_inner,
)


class SearchTerms(Protocol):
    """The numbers a statement needs, as they stand in the snapshot it will read."""

    def number(self, parameter: str, kind: str) -> int:
        """Of a parameter's values of one kind; UNKNOWN if no resource has any."""

    def system(self, text: str) -> int:
        """Of a token system; UNKNOWN if no resource has it."""

    def rank(self, text: str, kind: str) -> int:
        """Of a type or a role; UNKNOWN if no resource has it."""

    def kinds(self, parameter: str) -> dict[str, tuple[int, bool]]:
        """Every kind the parameter has yielded: its number, and whether a resource had several values."""


class Compiler:
    """Compiles against the terms of one snapshot.

    `watch` is a condition of every row that is looked at, `asking` of every one of which an inner query is asked; both
    are functions that count, and true.
    """

    def __init__(self, dialect: Dialect, terms: SearchTerms, *, watch: Sql = TRUE, asking: Sql = TRUE) -> None:
        self.dialect = dialect
        self.terms = terms
        self._watch = watch
        self._asking = asking
        self._depth = 0

    def tested(self, query: Query, row: Row) -> Sql:
        """What a row that is looked at has to fulfil: to be watched, and to be selected. Raises as `condition`."""
        return every((self._watch, self.condition(query, row)))

    def condition(self, query: Query, row: Row) -> Sql:
        """Whether the query selects the row. Raises Failure NOT_IMPLEMENTED for what this engine cannot answer."""
        match query:
            case All(parts):
                # An inner query is asked of what fulfils all else: never of what the limits beside it hide.
                return every(self.condition(part, row) for part in sorted(parts, key=has_inner))
            case Any(parts):
                return some(self.condition(part, row) for part in parts)
            case Not(part):
                return negated(self.condition(part, row))
            case Match(parameter, tests):
                return self._match(parameter, tests, row)
            case Missing(parameter):
                return self.missing(parameter, row)
            case OfType(types):
                return self._of_type(types, row)
            case InCompartment(patient):
                return _in_compartment(patient, row)
            case Chain(parameter, target):
                return self._asked(self._chain(parameter, target, row))
            case Has(parameter, source):
                return self._asked(self._has(parameter, source, row))
            case FactIn() | FactHas() | FactToken():
                return self._fact(query, row)
            case Text():
                return self._words(query, row)
            case _:
                assert_never(query)

    def _of_type(self, types: frozenset[str], row: Row) -> Sql:
        if not row.typed_by_rid:
            return self.dialect.among(row.type, types)
        ranks = sorted(rank for each in types if (rank := self.terms.rank(each, TYPE)) != UNKNOWN)
        return Sql(f"({row.rid} & 255) IN ({', '.join('?' * len(ranks))})", tuple(ranks)) if ranks else FALSE

    def missing(self, parameter: str, row: Row) -> Sql:
        """Whether the resource has no value of the parameter."""
        if parameter == "when":
            return Sql(f"{row.recency} = ?", (MISSING,))
        if parameter in HOT:
            return FALSE
        kinds = self.terms.kinds(parameter)
        return negated(some(_exists(TABLE_OF_KIND[kind], row, Sql("t.param = ?", (kinds[kind][0],))) for kind in kinds))

    def word_rows(self, query: Text) -> Sql:
        """A SELECT of the rids whose words the query selects; FALSE where there are none."""
        return word_rows(query, self.terms.rank(query.field, FIELD))

    def _words(self, query: Text, row: Row) -> Sql:
        """Among few resources each one's words are read; among many those with the words are found once for all."""
        if row.one_of_few:
            return words_of_one(query, self.terms.rank(query.field, FIELD), row.rid)
        rows = self.word_rows(query)
        return rows if rows == FALSE else sql(f"{row.rid} IN ({{}})", rows)

    def rows_of(self, parameter: str, lookup: Lookup) -> Sql:
        """Which rows of the lookup's table are of the parameter, whatever their values."""
        return self._of_parameter(parameter + lookup.suffix, lookup.kinds)

    def lookups(self, tests: Sequence[Test]) -> list[Lookup]:
        """The lookups some of the tests need."""
        return lookups(tests, self.dialect, systems=self.terms.system)

    def _by_row(self, tests: Sequence[Test]) -> list[Lookup]:
        """The same for the rows of one resource."""
        return lookups(tests, replace(self.dialect, by_row=True), systems=self.terms.system)

    def _of_parameter(self, parameter: str, kinds: Sequence[str]) -> Sql:
        numbers = [number for kind in kinds if (number := self.terms.number(parameter, kind)) > 0]
        if not numbers:
            return FALSE
        if len(numbers) == 1:
            return Sql("t.param = ?", (numbers[0],))
        return Sql("t.param IN (?, ?)", tuple(numbers))

    def _match(self, parameter: str, tests: tuple[Test, ...], row: Row) -> Sql:
        composites = [test for test in tests if isinstance(test, CompositeTest)]
        together = [self._meet_in_one_group(test, row) for test in composites]
        if parameter in HOT:
            return some((hot_condition(parameter, tests, row, dialect=self.dialect), *together))
        if row.patient is not None and tests == (ReferenceTest(Key(PATIENT, row.patient)),):
            role = role_bit(self.terms.rank(parameter, ROLE))
            if role:
                return Sql("(p.how & ?) <> 0", (role,))
        apart = (_exists(lookup.table, row, self._values(parameter, lookup)) for lookup in self._by_row(tests))
        return some((*apart, *together))

    def _values(self, parameter: str, lookup: Lookup) -> Sql:
        rows = self.rows_of(parameter, lookup)
        return every((rows, some(condition.sql for condition in lookup.conditions)))

    def _meet_in_one_group(self, test: CompositeTest, row: Row) -> Sql:
        parts = []
        for parameter, part in test.parts:
            if parameter in HOT or isinstance(part, CompositeTest):
                raise Failure(Category.NOT_IMPLEMENTED, "a composite of this parameter is not supported by this index")
            groups = [
                sql(f"SELECT t.grp FROM {lookup.table} t WHERE t.rid = {row.rid} AND {{}}", condition)
                for lookup in self._by_row((part,))
                if (condition := self._values(parameter, lookup)) != FALSE
            ]
            if not groups:
                return FALSE
            # A test has one lookup: no kind of test is looked for in two tables.
            parts.extend(groups)
        return sql("EXISTS ({})", join(parts, " INTERSECT "))

    def _asked(self, inner: Sql) -> Sql:
        """As one term with the subquery in it, so that SQLite keeps it behind the terms that stand before it."""
        if self._depth or self._asking == TRUE or inner == FALSE:
            return inner
        return sql("CASE WHEN {} THEN {} END", self._asking, inner)

    def _chain(self, parameter: str, target: Query, row: Row) -> Sql:
        of_parameter = self._of_parameter(parameter, ("reference",))
        link, inner = self._inner()
        found = self.condition(target, inner)
        self._depth -= 1
        if FALSE in (of_parameter, found):
            return FALSE
        at = f"{link}.target"
        return sql(
            f"EXISTS (SELECT 1 FROM idx_reference {link} CROSS JOIN res_row {inner.columns}"
            f" WHERE {link}.rid = {row.rid} AND {{}} AND {link}.version >= 0"
            f" AND {inner.type} = {self.dialect.type_of(at)} AND {inner.id} = {self.dialect.id_of(at)}"
            " AND {})",
            _on(link, of_parameter),
            found,
        )

    def _has(self, parameter: str, source: Query, row: Row) -> Sql:
        of_parameter = self._of_parameter(parameter, ("reference",))
        link, inner = self._inner()
        # Its values are asked of the link's rid: most of what refers here is told apart before its own row is read.
        found = self.condition(source, row_by_rid(f"{link}.rid", inner.columns))
        self._depth -= 1
        if FALSE in (of_parameter, found):
            return FALSE
        return sql(
            f"EXISTS (SELECT 1 FROM idx_reference {link} CROSS JOIN res_row {inner.columns} WHERE {{}}"
            f" AND {link}.target = {row.type} || '/' || {row.id} AND {link}.version >= 0"
            f" AND {inner.rid} = {link}.rid AND {{}})",
            _on(link, of_parameter),
            found,
        )

    def _inner(self) -> tuple[str, Row]:
        """Names for a reference row and the resource it joins, not used by the statement around them."""
        self._depth += 1
        return f"f{self._depth}", row_of(f"r{self._depth}")

    def _fact(self, query: FactIn | FactHas | FactToken, row: Row) -> Sql:
        match query:
            case FactIn("id", values):
                return self.dialect.among(row.id, values)
            case FactIn("sole_patient", values) if row.patient is not None and values == frozenset({row.patient}):
                return Sql(f"(p.how & {SOLE}) <> 0")
            case FactIn(fact, values):
                column = f"{row.columns}.{fact}"
                return every((Sql(f"{column} IS NOT NULL"), self.dialect.among(column, values)))
            case FactHas(fact, values):
                return self._shares(f"{row.columns}.{fact}", values, member=None)
            case FactToken(parameter, values):
                return self._shares(f"{row.columns}.tokens", values, member=parameter)
            case _:
                assert_never(query)

    def _shares(self, column: str, values: frozenset[str], *, member: str | None) -> Sql:
        if not values:
            return FALSE
        return sql(
            f"({column} IS NOT NULL AND EXISTS (SELECT 1 FROM {{}} WHERE {{}}))",
            self.dialect.elements(column, member),
            self.dialect.among("j.value", values),
        )


def negated(condition: Sql) -> Sql:
    """The opposite."""
    if condition in (TRUE, FALSE):
        return FALSE if condition == TRUE else TRUE
    return sql("NOT ({})", condition)


def _on(alias: str, condition: Sql) -> Sql:
    """A condition on `t.param`, for another alias."""
    return Sql(condition.text.replace("t.param", f"{alias}.param", 1), condition.values)


def _exists(table: str, row: Row, condition: Sql) -> Sql:
    if condition == FALSE:
        return FALSE
    return sql(f"EXISTS (SELECT 1 FROM {table} t WHERE t.rid = {row.rid} AND {{}})", condition)


def _in_compartment(patient: str, row: Row) -> Sql:
    if row.patient == patient:
        return Sql(f"(p.how & {IN_COMPARTMENT}) <> 0")
    return Sql(
        f"EXISTS (SELECT 1 FROM idx_patient c WHERE c.patient = ? AND c.recency = {row.recency}"
        f" AND c.type = {row.type} AND c.id = {row.id} AND (c.how & {IN_COMPARTMENT}) <> 0)",
        (patient,),
    )
