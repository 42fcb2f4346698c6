"""The texts of contents: who reads them, where they are kept, and which records wait for their words."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from fhirmedia.core.records import Record
from fhirmedia.ports.records import Content
from fhirmedia.r4.values import IndexEntries

T = TypeVar("T")

READ = frozenset({"extracted", "truncated", "empty"})
"""Outcomes of a text that was read; any other is the reason why none could be."""


class ReadText(NamedTuple):
    """What became of a text, and its words, as `media.text_kept` keeps them."""

    outcome: str
    words: str


class TextReader(Protocol):
    """Reads texts of content that may be hostile."""

    async def read(self, chunks: AsyncIterator[bytes], *, size: int, format: str, is_cut: bool) -> ReadText | None:
        """The text of `size` bytes in this format (as `text_format` names it); `is_cut`: more bytes would follow.

        None where reading was interrupted and may go better another time. Raises Failure UNAVAILABLE where nothing can
        be read at present; what `chunks` raises passes through.
        """

    async def close(self) -> None:
        """Let go of everything."""


class WaitingText(NamedTuple):
    """A Binary whose words do not stand in the index yet, with what its newest version stands for.

    `number` tells its uploads apart. `after` is None until its text is read; then the sequence up to which the records
    that refer to it have its words.
    """

    binary_id: str
    number: int
    attempts: int
    after: int | None
    content: Content


class TextQueue(Protocol):
    """Synchronous access inside the single writer's transaction."""

    def keep_text(self, waiting: WaitingText, *, format: str, text: ReadText) -> bool:
        """Keep a text that was read, if its Binary still waits for it; whether records have to be given its words."""

    def try_text_again(self, waiting: WaitingText) -> None:
        """Let it wait behind everything else."""

    def without_words(self, binary_id: str, *, limit: int) -> Sequence[Record]:
        """Current records that refer to the Binary and do not have its words yet, in order of sequence."""

    def index_anew(self, record: Record, entries: IndexEntries) -> None:
        """Write the index rows of a current record with the words of its contents; record and version stay."""

    def have_words(self, binary_id: str, *, up_to: int) -> None:
        """The records up to this sequence have the words of the Binary."""

    def finish_text(self, binary_id: str) -> None:
        """Nothing waits for this Binary any more."""

    def queue_older_texts(self) -> None:
        """Let some contents wait that came before texts were read, or whose text was read by an older recipe."""


class TextStore(Protocol):
    """What is asked outside a transaction."""

    async def waiting_text(self) -> WaitingText | None:
        """What is to be read next: what was tried less often first, then what came last."""

    async def has_older_texts(self) -> bool:
        """Whether `TextQueue.queue_older_texts` would have something to look at."""

    async def texts_waiting(self) -> int:
        """How many wait, counted up to a hundred thousand."""

    async def write(self, work: Callable[[TextQueue], T]) -> T:
        """As `RecordStore.write`."""
