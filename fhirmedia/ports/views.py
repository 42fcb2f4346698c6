"""Types whose resources are projected from something else than stored versions, and are only read."""

from collections.abc import Sequence
from typing import Protocol

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.index import Hits, Page


class RecordView(Protocol):
    """Reads and searches one projected type."""

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        """The resource of each Key, in order; None where there is none."""

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """Keys that the query selects."""
