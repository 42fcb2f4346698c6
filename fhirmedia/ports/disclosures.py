"""Where disclosures are kept: append-only, hash-chained logs, and the signed witnesses of where each log ended."""

from collections.abc import Collection, Iterator
from typing import Protocol

from fhirmedia.core.audit_chain import ChainedRow, Head, RowName


class DisclosureLog(Protocol):
    """The log one worker writes."""

    async def append(self, disclosure: bytes, raw_query: bytes | None = None) -> RowName:
        """Where the row stands, once it is chained and durable; raises UNAVAILABLE or DISK_FULL if it cannot be.

        `raw_query` (salted) is kept beside the row, where it can be erased.
        """

    async def close(self) -> None:
        """Commit what waits, have the head witnessed and let go of the log."""


class ChainedLog(Protocol):
    """A log as its readers see it; what it holds may grow while it is read, and nothing else."""

    @property
    def log_id(self) -> str:
        """The name the chain is bound to; letters, digits, `-` and `.` only."""

    def rows(self, *, after: int = 0) -> Iterator[ChainedRow]:
        """Rows above a sequence, in order of sequence, as of the first one asked for."""

    def pick(self, sequences: Collection[int]) -> Iterator[ChainedRow]:
        """The rows of these sequences, in any order; absent ones are left out."""


class Witness(Protocol):
    """Keeps signed statements of where logs ended."""

    def attest(self, head: Head) -> None:
        """Return once the statement is durable; raises OSError if it cannot be."""
