"""The resource at hand: how its columns are spelled, and the parameters that those columns answer by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhirmedia.backends.index_conditions import date_condition
from fhirmedia.backends.index_dialect import TRUE, Dialect, Sql, every, some
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.r4.query import DateTest, Test, TokenTest


@dataclass(frozen=True, slots=True)
class Row:
    """How the columns of the resource at hand are spelled; those not named here are `columns`.name.

    `patient`: it was reached as one of this Patient's rows, with the bits of the row in `p.how`. `typed_by_rid`: its
    type is better read from the rid than from `type`. `one_of_few`: so few are looked at that reading the words of each
    is less work than finding all resources with the words asked for.
    """

    rid: str
    type: str
    id: str
    recency: str
    columns: str
    patient: str | None = None
    typed_by_rid: bool = False
    one_of_few: bool = False


def row_of(alias: str) -> Row:
    """The resource at hand is the row of `res_row` with this alias."""
    return Row(f"{alias}.rid", f"{alias}.type", f"{alias}.id", f"{alias}.recency", alias)


def row_by_rid(rid: str, alias: str) -> Row:
    """The same, where its rid is known before the row itself is read."""
    return replace(row_of(alias), rid=rid, typed_by_rid=True)


def hot_condition(parameter: str, tests: Sequence[Test], row: Row, *, dialect: Dialect) -> Sql:
    """Whether a hot parameter of the row satisfies some of the tests."""
    if parameter == "_id":
        exact = [test for test in tests if isinstance(test, TokenTest) and test.system is None]
        if any(test.code is None for test in exact):
            return TRUE
        return dialect.among(row.id, {test.code for test in exact if test.code is not None})
    dates = [test for test in tests if isinstance(test, DateTest)]
    if parameter == "_lastUpdated":
        return some(_updated(test, row) for test in dates)
    has_when = Sql(f"{row.recency} < ?", (MISSING,))
    return every((has_when, some(_when(test, row) for test in dates)))


def _updated(test: DateTest, row: Row) -> Sql:
    """`_lastUpdated` is the millisecond `[updated, updated + 1)`."""
    column = f"{row.columns}.updated"
    return date_condition(
        test,
        lo=lambda sign, time: Sql(f"{column} {sign} ?", (time,)),
        hi=lambda sign, time: Sql(f"{column} {sign} ?", (time - 1,)),
    )


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _when(test: DateTest, row: Row) -> Sql:
    """`when` is `[-recency, when_hi)`; meant for rows that have it."""
    return date_condition(
        test,
        lo=lambda sign, time: Sql(f"{row.recency} {_FLIPPED[sign]} ?", (-time,)),
        hi=lambda sign, time: Sql(f"{row.columns}.when_hi {sign} ?", (time,)),
    )
