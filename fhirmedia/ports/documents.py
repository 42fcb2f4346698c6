"""What a search engine beside the database is told: documents that follow the records, never ahead of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhirmedia.core.records import Key, Record
from fhirmedia.r4.values import IndexEntries


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """The newest state of a Key, for the engine to keep unless it has a newer one.

    `order` rises with each change of the Key in the database, across processes; a change that comes late or twice does
    no harm. `entries` is None where the Key is to be found no more.
    """

    record: Record
    order: int
    entries: IndexEntries | None


class SearchDocuments(Protocol):
    """The documents of one engine."""

    @property
    def types(self) -> Collection[str]:
        """The types it holds."""

    async def write(self, changes: Sequence[DocumentChange], *, visible: bool) -> Mapping[Key, str]:
        """Keep these, and say which were refused for themselves, and why; without patient data.

        `visible`: come back when a search finds them. Raises Failure UNAVAILABLE when nothing can be said about any of
        them: the engine does not answer, or takes nothing at present.
        """
