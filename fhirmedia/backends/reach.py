"""Rows of `version_reach`: by which facts each version can be found."""

import sqlite3

from fhirmedia.core.records import Facts
from fhirmedia.ports.changes import Reach

INSERT = "INSERT OR IGNORE INTO version_reach (reach, type, sequence) VALUES (?, ?, ?)"
_DELETE = "DELETE FROM version_reach WHERE reach = ? AND type = ? AND sequence = ?"


def reach_text(reach: Reach) -> str:
    """As the column holds it."""
    return f"{reach.fact}/{reach.value}"


def reach_rows(facts: Facts, *, type: str, sequence: int) -> list[tuple[str, str, int]]:
    """What `INSERT` takes, to let a version be found by its facts."""
    return [(reach_text(reach), type, sequence) for reach in reaches(facts)]


def put_reaches(connection: sqlite3.Connection, facts: Facts, *, type: str, sequence: int) -> None:
    """Let a version be found by its facts."""
    connection.executemany(INSERT, reach_rows(facts, type=type, sequence=sequence))


def remove_reaches(connection: sqlite3.Connection, facts: Facts, *, type: str, sequence: int) -> None:
    """Let a version no longer be found by these facts."""
    connection.executemany(_DELETE, [(reach_text(reach), type, sequence) for reach in reaches(facts)])


def reaches(facts: Facts) -> list[Reach]:
    """What a version with these facts is found by."""
    found = []
    if facts.unit is not None:
        found.append(Reach("unit", facts.unit))
    if len(facts.patients) == 1:
        found.append(Reach("sole_patient", facts.patients[0]))
    if facts.encounter is not None:
        found.append(Reach("encounter", facts.encounter))
    return found
