"""Search values as rows of the value tables: which table, which columns."""

import sqlite3
from typing import assert_never

from fhirmedia.backends.index_tables import (
    NARROW_MS,
    DateRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from fhirmedia.backends.index_terms import IDENTIFIER, NO_SYSTEM, SYSTEM, WritableTerms
from fhirmedia.backends.tables import table_of
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

_TOKEN, _DATE, _REFERENCE, _STRING, _URI, _NUMBER, _QUANTITY = range(len(VALUE_TABLES))

RowSets = dict[int, set[ValueRow]]


class ValueRows:
    """Collects the value rows of one resource."""

    def __init__(self, connection: sqlite3.Connection, terms: WritableTerms, *, rid: int) -> None:
        self._connection = connection
        self._terms = terms
        self._rid = rid
        self.sets: RowSets = {}

    def add_all(self, entries: IndexEntries) -> None:
        """The rows of every parameter but the hot ones."""
        for parameter, values in entries.values.items():
            if parameter in HOT:
                continue
            for value in values:
                self._add_value(parameter, value)
            if len(values) > 1 and isinstance(values[0], DateValue):
                self._note_several(parameter)

    def _add_value(self, parameter: str, value: SearchValue) -> None:
        rid, group = self._rid, value.group
        match value:
            case TokenValue(system, code):
                self._add(_TOKEN, (self._number(parameter, "token"), code or "", rid, self._system(system), group))
            case DateValue(lo, hi):
                self._add(_DATE, (self._number(parameter, date_kind(value)), lo, hi, rid, group))
            case ReferenceValue():
                target, version = _target_of(value)
                self._add(_REFERENCE, (self._number(parameter, "reference"), target, rid, version, group))
                if (identifier := value.identifier) is not None:
                    param, named = self._number(parameter + IDENTIFIER, "token"), self._system(identifier.system)
                    self._add(_TOKEN, (param, identifier.code or "", rid, named, group))
            case StringValue(plain, exact):
                self._add(_STRING, (self._number(parameter, "string"), plain, rid, exact, group))
            case UriValue(uri):
                self._add(_URI, (self._number(parameter, "uri"), uri, rid, group))
            case NumberValue(lo, hi):
                self._add(_NUMBER, (self._number(parameter, "number"), lo, hi, rid, group))
            case QuantityValue(lo, hi, system, code, unit):
                param = self._number(parameter, "quantity")
                self._add(_QUANTITY, (param, lo, hi, rid, self._system(system), code or "", unit or "", group))
            case _:
                assert_never(value)

    def _note_several(self, parameter: str) -> None:
        for kind in (NARROW, WIDE):
            self._terms.several(self._connection, self._number(parameter, kind))

    def _add(self, table: int, row: ValueRow) -> None:
        rows = self.sets.get(table)
        if rows is None:
            rows = self.sets[table] = set()
        rows.add(row)

    def _number(self, parameter: str, kind: str) -> int:
        return self._terms.number(self._connection, parameter, kind=kind)

    def _system(self, text: str | None) -> int:
        return NO_SYSTEM if text is None else self._terms.number(self._connection, text, kind=SYSTEM)


def date_kind(value: DateValue) -> str:
    """`date` up to about a day, `period` beyond: a search for a stretch of time can then bound where days begin."""
    return NARROW if value.hi - value.lo <= NARROW_MS else WIDE


def _target_of(value: ReferenceValue) -> tuple[str, int]:
    if value.key is not None:
        return str(value.key), value.version or 0
    if value.url is not None:
        return value.url, OF_URL
    return "", OF_IDENTIFIER
