"""Where versions, facts, index rows and the log of changes live: one transaction for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.digests import Digest
from fhirmedia.core.records import Facts, Key, Method, Record
from fhirmedia.ports.changes import ChangePage, Changes
from fhirmedia.ports.facts_queue import FactsQueue
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.codec import PreparedBody
from fhirmedia.r4.values import IndexEntries

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes the object store holds: Digest, size in bytes, SHA-1 (as FHIR Attachment.hash wants), CRC-32 per MiB."""

    digest: Digest
    size: int
    sha1: bytes
    crcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a version of a Binary stands for: its content type as declared, and its Blob."""

    content_type: str
    blob: Blob


@dataclass(frozen=True, slots=True)
class Draft:
    """A version about to be written; the store gives it number, time and sequence.

    `body` None marks a deletion. `entries` None leaves the record out of the search index. `content` is set for a
    Binary. `method` is what history will say.
    """

    key: Key
    method: Method
    body: PreparedBody | None
    facts: Facts
    entries: IndexEntries | None
    content: Content | None = None


class RecordTransaction(FactsQueue, Protocol):
    """Plain synchronous access inside the single writer's transaction; what it reads cannot change under it."""

    def current(self, key: Key) -> Record | None:
        """The newest version, deletions included; None if the Key was never used."""

    def content(self, binary_id: str) -> Content | None:
        """The Content of the newest version of a Binary."""

    def referrers(self, binary_id: str) -> Sequence[Record]:
        """Every version of any record whose facts name this Binary."""

    def put(self, draft: Draft) -> Record:
        """Write the next version with facts, index rows and outbox row; returns it as stored."""

    def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        """As `SearchIndex.search`, over what this transaction has written too. Raises TOO_COSTLY beyond its budget."""

    def has_dependents(self, patient_id: str) -> bool:
        """Whether a live record other than the Patient itself is in this Patient's compartment."""

    def audit(self, disclosure: bytes, raw_query: bytes | None = None) -> None:
        """Extend the chained log of changes; the raw query is kept beside the row, where it can be erased."""


class RecordStore(Protocol):
    """Metadata: versions, facts, index rows, history, change log."""

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        """The newest version of each Key, in order; None where a Key was never used."""

    async def version(self, key: Key, version: int) -> Record | None:
        """One version, or None."""

    async def changes(self, page: ChangePage) -> Changes:
        """A piece of a history, newest version first. Raises Failure UNAVAILABLE."""

    async def content(self, binary_id: str, version: int) -> Content | None:
        """What that version of a Binary stands for."""

    async def referrers(self, binary_id: str) -> Sequence[Record]:
        """Every version of any record whose facts name this Binary, with bodies left out."""

    async def write(self, work: Callable[[RecordTransaction], T]) -> T:
        """Run `work` in the writer and return its result after the shared durable commit.

        Raises what `work` raised (its changes are undone), or Failure UNAVAILABLE / DISK_FULL when the commit failed.
        """

    async def close(self) -> None:
        """Finish what is queued and let go of the files or connections."""
