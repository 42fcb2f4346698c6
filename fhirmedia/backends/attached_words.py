"""The words of a record's contents, joined to what the index knows of the record itself.

Every engine takes them from here, by the record's own facts: so a text is found through the records that hold it, with
their rights, and in no other way.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from fhirmedia.core.records import Record
from fhirmedia.media.text_formats import text_format
from fhirmedia.media.text_kept import KEPT_MAX
from fhirmedia.r4.texts import CONTENT
from fhirmedia.r4.values import IndexEntries
from fhirmedia.r4.word_tests import BREAK

_CONTENT = (
    "SELECT c.content_type, c.digest, p.number IS NULL OR p.after IS NOT NULL FROM binary_content c"
    " LEFT JOIN pending_text p ON p.binary_id = c.binary_id WHERE c.binary_id = ? ORDER BY c.version DESC LIMIT 1"
)
ROOM = KEPT_MAX
"""Characters of all contents of one record that are indexed with it, in the order it names them: as of one content.

The writer spells every word of a record at each of its writes, and others wait for that.
"""

_WORDS = "SELECT words FROM attachment_text WHERE digest = ? AND format = ?"

format_of = lru_cache(maxsize=1024)(text_format)
"""As `text_format`; there are few content types and many contents."""


def with_attached_words(connection: sqlite3.Connection, record: Record, entries: IndexEntries) -> IndexEntries:
    """The entries of a record with the words of the contents it refers to, as far as these have been read.

    Of a content that was stored again its own turn is awaited, even if the text of equal bytes is known: nobody learns
    from the time it takes what else is in the archive.
    """
    found = tuple(filter(None, _attached(connection, record.facts.binaries)))
    if not found:
        return entries
    said = (entries.texts[CONTENT],) if CONTENT in entries.texts else ()
    return replace(entries, texts={**entries.texts, CONTENT: BREAK.join((*said, *found))})


def _attached(connection: sqlite3.Connection, binaries: tuple[str, ...]) -> Iterator[str]:
    room = ROOM
    for binary_id in binaries:
        if room <= 0:
            return
        content = connection.execute(_CONTENT, (binary_id,)).fetchone()
        format = None if content is None else format_of(content[0])
        if format is None or not content[2]:
            continue
        text = connection.execute(_WORDS, (content[1], format)).fetchone()
        if text is not None and text[0] is not None:
            words = _cut(unpacked(text[0]), room)
            room -= len(words) + 1
            yield words


def _cut(words: str, room: int) -> str:
    """As many whole words as there is room for."""
    return words if len(words) <= room else words[: max(words.rfind(" ", 0, room), words.rfind("\n", 0, room), 0)]


def packed(words: str) -> bytes | None:
    """As it is stored."""
    return zlib.compress(words.encode()) if words else None


def unpacked(content: bytes) -> str:
    """What was stored; nothing where that is spoilt, since a write must not fail of it."""
    try:
        return zlib.decompress(content).decode()
    except (zlib.error, UnicodeDecodeError):
        return ""
