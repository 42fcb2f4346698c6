"""Search values as rows of the value tables: which table, which columns."""

import sqlite3
from collections import defaultdict
from typing import assert_never

from fhirmedia.backends.index_tables import (
    NARROW_MS,
    PATIENT,
    SOLE,
    DateRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from fhirmedia.backends.index_terms import IDENTIFIER, NO_SYSTEM, ROLE, SYSTEM, UNKNOWN, WritableTerms
from fhirmedia.backends.tables import table_of
from fhirmedia.r4.contained import is_inside
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

HOT = frozenset({"_id", "_lastUpdated", "when"})
"""Parameters that columns of `res_row` answer; they have no rows of their own."""

OF_URL, OF_IDENTIFIER = -1, -2
"""`version` of a reference row whose target is a URL, or that has an identifier alone."""

NARROW, WIDE = "date", "period"
"""The kinds of stretches of time."""

ValueRow = tuple[int | float | str, ...]
"""The columns of a value table in their order; all of them are its primary key."""

VALUE_TABLES = tuple(
    table_of(model) for model in (TokenRow, DateRow, ReferenceRow, StringRow, UriRow, NumberRow, QuantityRow)
)
"""`holds` and the sets made here count tables by their place in this tuple."""

_ROLES = 58
"""So many roles have a bit in 63; R4 has about as many parameters that refer to Patients, an archive far fewer."""

_TOKEN, _DATE, _REFERENCE, _STRING, _URI, _NUMBER, _QUANTITY = range(len(VALUE_TABLES))

RowSets = defaultdict[int, set[ValueRow]]
"""Rows by their table."""


class ValueRows:
    """Makes the value rows of resources. This runs for every write: a number is looked up as rarely as can be."""

    def __init__(self, terms: WritableTerms) -> None:
        self._terms = terms

    def of(self, connection: sqlite3.Connection, entries: IndexEntries, *, rid: int, people: dict[str, int]) -> RowSets:
        """The rows of every parameter but the hot ones; Patients referred to join `people`, with the roles' bits."""
        number = self._terms.number
        sets: RowSets = defaultdict(set)
        for parameter, values in entries.values.items():
            if parameter in HOT or not values:
                continue
            tokens = number(connection, parameter, kind="token") if isinstance(values[0], TokenValue) else UNKNOWN
            for value in values:
                if isinstance(value, TokenValue) and tokens != UNKNOWN:
                    system = NO_SYSTEM if value.system is None else number(connection, value.system, kind=SYSTEM)
                    sets[_TOKEN].add((tokens, value.code or "", rid, system, value.group))
                    if value.spelled is not None and value.code is not None:
                        self._terms.spell(connection, system, value.code, value.spelled)
                    continue
                self._add(connection, parameter, value, rid=rid, sets=sets)
                if isinstance(value, ReferenceValue) and value.key is not None and value.key.type == PATIENT:
                    # Of chains there are more than bits.
                    role = 0 if is_inside(parameter) else role_bit(self._terms.rank(connection, parameter, kind=ROLE))
                    people[value.key.id] = people.get(value.key.id, 0) | role
            if len(values) > 1 and isinstance(values[0], DateValue):
                for kind in (NARROW, WIDE):
                    self._terms.several(connection, number(connection, parameter, kind=kind))
        return sets

    def _add(
        self, connection: sqlite3.Connection, parameter: str, value: SearchValue, *, rid: int, sets: RowSets
    ) -> None:
        group = value.group

        def number(text: str, kind: str) -> int:
            return self._terms.number(connection, text, kind=kind)

        def system(text: str | None) -> int:
            return NO_SYSTEM if text is None else number(text, SYSTEM)

        match value:
            case TokenValue(named, code):
                sets[_TOKEN].add((number(parameter, "token"), code or "", rid, system(named), group))
            case DateValue(lo, hi):
                sets[_DATE].add((number(parameter, date_kind(value)), lo, hi, rid, group))
            case ReferenceValue(identifier=identifier):
                target, version = _target_of(value)
                sets[_REFERENCE].add((number(parameter, "reference"), target, rid, version, group))
                if identifier is not None:
                    param, code = number(parameter + IDENTIFIER, "token"), identifier.code or ""
                    sets[_TOKEN].add((param, code, rid, system(identifier.system), group))
            case StringValue(plain, exact):
                sets[_STRING].add((number(parameter, "string"), plain, rid, exact, group))
            case UriValue(uri):
                sets[_URI].add((number(parameter, "uri"), uri, rid, group))
            case NumberValue(low, high):
                sets[_NUMBER].add((number(parameter, "number"), low, high, rid, group))
            case QuantityValue(low, high, named, code, unit):
                param = number(parameter, "quantity")
                sets[_QUANTITY].add((param, low, high, rid, system(named), code or "", unit or "", group))
            case _:
                assert_never(value)


def role_bit(rank: int) -> int:
    """The bit of `PatientRow.how` for a parameter that refers to the Patient; 0 for ranks that have none."""
    return SOLE << rank if 0 < rank <= _ROLES else 0


def date_kind(value: DateValue) -> str:
    """`date` up to about a day, `period` beyond: a search for a stretch of time can then bound where days begin."""
    return NARROW if value.hi - value.lo <= NARROW_MS else WIDE


def _target_of(value: ReferenceValue) -> tuple[str, int]:
    if value.key is not None:
        return str(value.key), value.version or 0
    if value.url is not None:
        return value.url, OF_URL
    return "", OF_IDENTIFIER
