"""The hash that ties each audit row to the one before it."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

GENESIS = bytes(32)
"""What the first row of a log names as the hash before it."""

_DOMAIN = b"fhirmedia-audit-1"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ended: its last sequence (0: empty) and that row's hash."""

    log_id: str
    sequence: int
    hash: bytes


class RowName(NamedTuple):
    """Where a durable row stands: its log and its sequence there."""

    log_id: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.log_id}-{self.sequence}"


class ChainedRow(NamedTuple):
    """One row as it is stored; `sequence` counts from 1 without gaps.

    `raw_query` (a salt of `SALT_BYTES` and the query as it was sent) is not part of the chain: the disclosure names
    it by its SHA-256 only, so that it can be erased. None where there was none or it is gone.
    """

    sequence: int
    previous: bytes
    hash: bytes
    disclosure: bytes
    raw_query: bytes | None


SALT_BYTES = 16


def chain_hash(log_id: str, sequence: int, previous: bytes, disclosure: bytes) -> bytes:
    """The 32-byte hash of a row.

    SHA-256 over a constant, the length of `log_id` in two bytes and `log_id`, `sequence` in eight bytes, `previous`
    and the SHA-256 of `disclosure` (32 bytes each); numbers are big-endian. Every field but `log_id` has a fixed
    length, so no two rows share an input.
    """
    name = log_id.encode()
    content = hashlib.sha256(disclosure).digest()
    framed = _DOMAIN + len(name).to_bytes(2) + name + sequence.to_bytes(8) + previous + content
    return hashlib.sha256(framed).digest()
