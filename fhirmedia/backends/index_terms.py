"""The numbers of repeated texts: parameter codes by kind of value, token systems, and the ranks of a few more.

A number is only remembered once its row is known to be committed, so that neither an undone transaction nor another
process can make a remembered number wrong.
"""

import sqlite3

SYSTEM = "system"
"""The kind of a token system; every other kind of term names a value table."""

TYPE, ROLE, FIELD = "type", "role", "field"
"""The kinds of ranks: resource types; parameters that refer to a Patient; fields of words."""

NO_SYSTEM = 0
"""Stands for the absence of a system."""

UNKNOWN = -1
"""The number of a text that no resource has; no row carries it."""

IDENTIFIER = ":identifier"
"""Suffix of a reference parameter's code for the tokens of its logical identifiers."""

_REMEMBERED = 50_000
_SPELLINGS_REMEMBERED = 10_000
_TERM = "SELECT id FROM idx_term WHERE text = ? AND kind = ?"
_KINDS = "SELECT kind, id, many FROM idx_term WHERE text = ? AND kind <> 'system'"
_SINCE = "SELECT id, text, kind FROM idx_term WHERE id > ? ORDER BY id"
_INSERT_TERM = "INSERT INTO idx_term (text, kind, many) VALUES (?, ?, 0) RETURNING id"
_MANY = "UPDATE idx_term SET many = 1 WHERE id = ? AND many = 0"
_RANK = "SELECT number FROM idx_rank WHERE text = ? AND kind = ?"
_RANKS = "SELECT text, kind, number FROM idx_rank"
_INSERT_SPELLING = "INSERT OR IGNORE INTO idx_spelling (system, code, spelled) VALUES (?, ?, ?)"
_INSERT_RANK = (
    "INSERT INTO idx_rank (text, kind, number)"
    " SELECT ?1, ?2, 1 + coalesce(max(number), 0) FROM idx_rank WHERE kind = ?2 RETURNING number"
)


class KnownTerms:
    """For readers, each of which sees committed rows only. Safe to share between threads."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, str], int] = {}
        self._ranks: dict[tuple[str, str], int] = {}

    def number(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The number of a term, or UNKNOWN."""
        return _known(self._terms, connection, _TERM, (text, kind))

    def rank(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The rank of a type or role, or UNKNOWN."""
        return _known(self._ranks, connection, _RANK, (text, kind))

    def kinds(self, connection: sqlite3.Connection, parameter: str) -> dict[str, tuple[int, bool]]:
        """The kinds of value the parameter has yielded: the number of each, and whether a resource had several."""
        return {kind: (number, bool(many)) for kind, number, many in connection.execute(_KINDS, (parameter,))}


def _known(
    numbers: dict[tuple[str, str], int], connection: sqlite3.Connection, select: str, name: tuple[str, str]
) -> int:
    number = numbers.get(name)
    if number is None:
        row = connection.execute(select, name).fetchone()
        if row is None:
            return UNKNOWN
        number = int(row[0])
        if len(numbers) < _REMEMBERED:
            numbers[name] = number
    return number


class WritableTerms:
    """For the single writer of a process; `begin` is called first in each of its transactions."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, str], int] = {}
        self._ranks: dict[tuple[str, str], int] = {}
        self._spelled: set[tuple[int, str]] = set()
        self._spelled_now: set[tuple[int, str]] = set()
        self._newest = 0
        self._missed = True

    def begin(self, connection: sqlite3.Connection) -> None:
        """Remember what was committed meanwhile, by whichever process, if anything was missed.

        Spellings are not looked up: there may be as many as there are identifiers.
        """
        self._spelled_now.clear()
        if not self._missed:
            return
        self._missed = False
        if len(self._terms) < _REMEMBERED:
            for number, text, kind in connection.execute(_SINCE, (self._newest,)):
                self._terms[text, kind] = self._newest = number
        for text, kind, number in connection.execute(_RANKS):
            self._ranks[text, kind] = number

    def number(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The number of a term, given now if it has none."""
        number = self._terms.get((text, kind))
        return number if number is not None else self._find(connection, _TERM, _INSERT_TERM, (text, kind))

    def rank(self, connection: sqlite3.Connection, text: str, *, kind: str) -> int:
        """The rank of a type or role, given now if it has none."""
        number = self._ranks.get((text, kind))
        return number if number is not None else self._find(connection, _RANK, _INSERT_RANK, (text, kind))

    def spell(self, connection: sqlite3.Connection, system: int, code: str, spelled: str) -> None:
        """Note how a code was written; what was first met stays.

        A row found in place that this transaction has not put there was committed before, and is remembered.
        """
        if (system, code) in self._spelled:
            return
        if connection.execute(_INSERT_SPELLING, (system, code, spelled)).rowcount > 0:
            self._spelled_now.add((system, code))
        elif (system, code) not in self._spelled_now:
            if len(self._spelled) >= _SPELLINGS_REMEMBERED:
                self._spelled.clear()
            self._spelled.add((system, code))

    def several(self, connection: sqlite3.Connection, number: int) -> None:
        """Note that a resource has several values of this parameter."""
        connection.execute(_MANY, (number,))

    def _find(self, connection: sqlite3.Connection, select: str, insert: str, name: tuple[str, str]) -> int:
        self._missed = True
        row = connection.execute(select, name).fetchone()
        if row is None:
            row = connection.execute(insert, name).fetchone()
        return int(row[0])
