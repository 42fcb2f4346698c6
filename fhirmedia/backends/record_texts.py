"""The texts of records, made anew from what is stored: for searches for words that no index of the database keeps."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from fhirmedia.backends.added_sql import added_text
from fhirmedia.backends.attached_words import with_attached_words
from fhirmedia.backends.records_sql import CURRENT_OF_MANY, record_of
from fhirmedia.core.records import Key
from fhirmedia.r4.added import Latecomers
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json

_AT_ONCE = 100


class RecordTexts:
    """Texts as an index would be given them, contents and parameters that came late included; safe among threads."""

    def __init__(self, extractor: Extractor, late: Latecomers) -> None:
        self._extractor = extractor
        self._late = late
        self._turn = Lock()

    def __call__(self, connection: sqlite3.Connection, keys: Sequence[Key]) -> Iterator[tuple[Key, Mapping[str, str]]]:
        """Of the current resources of these Keys, by field, in no order. Raises Failure UNAVAILABLE."""
        for start in range(0, len(keys), _AT_ONCE):
            some = json.dumps(keys[start : start + _AT_ONCE])
            for row in connection.execute(CURRENT_OF_MANY, {"keys": some}).fetchall():
                record = record_of(row)
                if record.body is None:
                    continue
                entries = self._extractor.entries(parse_json(record.body), key=record.key, last_updated_ms=0)
                with self._turn:
                    self._late.follow(added_text(connection))
                    entries = self._late.completed(entries, record.body)
                yield record.key, with_attached_words(connection, record, entries).texts
