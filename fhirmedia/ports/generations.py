"""A search engine beside the database, which holds its documents in generations: one is asked while another is filled.

A generation is a short name that whoever fills it makes up (`[a-z0-9-]+`). Which one is live is said by the database,
never by the engine. Every error is a Failure: UNAVAILABLE for whatever may pass (no answer, a timeout, a full queue, a
read-only index, an index that is gone, a key that is refused), TOO_COSTLY for a search beyond its bounds.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.records import Key
from fhirmedia.ports.documents import DocumentChange, SearchDocuments
from fhirmedia.ports.index import Bucket, Hits, Page

Tally = Mapping[tuple[str, str | None, str | None], int]
"""How many documents there are by type, unit and year of `when` in the zone of the deployment; None without one."""


class GenerationDocuments(SearchDocuments, Protocol):
    """The documents of one generation."""

    async def refresh(self) -> None:
        """Come back when searches find everything written so far."""


class GenerationIndex(Protocol):
    """What one generation answers: which resources, how many, and how they divide.

    `without` names Keys whose facts are about to change: they are neither found nor counted. Queries hold no Chain and
    no Has; either raises Failure INTERNAL.
    """

    @property
    def engine(self) -> str:
        """What it is called when a search is explained."""

    async def search(self, query: NarrowedQuery, *, page: Page, without: Collection[Key] = ()) -> Hits:
        """As `SearchIndex.search`."""

    async def explain(self, query: NarrowedQuery, *, page: Page, without: Collection[Key] = ()) -> str:
        """What would be asked of the engine, values left out."""

    async def divisions(
        self, query: NarrowedQuery, *, by: Sequence[str], with_patients: bool, without: Collection[Key] = ()
    ) -> Sequence[Sequence[Bucket]]:
        """As `IndexCounts.divisions`; raises Failure NOT_IMPLEMENTED for what the engine keeps no counts by."""

    async def patients(self, query: NarrowedQuery, *, without: Collection[Key] = ()) -> int:
        """As `IndexCounts.patients`."""


class SearchEngine(Protocol):
    """One engine, wherever it runs."""

    @property
    def types(self) -> Collection[str]:
        """The types it can hold."""

    @property
    def fingerprint(self) -> str:
        """What documents are made by: a generation with another one has to be filled anew."""

    async def ping(self) -> None:
        """Come back within two seconds if it can be used.

        Raises Failure UNAVAILABLE if it does not answer, or INVALID with a sentence that says how to mend it if it is
        another product, of another version, or refuses our key.
        """

    async def create(self, generation: str) -> None:
        """Make it, empty, to be filled; one that is there stays as it is."""

    async def finish(self, generation: str) -> None:
        """Everything written is found, and it is kept as in service from now on."""

    async def drop(self, generation: str) -> None:
        """Remove it; an absent one is no error."""

    async def is_sound(self, generation: str) -> bool:
        """Whether it is there whole, and as this program would make it."""

    async def is_complete(self, generation: str) -> bool:
        """Whether all of it can be searched at present; one that is sound may have lost a part with a node."""

    async def generations(self) -> Collection[str]:
        """Those there are, of this installation."""

    def documents(self, generation: str) -> GenerationDocuments:
        """Where its documents are written."""

    def index(self, generation: str) -> GenerationIndex:
        """What searches it."""

    async def tally(self, generation: str) -> Tally:
        """How many documents it has of which kind."""

    async def orders(self, generation: str, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The `order` of the documents it has of these Keys."""

    async def newest_order(self, generation: str) -> int:
        """The highest `order` of its documents; 0 without any."""

    def digest(self, change: DocumentChange) -> str:
        """What tells the content of the document made of a change from any other; without its order."""

    async def digests(self, generation: str, keys: Sequence[Key]) -> Mapping[Key, str]:
        """The digests of the documents it has of these Keys."""

    async def close(self) -> None:
        """Let go of its connections."""
