"""The texts of contents, and what waits for them, on SQLite."""

import sqlite3
from collections.abc import Sequence

from fhirmedia.backends.attached_words import format_of, packed
from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.pending_rows import Statement
from fhirmedia.core.records import Key, Record
from fhirmedia.media.text_formats import RECIPE
from fhirmedia.ports.texts import READ, ReadText, WaitingText

QUEUE = Statement(
    7,
    "INSERT OR REPLACE INTO pending_text (binary_id, number, attempts, after) VALUES (:binary_id, :number, 0, NULL)",
)
"""Let a Binary wait; `number` is the sequence of the version that brought its content."""

WAITING = (
    "SELECT p.binary_id, p.number, p.attempts, p.after, c.content_type, b.digest, b.size, b.sha1, b.crcs"
    " FROM pending_text p JOIN binary_content c ON c.binary_id = p.binary_id AND c.version ="
    " (SELECT max(n.version) FROM binary_content n WHERE n.binary_id = p.binary_id)"
    " JOIN blob b ON b.digest = c.digest ORDER BY p.attempts, p.number DESC LIMIT 1"
)
NUMBER_WAITING = "SELECT count(*) FROM (SELECT 1 FROM pending_text LIMIT 100000)"
_OF_BINARY = "SELECT number, after FROM pending_text WHERE binary_id = ?"
_WITHOUT_WORDS = (
    "SELECT v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts FROM binary_referrer r"
    " JOIN record_version v ON v.sequence = r.sequence WHERE r.binary_id = ? AND r.sequence >"
    " (SELECT p.after FROM pending_text p WHERE p.binary_id = r.binary_id) AND v.method <> 'delete' AND NOT EXISTS"
    " (SELECT 1 FROM record_version n WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)"
    " ORDER BY r.sequence LIMIT ?"
)

_STATE = "SELECT value FROM idx_state WHERE name = 'texts'"
_SET_STATE = "INSERT OR REPLACE INTO idx_state (name, value) VALUES ('texts', ?)"
_AT_ONCE = 500
_OLDER = (
    "SELECT c.binary_id, c.content_type, coalesce((SELECT v.sequence FROM record_version v WHERE v.type = 'Binary'"
    " AND v.id = c.binary_id AND v.version = c.version), 0) FROM binary_content c WHERE c.binary_id > ?"
    " AND c.version = (SELECT max(n.version) FROM binary_content n WHERE n.binary_id = c.binary_id)"
    " ORDER BY c.binary_id LIMIT ?"
)
_QUEUE = "INSERT OR IGNORE INTO pending_text (binary_id, number, attempts, after)"
_QUEUE_OLDER = f"{_QUEUE} VALUES (?, ?, 0, NULL)"
_QUEUE_FAILED = (
    f"{_QUEUE} SELECT c.binary_id, coalesce((SELECT v.sequence FROM record_version v WHERE v.type = 'Binary'"
    " AND v.id = c.binary_id AND v.version = c.version), 0), 0, NULL FROM attachment_text t"
    " JOIN binary_content c ON c.digest = t.digest"
    " WHERE t.outcome NOT IN ('extracted', 'truncated', 'empty')"
)
_KNOWN = "SELECT recipe, outcome, words IS NOT NULL FROM attachment_text WHERE digest = ? AND format = ?"
_GIVE_TO_OTHERS = (
    f"{_QUEUE} SELECT DISTINCT c.binary_id, 0, 0, 0 FROM binary_content c WHERE c.digest = ? AND c.binary_id <> ?"
)
_KEEP = "INSERT OR REPLACE INTO attachment_text (digest, format, recipe, outcome, words) VALUES (?, ?, ?, ?, ?)"

STRAY_TEXTS = "FROM attachment_text AS t WHERE NOT EXISTS (SELECT 1 FROM binary_content c WHERE c.digest = t.digest)"
_STRAY_WAITING = (
    "FROM pending_text AS p WHERE NOT EXISTS (SELECT 1 FROM binary_content c WHERE c.binary_id = p.binary_id)"
)
_WALKED = "NOT EXISTS (SELECT 1 FROM idx_state s WHERE s.name = 'texts' AND instr(s.value, ' ') > 0)"
MISSING_TEXTS = (
    "FROM binary_content AS c WHERE text_format(c.content_type) IS NOT NULL"
    " AND c.version = (SELECT max(n.version) FROM binary_content n WHERE n.binary_id = c.binary_id)"
    " AND NOT EXISTS (SELECT 1 FROM pending_text p WHERE p.binary_id = c.binary_id)"
    " AND NOT EXISTS (SELECT 1 FROM attachment_text t"
    " WHERE t.digest = c.digest AND t.format = text_format(c.content_type))"
    f" AND {_WALKED}"
)
"""Contents whose text nobody reads; for connections that `equip` was called on."""
UNREAD = (
    "SELECT format, outcome, count(*) FROM attachment_text WHERE outcome NOT IN ('extracted', 'truncated', 'empty')"
    " GROUP BY format, outcome ORDER BY format, outcome"
)
MEND = (
    f"DELETE FROM attachment_text WHERE digest IN (SELECT t.digest {STRAY_TEXTS})",
    f"DELETE FROM pending_text WHERE binary_id IN (SELECT p.binary_id {_STRAY_WAITING})",
    f"{_QUEUE} SELECT c.binary_id, 0, 0, NULL {MISSING_TEXTS}",
)
FORGET = "DELETE FROM pending_text WHERE binary_id = ?"
FORGET_TEXT = (
    "DELETE FROM attachment_text WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM binary_content WHERE digest = ?1)"
)


def equip(connection: sqlite3.Connection) -> None:
    """Give a connection the function `text_format`."""
    connection.create_function("text_format", 1, format_of, deterministic=True)


def keep_text(connection: sqlite3.Connection, waiting: WaitingText, *, format: str, text: ReadText) -> bool:
    """As `TextQueue.keep_text`."""
    row = connection.execute(_OF_BINARY, (waiting.binary_id,)).fetchone()
    if row is None or row[0] != waiting.number:
        return False
    digest, words = waiting.content.blob.digest, packed(text.words)
    known = connection.execute(_KNOWN, (digest, format)).fetchone()
    has_words = words is not None or (known is not None and bool(known[2]))
    if known is None or known[0] != RECIPE or known[1] not in READ:
        connection.execute(_KEEP, (digest, format, RECIPE, text.outcome, words))
        if known is not None and has_words:
            connection.execute(_GIVE_TO_OTHERS, (digest, waiting.binary_id))
    if not has_words:
        finish_text(connection, waiting.binary_id)
        return False
    have_words(connection, waiting.binary_id, up_to=0)
    return True


def try_text_again(connection: sqlite3.Connection, waiting: WaitingText) -> None:
    """As `TextQueue.try_text_again`."""
    again = "UPDATE pending_text SET attempts = attempts + 1 WHERE binary_id = ? AND number = ?"
    connection.execute(again, (waiting.binary_id, waiting.number))


def without_words(connection: sqlite3.Connection, binary_id: str, *, limit: int) -> Sequence[Record]:
    """As `TextQueue.without_words`."""
    return [
        Record(Key(kind, identity), version, sequence, changed_at, method, body, decode_facts(facts))
        for kind, identity, version, sequence, changed_at, method, body, facts in connection.execute(
            _WITHOUT_WORDS, (binary_id, limit)
        )
    ]


def have_words(connection: sqlite3.Connection, binary_id: str, *, up_to: int) -> None:
    """As `TextQueue.have_words`."""
    connection.execute("UPDATE pending_text SET after = ? WHERE binary_id = ?", (up_to, binary_id))


def finish_text(connection: sqlite3.Connection, binary_id: str) -> None:
    """As `TextQueue.finish_text`."""
    connection.execute(FORGET, (binary_id,))


def has_older(connection: sqlite3.Connection) -> bool:
    """Whether contents may be there whose texts were not read by the present recipe."""
    return _place(connection) is not None


def queue_older(connection: sqlite3.Connection) -> None:
    """Let the next contents wait that are not known to have been read; what is done is remembered."""
    after = _place(connection)
    if after is None:
        return
    rows = connection.execute(_OLDER, (after, _AT_ONCE)).fetchall()
    connection.executemany(_QUEUE_OLDER, [(row[0], row[2]) for row in rows if format_of(row[1]) is not None])
    state = f"{RECIPE} {rows[-1][0]}" if len(rows) == _AT_ONCE else f"{RECIPE}"
    connection.execute(_SET_STATE, (state,))


def queue_failed(connection: sqlite3.Connection) -> None:
    """Let contents wait once more of which no text could be read."""
    connection.execute(_QUEUE_FAILED)


def waits_for_words(connection: sqlite3.Connection, record: Record) -> bool:
    """Whether a text of the record was read and it may not have been given the words yet."""
    rows = (connection.execute(_OF_BINARY, (binary_id,)).fetchone() for binary_id in record.facts.binaries)
    return any(row is not None and row[1] is not None for row in rows)


def _place(connection: sqlite3.Connection) -> str | None:
    """The Binary after which the walk over older contents goes on; None once it is done.

    `idx_state` says by which recipe they were read, and the place with it as long as that is under way. A folder that
    had no contents when texts came up says nothing.
    """
    row = connection.execute(_STATE).fetchone()
    recipe, under_way, place = ("1", "", "") if row is None else row[0].partition(" ")
    if int(recipe) != RECIPE:
        return ""
    return place if under_way else None
