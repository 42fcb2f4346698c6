"""The numbers of repeated texts: parameter codes by kind of value, and token systems.

A number is only remembered once its row is known to be committed, so that neither an undone transaction nor another
process can make a remembered number wrong.
"""

import sqlite3

SYSTEM = "system"
"""The kind of a token system; every other kind names a value table."""

NO_SYSTEM = 0
"""Stands for the absence of a system."""

UNKNOWN = -1
"""The number of a text that no resource has; no row carries it."""

IDENTIFIER = ":identifier"
"""Suffix of a reference parameter's code for the tokens of its logical identifiers."""

_REMEMBERED = 50_000
_SELECT = "SELECT id FROM idx_term WHERE text = ? AND kind = ?"
_KINDS = "SELECT kind, id, many FROM idx_term WHERE text = ? AND kind <> 'system'"
_SINCE = "SELECT id, text, kind FROM idx_term WHERE id > ? ORDER BY id"
_INSERT = "INSERT INTO idx_term (kind, text, many) VALUES (?, ?, 0)"
_MANY = "UPDATE idx_term SET many = 1 WHERE id = ? AND many = 0"


class KnownTerms:
    """For readers, each of which sees committed rows only. Safe to share between threads."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The number, or UNKNOWN."""
        number = self._numbers.get((text, kind))
        if number is None:
            row = connection.execute(_SELECT, (text, kind)).fetchone()
            if row is None:
                return UNKNOWN
            number = int(row[0])
            if len(self._numbers) < _REMEMBERED:
                self._numbers[text, kind] = number
        return number

    def kinds(self, connection: sqlite3.Connection, parameter: str) -> dict[str, tuple[int, bool]]:
        """The kinds of value the parameter has yielded: the number of each, and whether a resource had several."""
        return {kind: (number, bool(many)) for kind, number, many in connection.execute(_KINDS, (parameter,))}


class WritableTerms:
    """For the single writer of a process; `begin` is called first in each of its transactions."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._seen = 0

    def begin(self, connection: sqlite3.Connection) -> None:
        """Remember what was committed since the last call, by whichever process."""
        if len(self._numbers) < _REMEMBERED:
            for number, text, kind in connection.execute(_SINCE, (self._seen,)):
                self._numbers[text, kind] = number
                self._seen = number

    def number(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The number, given now if the text has none."""
        number = self._numbers.get((text, kind))
        if number is not None:
            return number
        row = connection.execute(_SELECT, (text, kind)).fetchone()
        if row is None:
            return int(connection.execute(_INSERT, (kind, text)).lastrowid or 0)
        return int(row[0])

    def several(self, connection: sqlite3.Connection, number: int) -> None:
        """Note that a resource has several values of this parameter."""
        connection.execute(_MANY, (number,))
