"""What upkeep asks of technology: to sweep leftovers, to hold everything stored against itself, and to mend it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

from fhirmedia.core.digests import Digest
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.records import Blob, RecordTransaction
from fhirmedia.r4.values import IndexEntries

T = TypeVar("T")

Cure = Literal["none", "correct", "mend"]
Part = Literal["database", "records", "facts", "index", "bytes"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: `where` is a Key with its version, a Digest or a table.

    A `note` is worth knowing and no damage. `cure` is how an UpkeepTransaction puts it right, or `none`.
    """

    part: Part
    where: str
    text: str
    severity: Literal["damage", "note"] = "damage"
    cure: Cure = "none"


class Stored(NamedTuple):
    """One version as it is stored; `legible` is false where its facts could not be read (the record then has none).

    `follows` is the number of the version before it of the same Key (0: none), `replaced_at` the sequence of the one
    after it (None: none).
    """

    record: Record
    legible: bool
    follows: int
    replaced_at: int | None

    @property
    def newest(self) -> bool:
        """Whether no version follows."""
        return self.replaced_at is None


class Earlier(NamedTuple):
    """A version that was the newest one of its Key before some point of the log; no body: it was deleted."""

    sequence: int
    body: bytes | None


class Inspection(Protocol):
    """A look at everything, in constant memory, beside whoever writes. It changes nothing."""

    @property
    def last_sequence(self) -> int:
        """Where the log of changes ends."""

    def versions(self) -> Iterator[Sequence[Stored]]:
        """Every version in order of sequence; what is asked while a batch is held is answered as of that batch."""

    def before(self, key: Key, sequence: int | None) -> Earlier | None:
        """The newest version of a Key below a sequence (None: of all)."""

    def unlike_index(self, resources: Sequence[tuple[Record, IndexEntries]]) -> Collection[Key]:
        """Those whose rows in the search index are not what they would be if written now."""

    def blobs(self) -> Iterator[Sequence[Blob]]:
        """Everything described as held by the object store."""

    def known(self, digests: Sequence[Digest]) -> Collection[Digest]:
        """Those of the digests that are described."""

    def damages(self, *, done: Callable[[], None]) -> Iterator[Finding]:
        """What the technology itself finds wrong: files, and rows that stand for nothing; `done` follows each step."""


class UpkeepTransaction(RecordTransaction, Protocol):
    """The writer's transaction, with what only upkeep may do."""

    def holds(self, digest: Digest) -> bool:
        """Whether bytes are described, and so belong to some version of a Binary."""

    def release(self, binary_id: str) -> None:
        """Forget what all versions of a Binary stand for, and the description of bytes that nothing else stands for."""

    def mend(self, *, claims: bool) -> None:
        """Drop index rows of what is not current; with `claims`, settle anew which Binaries are referred to."""


class UpkeepStore(Protocol):
    """The records, as far as upkeep goes."""

    async def write(self, work: Callable[[UpkeepTransaction], T]) -> T:
        """Run `work` in the writer and return its result after the durable commit; raises as RecordStore.write."""

    async def unclaimed(self, *, before: int, after: str, limit: int) -> Sequence[str]:
        """Ids above `after`, in order, of Binaries never referred to and last uploaded before a time.

        Left out are those that were released. Time is in milliseconds UTC.
        """

    async def described(self, digests: Sequence[Digest]) -> Collection[Digest]:
        """Those of the digests that are described as bytes of the archive."""


class KeptObjects(Protocol):
    """The bytes, as far as upkeep goes; the calls block."""

    def shelves(self) -> Sequence[str]:
        """Names of the parts that are looked through one at a time."""

    def on_shelf(self, shelf: str) -> Sequence[Digest]:
        """What a part holds."""

    def remove_older(self, digest: Digest, *, before: int) -> bool:
        """Remove bytes unless they were put there, or put again, since a time (milliseconds UTC); False then.

        No `put` of the same bytes can come between the look and the removal.
        """

    def abandon_incoming(self, *, before: int) -> int:
        """Remove what was being received and has not grown since a time; how many there were."""
