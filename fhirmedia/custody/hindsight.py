"""Hindsight: what other records said at the point of the log that a walk has reached, and what they say now."""

from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.maintenance import Earlier, Inspection
from fhirmedia.r4.facts import Lookup
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject

REMEMBERED = 20_000
"""Bodies kept of each kind, so that memory stays bounded."""


class Hindsight:
    """Looks up for one walk over all versions in order of sequence."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._then: dict[Key, JsonObject | None] = {}
        self._now: dict[Key, tuple[int, JsonObject | None]] = {}

    def passed(self, key: Key) -> None:
        """Told of every version the walk has left behind."""
        self._then.pop(key, None)

    def then(self, sequence: int, asked: set[Key]) -> Lookup:
        """The body of a Key before `sequence`, where the walk stands; every Key looked up is added to `asked`."""

        def body(key: Key) -> JsonObject | None:
            asked.add(key)
            if key not in self._then:
                if len(self._then) >= REMEMBERED:
                    self._then.clear()
                self._then[key] = _read(self._inspection.before(key, sequence))
            return self._then[key]

        return body

    def at(self, sequence: int) -> Lookup:
        """The body of a Key before any `sequence`."""
        return lambda key: _read(self._inspection.before(key, sequence))

    def now(self, key: Key) -> JsonObject | None:
        """The body of a Key as it is now."""
        return self._latest(key)[1]

    def last_change(self, key: Key) -> int:
        """The sequence of the newest version of a Key; 0 where there is none."""
        return self._latest(key)[0]

    def _latest(self, key: Key) -> tuple[int, JsonObject | None]:
        if key not in self._now:
            if len(self._now) >= REMEMBERED:
                self._now.clear()
            found = self._inspection.before(key, None)
            self._now[key] = (0 if found is None else found.sequence, _read(found))
        return self._now[key]


def _read(found: Earlier | None) -> JsonObject | None:
    """The body, or None where there is none or it cannot be read; the walk reports that where it stands."""
    if found is None or found.body is None:
        return None
    try:
        return parse_json(found.body)
    except Failure:
        return None
