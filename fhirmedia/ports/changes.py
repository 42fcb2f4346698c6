"""The log of changes as histories read it: newest first, a bounded piece at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.records import Facts, Key, Record

ReachFact = Literal["unit", "sole_patient", "encounter"]
"""Facts by which versions can be found: those that callers are bound to, and the one that lends a record its unit."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A fact and its value."""

    fact: ReachFact
    value: str


@dataclass(frozen=True, slots=True)
class OfType:
    """Versions of a type; with a `reach`, those that have this fact."""

    type: str
    reach: Reach | None = None


Stream = Key | OfType
"""Versions of one resource, or of a type; two streams of a page hold no version in common unless they are equal."""


@dataclass(frozen=True, slots=True)
class Period:
    """Times in milliseconds UTC, from `lo` on and before `hi`."""

    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class ChangePage:
    """What to walk through, downwards: below the sequence `before`, and not beyond what was changed before `since`.

    With `at`, versions that were the newest of their resource at some moment of a period; a deletion belongs to the
    moment it was made at, since nothing is there afterwards. `count` versions at most are returned. At most `visits`
    are looked at, and for the total no more than `ahead` admitted ones past the page. `admits` is asked about a
    version's own facts and about those of the newest version of the resource, and both must be admitted.
    """

    streams: Sequence[Stream]
    admits: Callable[[Key, Facts], bool]
    before: int
    count: int
    since: int | None = None
    at: Period | None = None
    visits: int = 5_000
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """The versions in order, the sequence below which the walk goes on (None: nothing follows), and the total.

    `total` counts the admitted versions below `before`; None where they were not all looked at.
    """

    records: Sequence[Record]
    below: int | None
    total: int | None
