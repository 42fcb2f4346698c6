"""Proof that the audit is what was written: every row, every link, and every signed statement of where a log ended."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fhirmedia.core.audit_chain import GENESIS, chain_hash
from fhirmedia.custody.audit_diagnosis import Breach, contradicted, diagnose
from fhirmedia.custody.checkpoints import FIRST, Checkpoint, line_sha256, parse_checkpoint
from fhirmedia.ports.disclosures import ChainedLog

Genuine = Callable[[bytes, str], bool]
"""Whether a signature of a statement is ours."""

CHECKPOINTS = "checkpoints"
"""The name under which the file of checkpoints is reported; its sequence is the line."""


@dataclass(frozen=True, slots=True)
class LogState:
    """What was found sound of one log, and the last sequence of it that a checkpoint vouches for."""

    log_id: str
    rows: int
    attested: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was walked, and the first breach of each log."""

    logs: tuple[LogState, ...]
    checkpoints: int
    breaches: tuple[Breach, ...]

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong; 1: something is."""
        return 1 if self.breaches else 0

    def as_json(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "sound": not self.breaches,
            "checkpoints": self.checkpoints,
            "logs": [asdict(log) for log in self.logs],
            "breaches": [asdict(breach) for breach in self.breaches],
        }


def verify(lines: Sequence[bytes], logs: Sequence[ChainedLog], *, genuine: Genuine) -> VerifyReport:
    """Walk every log and hold it against the lines of the checkpoint file.

    The lines must have been read before the logs were listed, since logs grow: so a running server is no breach.
    Rows after the last checkpoint can have been cut off without a trace; `attested` says where that window begins.
    """
    breaches: list[Breach] = []
    marks: defaultdict[str, dict[int, bytes]] = defaultdict(dict)
    for checkpoint in _genuine_checkpoints(lines, genuine, breaches):
        head = checkpoint.head
        if marks[head.log_id].setdefault(head.sequence, head.hash) != head.hash:
            breaches.append(Breach(head.log_id, head.sequence, "forked", "two checkpoints disagree about this row"))
    states = []
    for log in logs:
        state, breach = _walk(log, marks.pop(log.log_id, {}))
        states.append(state)
        if breach is not None:
            breaches.append(breach)
    breaches += [Breach(log_id, 1, "truncated", "the whole log is gone") for log_id in marks]
    return VerifyReport(tuple(states), len(lines), tuple(breaches))


def _walk(log: ChainedLog, marks: Mapping[int, bytes]) -> tuple[LogState, Breach | None]:
    log_id, previous, sequence, attested = log.log_id, GENESIS, 0, 0
    end = max(marks, default=0)
    breach: Breach | None = None
    for row in log.rows():
        expected = sequence + 1
        number, follows, stated, disclosure, raw_query = row
        if number != expected or follows != previous or chain_hash(log_id, number, follows, disclosure) != stated:
            trusted = sequence == attested
            breach = diagnose(log, row, expected=expected, previous=previous, trusted=trusted, end=end)
            break
        if raw_query is not None and hashlib.sha256(raw_query).hexdigest().encode() not in disclosure:
            breach = Breach(log_id, number, "edited", "the raw query beside the row is not the one it names")
            break
        if number in marks:
            if marks[number] != stated:
                breach = contradicted(log, row, vouched=marks[number], attested=attested)
                break
            attested = number
        previous, sequence = stated, number
    if breach is None and end > sequence:
        breach = Breach(log_id, sequence + 1, "truncated", f"a checkpoint vouches for rows up to {end}")
    return LogState(log_id, sequence, attested), breach


def _genuine_checkpoints(lines: Sequence[bytes], genuine: Genuine, breaches: list[Breach]) -> Iterator[Checkpoint]:
    """The checkpoints whose signature is ours; the first line that is not as it was written is a breach."""
    hashes = [line_sha256(line) for line in lines]
    previous, is_sound = FIRST, True
    for number, line in enumerate(lines, start=1):
        breach: Breach | None = None
        try:
            checkpoint, signature = parse_checkpoint(line)
        except ValueError:
            breach = Breach(CHECKPOINTS, number, "edited", "the line is not a checkpoint")
        else:
            if not genuine(checkpoint.statement(), signature):
                breach = Breach(CHECKPOINTS, number, "edited", "the signature is not ours")
            else:
                yield checkpoint
                if checkpoint.previous != previous:
                    breach = _misplaced(checkpoint, number, hashes)
        if breach is not None and is_sound:
            breaches.append(breach)
            is_sound = False
        previous = hashes[number - 1]


def _misplaced(checkpoint: Checkpoint, number: int, hashes: Sequence[str]) -> Breach:
    if checkpoint.previous in hashes or checkpoint.previous == FIRST:
        return Breach(CHECKPOINTS, number, "reordered", "the line follows another one")
    return Breach(CHECKPOINTS, number, "removed", "the line before this one is gone")
