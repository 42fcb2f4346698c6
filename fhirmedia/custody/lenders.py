"""Lenders: bodies of records that lend facts to others, parsed once and known before a transaction looks at them."""

from fhirmedia.core.records import Key, Record
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject

MOST = 512
"""So many are kept: the Organizations of a region, and the Encounters of the hour."""

LARGEST = 16_384
"""Bytes of a body; a longer one is not kept."""


class Lenders:
    """Bodies as the writer saw them last, with what they parse to, which nobody may change.

    The bytes say which version it is: a number of one that was undone may be given again, to another. The writer's
    thread adds, any thread may ask.
    """

    def __init__(self) -> None:
        self._known: dict[Key, tuple[bytes, JsonObject]] = {}

    def parsed(self, record: Record) -> JsonObject | None:
        """The body of a record just read; None for a deletion."""
        known = self._known.pop(record.key, None)
        if record.body is None:
            return None
        if known is None or known[0] != record.body:
            known = record.body, parse_json(record.body)
        if len(record.body) <= LARGEST:
            self._known[record.key] = known
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        return known[1]

    def known(self, key: Key) -> tuple[bytes, JsonObject] | None:
        """What was seen last, if it is still kept; there may be a newer version."""
        return self._known.get(key)
