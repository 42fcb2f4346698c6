"""GenerationDocuments: what is written to one generation of indices."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fhirmedia.backends.elastic.client import ElasticClient
from fhirmedia.backends.elastic.document import Documents
from fhirmedia.backends.elastic.names import Names
from fhirmedia.backends.elastic.shape import Shape
from fhirmedia.backends.elastic.writing import BulkWriter, Line, Room
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.documents import DocumentChange

REFRESHED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Making:
    """What documents look like at a moment, and what makes them so."""

    shape: Shape
    documents: Documents

    def content(self, change: DocumentChange) -> bytes | None:
        """The document as JSON, without its order; None where the Key is to be found no more."""
        if change.entries is None:
            return None
        return self.documents.encoded(self.documents.content(change.record, change.entries))

    def digest(self, change: DocumentChange) -> str:
        """What tells the document from any other; empty where the Key is to be found no more."""
        if change.entries is None:
            return ""
        return self.documents.digest(self.documents.content(change.record, change.entries))


class ElasticDocuments:
    """Writes documents; `prepared` says how they are made, once the generation has every field of them."""

    def __init__(
        self,
        client: ElasticClient,
        names: Names,
        generation: str,
        *,
        shape: Shape,
        prepared: Callable[[str], Awaitable[Making]],
        room: Room,
    ) -> None:
        self._client = client
        self._names = names
        self._generation = generation
        self._types = shape.types
        self._where = ",".join(names.index(generation, family) for family in shape.families)
        self._prepared = prepared
        self._writer = BulkWriter(client, room)

    @property
    def types(self) -> Collection[str]:
        """The types it holds."""
        return self._types

    async def write(self, changes: Sequence[DocumentChange], *, visible: bool) -> Mapping[Key, str]:
        """Keep these states, and say which were refused. Raises Failure UNAVAILABLE."""
        making = await self._prepared(self._generation)
        return await self._writer.write(self._lines(changes, making), visible=visible)

    async def refresh(self) -> None:
        """Searches find everything written so far. Raises Failure UNAVAILABLE."""
        await self._client.ask("POST", f"/{self._where}/_refresh", within_s=REFRESHED_WITHIN_S)

    def _lines(self, changes: Sequence[DocumentChange], making: Making) -> Iterator[Line]:
        for change in changes:
            family = making.shape.family(change.record.key.type)
            if family is None:
                raise Failure(Category.INTERNAL, "The search engine keeps no documents of that type.")
            alias = self._names.written(self._generation, family)
            yield Line(alias, change.record.key, change.order, making.content(change))
