"""Facts that wait for a change elsewhere: which records they are of, and how they are made anew."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from fhirmedia.core.records import Key, Record
from fhirmedia.ports.changes import Reach
from fhirmedia.r4.values import IndexEntries


class Waiting(NamedTuple):
    """The newest versions that have this fact, from after a type and sequence on."""

    reach: Reach
    after: tuple[str, int] = ("", 0)


class FactsQueue(Protocol):
    """Synchronous access inside the single writer's transaction."""

    def newest_with(self, waiting: Waiting, *, limit: int) -> Sequence[Record]:
        """Newest versions, those that mark a deletion included, in order of type and sequence."""

    def last_body(self, key: Key) -> bytes | None:
        """The body of the newest version that has one."""

    def correct(self, record: Record, entries: IndexEntries | None) -> None:
        """Make the facts of a stored version those of `record`, and with `entries` its index rows what follows."""

    def defer(self, waiting: Waiting) -> None:
        """Let these wait, durably, in the place of what waits by the same fact."""

    def finish(self, reach: Reach) -> None:
        """Nothing waits by this fact any more."""

    def first_waiting(self) -> Waiting | None:
        """What has to be worked off next."""
