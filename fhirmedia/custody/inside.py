"""Inside: what a transaction under way shows to the reads and searches that belong to it, as long as it lasts.

Newest versions and searches are shown, what was written just now included; nothing else can be asked.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.disclosure import Touch
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.changes import ChangePage, Changes
from fhirmedia.ports.index import Bucket, Chosen, Hits, Page, Pointer
from fhirmedia.ports.records import Content, RecordTransaction
from fhirmedia.ports.views import RecordView

T = TypeVar("T")


@dataclass(slots=True)
class Inside:
    """The transaction, and what was touched by reading in it, which goes into its own audit row."""

    transaction: RecordTransaction
    touched: list[Touch]


class RecordsInside:
    """RecordStore and SearchIndex over a transaction under way. Raises Failure INVALID for what it does not show."""

    def __init__(self, transaction: RecordTransaction) -> None:
        self._transaction = transaction

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        return [self._transaction.current(key) for key in keys]

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        return self._transaction.search(query, page=page)

    async def referrers(self, binary_id: str) -> Sequence[Record]:
        return self._transaction.referrers(binary_id)

    async def version(self, key: Key, version: int) -> Record | None:
        raise _unshown()

    async def changes(self, page: ChangePage) -> Changes:
        raise _unshown()

    async def content(self, binary_id: str, version: int) -> Content | None:
        raise _unshown()

    async def pointers(self, keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        raise _unshown()

    async def write(self, work: Callable[[RecordTransaction], T]) -> T:
        raise _unshown()

    async def close(self) -> None:
        raise _unshown()


class CountsInside:
    """IndexCounts of a transaction under way: there are none."""

    async def chosen(self, query: NarrowedQuery) -> Chosen:
        raise _unshown()

    async def explain(self, query: NarrowedQuery, *, page: Page) -> str:
        raise _unshown()

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool
    ) -> Sequence[Sequence[Bucket]]:
        raise _unshown()

    async def patients(self, query: NarrowedQuery) -> int:
        raise _unshown()


class ViewInside:
    """A projected type, none of which is made inside a transaction: it cannot be asked for there."""

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        raise _unshown()

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        raise _unshown()


def views_inside(views: Mapping[str, RecordView]) -> Mapping[str, RecordView]:
    """The same types, none of them to be asked for."""
    return dict.fromkeys(views, ViewInside())


def _unshown() -> Failure:
    text = "A transaction can read newest versions and search without includes; ask for anything else by itself."
    return Failure(Category.INVALID, text, code="not-supported")
