"""What was done to the first row of a log that does not stand where and as it was written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.audit_chain import ChainedRow, chain_hash
from fhirmedia.ports.disclosures import ChainedLog

BreachKind = Literal["edited", "removed", "inserted", "reordered", "forked", "truncated"]

_BEYOND = 2_000
"""How many rows that no checkpoint tells of may have been removed before a row that was renumbered."""


@dataclass(frozen=True, slots=True)
class Breach:
    """The first sequence of a log that is not what it was; `text` says how it is known."""

    log_id: str
    sequence: int
    kind: BreachKind
    text: str


def diagnose(log: ChainedLog, row: ChainedRow, *, expected: int, previous: bytes, trusted: bool, end: int) -> Breach:
    """Name the breach that shows at `row`, which should be the authentic row `expected` after hash `previous`.

    `trusted`: a checkpoint vouches for the row before, or there is none; `end`: the highest sequence any checkpoint
    names.
    """
    if row.sequence != expected:
        return Breach(log.log_id, expected, "removed", f"the next row is {row.sequence}")
    if _authentic(log.log_id, expected, row):
        return _unlinked(log, row, trusted=trusted)
    last = expected
    for other in log.rows():
        last = other.sequence
        if _belongs(log.log_id, row, other, previous=previous):
            return Breach(log.log_id, expected, "reordered", f"what belongs here stands in row {last}")
    was = _number(log.log_id, row, range(1, max(last, end) + _BEYOND))
    if was is None:
        return Breach(log.log_id, expected, "edited", "the row does not have the hash it should have")
    if was > expected:
        return Breach(log.log_id, expected, "removed", f"row {was} was given the number of a row that is gone")
    return Breach(log.log_id, was, "inserted", f"row {was} was moved up to {expected}")


def contradicted(log: ChainedLog, row: ChainedRow, *, vouched: bytes, attested: int) -> Breach:
    """Name the breach at a sound row that a checkpoint knows by another hash, after `attested` had agreed."""
    following = next(iter(log.rows(after=row.sequence)), None)
    if following is not None and following.previous == vouched:
        return Breach(log.log_id, row.sequence, "edited", "a checkpoint, and the next row, name another hash")
    text = f"a checkpoint names another row here; row {attested} was the last that one agrees with"
    return Breach(log.log_id, row.sequence, "forked", text)


def _unlinked(log: ChainedLog, row: ChainedRow, *, trusted: bool) -> Breach:
    """The row is sound by itself but follows another hash: it, or the row before, was written anew."""
    following = next(iter(log.rows(after=row.sequence)), None)
    is_original = following is None or following.previous == row.hash
    if is_original and not trusted:
        return Breach(log.log_id, row.sequence - 1, "edited", "the next row follows another hash")
    return Breach(log.log_id, row.sequence, "edited", "the row does not follow the one before it")


def _belongs(log_id: str, row: ChainedRow, other: ChainedRow, *, previous: bytes) -> bool:
    """Whether `other`, or what it holds, belongs in the place of `row`."""
    at = row.sequence
    if other.previous == previous and _authentic(log_id, at, other):
        return True
    return row.previous == previous and chain_hash(log_id, at, previous, other.disclosure) == row.hash


def _number(log_id: str, row: ChainedRow, numbers: Iterable[int]) -> int | None:
    return next((number for number in numbers if _authentic(log_id, number, row)), None)


def _authentic(log_id: str, sequence: int, row: ChainedRow) -> bool:
    return chain_hash(log_id, sequence, row.previous, row.disclosure) == row.hash
