"""Elasticsearch where a contract suite wants one SearchIndex: filled at once, and asked without queries inside queries.

What is inside a query is answered by the reference evaluator first, and its Keys take its place; the server answers it
by whichever engine has the type.
"""

from collections.abc import Collection, Iterable, Sequence

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.backends.elastic.index import ElasticIndex
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.core.records import Key
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Bucket, Hits, Page, Pointer
from fhirmedia.r4.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Chain,
    FactIn,
    Has,
    Match,
    Not,
    OfType,
    Query,
    ReferenceTest,
)


class Beside:
    """One generation, and an oracle with the same content for what is inside a query."""

    def __init__(self, index: ElasticIndex, oracle: MemoryIndex, types: Collection[str]) -> None:
        self.index = index
        self.oracle = oracle
        self._everybody = Grant((Rule(frozenset(ACTIONS), frozenset(types), EVERYTHING),))
        self._types = types

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """As any SearchIndex."""
        return await self.index.search(await self.prepared(query), page=page)

    async def buckets(self, query: NarrowedQuery, *, by: str, with_patients: bool) -> Sequence[Bucket]:
        """As any IndexCounts."""
        return await self.index.buckets(await self.prepared(query), by=by, with_patients=with_patients)

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        """As any IndexCounts."""
        return await self.index.divisions(await self.prepared(query), by=by, with_patients=with_patients)

    async def patients(self, query: NarrowedQuery) -> int:
        """As any IndexCounts."""
        return await self.index.patients(await self.prepared(query))

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        """The database's work, wherever searches are answered."""
        return await self.oracle.pointers(keys, parameters=parameters)

    async def prepared(self, narrowed: NarrowedQuery) -> NarrowedQuery:
        """The same query without others inside it."""
        return self._everybody.narrow(await self._answered(narrowed.query), types=self._types)

    async def _answered(self, query: Query) -> Query:
        match query:
            case All(parts):
                return All(tuple([await self._answered(part) for part in parts]))
            case Any(parts):
                return Any(tuple([await self._answered(part) for part in parts]))
            case Not(part):
                return Not(await self._answered(part))
            case Chain(parameter, target):
                found = await self._keys(target)
                return Match(parameter, tuple(map(ReferenceTest, found))) if found else NOTHING
            case Has(parameter, source):
                pointers = await self.oracle.pointers(await self._keys(source), parameters=[parameter])
                named = {pointer.key for pointer in pointers}
                each = (All((OfType(frozenset({key.type})), FactIn("id", frozenset({key.id})))) for key in named)
                return Any(tuple(each))
        return query

    async def _keys(self, query: Query) -> tuple[Key, ...]:
        everything = self._everybody.narrow(query, types=self._types)
        return (await self.oracle.search(everything, page=Page(1000))).keys


async def filled(engine: ElasticEngine, generation: str, changes: Iterable[DocumentChange]) -> ElasticIndex:
    """A generation with these documents, in service."""
    await engine.create(generation)
    refused = await engine.documents(generation).write([*changes], visible=False)
    assert refused == {}
    await engine.finish(generation)
    return engine.index(generation)
