"""What goes along with the matches of a search, found and judged like everything else (`_include`, `_revinclude`)."""

from collections.abc import Iterable, Sequence

from fhirmedia.access.grant import Grant
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.index import Page, Pointer, SearchIndex
from fhirmedia.ports.records import RecordStore
from fhirmedia.r4.query import Any, Match, ReferenceTest
from fhirmedia.r4.query_includes import Include

MOST_INCLUDED = 1000
MOST_ROUNDS = 5
"""So often `:iterate` looks at what the round before included."""


class Including:
    """Follows references for one Grant. What it may not read, and what is not there, is left out without a word."""

    def __init__(self, records: RecordStore, index: SearchIndex, grant: Grant) -> None:
        self._records = records
        self._index = index
        self._grant = grant

    async def along_with(self, matches: Sequence[Record], includes: Sequence[Include]) -> list[Record] | None:
        """The records that go along, each once and none of the matches; None if there are more than 1 000."""
        known = {(record.key, record.version) for record in matches}
        found: list[Record] = []
        fresh, asked = list(matches), list(includes)
        for _ in range(1 + MOST_ROUNDS):
            reached: list[Record] = []
            for include in asked:
                for record in await self._follow(include, fresh):
                    if (record.key, record.version) not in known:
                        known.add((record.key, record.version))
                        reached.append(record)
            found += reached
            if len(found) > MOST_INCLUDED:
                return None
            fresh, asked = reached, [include for include in includes if include.iterate]
        return found

    async def _follow(self, include: Include, records: Iterable[Record]) -> Sequence[Record]:
        end = include.target if include.reverse else include.source
        keys = list(dict.fromkeys(record.key for record in records if end in (None, record.key.type)))
        if not keys:
            return ()
        return await (self._back(include, keys) if include.reverse else self._forth(include, keys))

    async def _forth(self, include: Include, keys: Sequence[Key]) -> Sequence[Record]:
        pointers = await self._index.pointers(keys, parameters=include.parameters)
        wanted = [each for each in pointers if include.target in (None, each.key.type)]
        newest = await self._records.read([each.key for each in wanted])
        found = []
        for pointer, record in zip(wanted, newest, strict=True):
            if record is not None and self._grant.admits("read", record.key, record.facts):
                found.append(await self._version(pointer, record))
        return [record for record in found if record is not None and not record.deleted]

    async def _version(self, pointer: Pointer, newest: Record) -> Record | None:
        """What the pointer names, if that version may be read as well as the newest one."""
        if pointer.version in (0, newest.version):
            return newest
        named = await self._records.version(pointer.key, pointer.version)
        return named if named is not None and self._grant.admits("read", named.key, named.facts) else None

    async def _back(self, include: Include, keys: Sequence[Key]) -> Sequence[Record]:
        kinds = self._grant.listable((include.source,))
        tests = tuple(map(ReferenceTest, keys))
        pointing = Any(tuple(Match(parameter, tests) for parameter in include.parameters))
        narrowed = self._grant.narrow(pointing, types=kinds)
        hits = await self._index.search(narrowed, page=Page(MOST_INCLUDED + 1))
        records = await self._records.read(hits.keys)
        return [
            record
            for record in records
            if record is not None and not record.deleted and self._grant.admits("read", record.key, record.facts)
        ]
