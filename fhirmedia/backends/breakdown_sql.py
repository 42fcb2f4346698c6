"""How the current resources divide by what they are searched by: numbers and bytes, for whoever holds the folder."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fhirmedia.backends.index_calendar import Calendar
from fhirmedia.backends.index_tables import MISSING
from fhirmedia.backends.index_terms import NO_SYSTEM

YEAR = "year"
BREAKDOWNS = ("department", "kind", YEAR)
"""What it is told by: two parameters of ours that mean one thing on every type, and the year of `when`."""

_HOUR_MS = 3_600_000
_FACTS = "CASE WHEN json_valid(CAST(v.facts AS TEXT)) THEN CAST(v.facts AS TEXT) ELSE '{}' END"
_CONTENT = (
    f"SELECT sum(b.size) FROM json_each({_FACTS}, '$.binaries') n JOIN binary_content c ON c.binary_id = n.value"
    " AND c.version = (SELECT max(m.version) FROM binary_content m WHERE m.binary_id = c.binary_id)"
    " JOIN blob b ON b.digest = c.digest"
)
_MEASURES = f"count(*), coalesce(sum(length(v.body)), 0), coalesce(sum(({_CONTENT})), 0)"
_JOINED = "CROSS JOIN record_version v ON v.sequence = r.sequence"
_BY_TOKEN = (
    "SELECT r.type, t.system, (SELECT s.text FROM idx_term s WHERE s.id = t.system),"
    " coalesce((SELECT w.spelled FROM idx_spelling w WHERE w.system = t.system AND w.code = t.code), t.code),"
    f" {_MEASURES} FROM (SELECT DISTINCT rid, system, code FROM idx_token WHERE param ="
    " (SELECT id FROM idx_term WHERE text = ? AND kind = 'token')) t"
    f" CROSS JOIN res_row r ON r.rid = t.rid {_JOINED} GROUP BY r.type, t.system, t.code"
)
_BY_HOUR = (
    f"SELECT r.type, CAST(floor(-r.recency / {_HOUR_MS}.0) AS INTEGER), {_MEASURES} FROM res_row r {_JOINED}"
    f" WHERE r.recency < {MISSING} GROUP BY 1, 2"
)


@dataclass(slots=True)
class Share:
    """Current resources of one type with one value: how many, their bytes as JSON, and those of Binaries they name.

    A resource with several values is in several shares, one without any in none; content that two resources name
    counts for both.
    """

    by: str
    type: str
    system: str | None
    value: str
    resources: int = 0
    json_bytes: int = 0
    content_bytes: int = 0


def shares(connection: sqlite3.Connection, by: str, *, zone: ZoneInfo) -> Iterator[Share]:
    """By one of BREAKDOWNS, in order of type, system and value; years are those of the zone."""
    found = _years(connection, zone) if by == YEAR else _tokens(connection, by)
    yield from sorted(found, key=lambda share: (share.type, share.system or "", share.value))


def _tokens(connection: sqlite3.Connection, parameter: str) -> Iterator[Share]:
    for type, number, system, value, *measured in connection.execute(_BY_TOKEN, (parameter,)):
        yield Share(parameter, type, None if number == NO_SYSTEM else system, value, *measured)


def _years(connection: sqlite3.Connection, zone: ZoneInfo) -> Iterator[Share]:
    named, found = Calendar("%Y", zone).of_hour, dict[tuple[str, str], Share]()
    for type, hour, resources, json_bytes, content_bytes in connection.execute(_BY_HOUR):
        year = named(hour)
        share = found.setdefault((type, year), Share(YEAR, type, None, year))
        share.resources += resources
        share.json_bytes += json_bytes
        share.content_bytes += content_bytes
    yield from found.values()
