"""The search engine that only asks the reference evaluator: the oracle the other engines are compared with."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import cmp_to_key, partial

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.records import Facts, Key
from fhirmedia.ports.index import Bucket, Hits, Page, Pointer, Position
from fhirmedia.r4.evaluator import Indexed, compare, matches, sort_tuple
from fhirmedia.r4.query import SortKey
from fhirmedia.r4.values import DateValue, IndexEntries, ReferenceValue, TokenValue

_SPANS = {"year": "%Y", "month": "%Y-%m"}
_CALENDAR_MS = 10**13


class MemoryIndex:
    """A SearchIndex over what `put` was given. Every search looks at everything, so nothing is ever too costly."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._rows: dict[Key, Indexed] = {}

    def put(self, entries: IndexEntries, facts: Facts) -> None:
        """Take in the current state of a resource, replacing what was there."""
        self._rows[entries.key] = Indexed(entries, facts)

    def remove(self, key: Key) -> None:
        """Forget a resource; one that is absent is no error."""
        self._rows.pop(key, None)

    def at(self, key: Key) -> Indexed | None:
        """The resource of that Key, or None."""
        return self._rows.get(key)

    def everything(self) -> Iterable[Indexed]:
        """All resources."""
        return self._rows.values()

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """The Keys of a page: what matches, put in order, behind the position, up to the count."""
        found = [
            Position(sort_tuple(row.entries, page.sort), row.entries.key)
            for row in self._rows.values()
            if matches(query.query, row.entries, row.facts, world=self)
        ]
        rest = sorted(
            (hit for hit in found if page.after is None or _compare(hit, page.after, sort=page.sort) > 0),
            key=cmp_to_key(partial(_compare, sort=page.sort)),
        )
        shown = rest[: page.count]
        return Hits(
            keys=tuple(hit.key for hit in shown),
            next=shown[-1] if shown and len(rest) > len(shown) else None,
            total=_total(len(found), page),
        )

    async def buckets(self, query: NarrowedQuery, *, by: str, with_patients: bool) -> Sequence[Bucket]:
        """How the selected resources divide."""
        members: dict[tuple[str | None, str], tuple[str, list[Indexed]]] = {}
        for row in self._selected(query):
            for key, shown in dict(self._keys(row, by)).items():
                members.setdefault(key, (shown, []))[1].append(row)
        found = [
            Bucket(system, shown, len(rows), _people(rows) if with_patients else None)
            for (system, _), (shown, rows) in members.items()
        ]
        return sorted(found, key=lambda each: (-each.count, each.system or "", each.code))

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        """By one facet after the other."""
        return [await self.buckets(query, by=each, with_patients=with_patients) for each in by]

    async def patients(self, query: NarrowedQuery) -> int:
        """How many Patients the selected resources are about."""
        return _people(self._selected(query))

    def _selected(self, query: NarrowedQuery) -> list[Indexed]:
        return [row for row in self._rows.values() if matches(query.query, row.entries, row.facts, world=self)]

    def _keys(self, row: Indexed, by: str) -> Iterable[tuple[tuple[str | None, str], str]]:
        if by in _SPANS:
            for value in row.entries.values.get("when", ()):
                if isinstance(value, DateValue) and abs(value.lo) < _CALENDAR_MS:
                    moment = datetime.fromtimestamp(value.lo / 1000, UTC).astimezone(self._zone)
                    yield (None, moment.strftime(_SPANS[by])), moment.strftime(_SPANS[by])
        for value in row.entries.values.get(by, ()):
            if isinstance(value, TokenValue):
                yield (value.system, value.code or ""), value.spelled or value.code or ""

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        """The local records these resources refer to."""
        values = (
            value
            for key in keys
            if (row := self._rows.get(key)) is not None
            for parameter in parameters
            for value in row.entries.values.get(parameter, ())
        )
        found = (value for value in values if isinstance(value, ReferenceValue) and value.key is not None)
        return list(dict.fromkeys(Pointer(value.key, value.version or 0) for value in found if value.key is not None))


def _people(rows: Iterable[Indexed]) -> int:
    return len({row.facts.patients for row in rows if len(row.facts.patients) == 1})


def _total(count: int, page: Page) -> int | None:
    if page.total == "none" or (page.total == "bounded" and count > page.total_limit):
        return None
    return count


def _compare(one: Position, other: Position, *, sort: Sequence[SortKey]) -> int:
    return compare((one.values, one.key), (other.values, other.key), sort=sort)
