"""Readings: what a write would store of a resource, and what follows from that, worked out before the writer's turn.

Every writer waits for the one transaction, so what takes longest and needs none is done outside it. A Reading follows
from the resource, from the version it replaces, and from the few records that lend it facts; it names all of them.
Inside the transaction it holds as long as each of them still is what it was. Otherwise it is made anew, there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.r4.codec import PreparedBody
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.values import IndexEntries

MOST_LENDERS = 512
"""Parsed bodies that are kept: the Organizations of a region, and the Encounters of the hour."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What becomes of the resource `given` over a version of a Key (its sequence; None: there was none).

    `resource` is `given` with its meta as stored. `lent` are the sequences of the records that were looked at.
    """

    given: JsonObject
    over: int | None
    lent: Mapping[Key, int]
    resource: JsonObject
    entries: IndexEntries
    facts: Facts
    body: PreparedBody

    def holds(self, given: JsonObject, *, old: Record | None, newest: Callable[[Key], Record | None]) -> bool:
        """Whether it is what comes of it now; `newest` is asked for the records that were looked at."""
        return (
            self.given is given
            and self.over == sequence_of(old)
            and all(sequence_of(newest(lender)) == sequence for lender, sequence in self.lent.items())
        )


def sequence_of(record: Record | None) -> int | None:
    """Which version it is, among all versions of all records."""
    return None if record is None else record.sequence


class Lenders:
    """Parsed bodies of records that lend facts to others, as the writer saw them last; nobody may change them.

    The writer's thread adds to them, any thread may ask.
    """

    def __init__(self) -> None:
        self._known: dict[Key, tuple[int, JsonObject]] = {}

    def body(self, record: Record) -> JsonObject | None:
        """The parsed body of a record just read; None for a deletion."""
        if record.body is None:
            return None
        known = self._known.pop(record.key, None)
        if known is None or known[0] != record.sequence:
            known = record.sequence, parse_json(record.body)
            if len(self._known) >= MOST_LENDERS:
                del self._known[next(iter(self._known))]
        self._known[record.key] = known
        return known[1]

    def known(self, key: Key) -> tuple[int, JsonObject] | None:
        """The sequence and body that were seen last, if they are still kept; there may be newer ones."""
        return self._known.get(key)
