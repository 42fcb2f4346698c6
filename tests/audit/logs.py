"""Audit logs to test with: disclosures that read like sentences, real files, a signature of the tests' own."""

import asyncio
import hashlib
import hmac
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.disclosures_sql import DisclosureLogSql, LogLimits
from fhirmedia.core.audit_chain import Head
from fhirmedia.core.disclosure import Depth, Disclosure, Touch
from fhirmedia.core.records import parse_key
from fhirmedia.custody.audit_verify import VerifyReport, verify
from fhirmedia.custody.checkpoints import Checkpoint, Checkpoints, parse_checkpoint, read_checkpoints

NOON = 1_700_000_000_000
SALT = b"0123456789abcdef"
QUIET = LogLimits(attest_rows=10**9, attest_s=1_000)
"""Heads are attested at the end only."""


def touch(key: str, *, of: Sequence[str] = (), version: int | None = 1, depth: Depth = "opened") -> Touch:
    """`touch("Media/m", of=["anna"])`."""
    return Touch(parse_key(key), version, depth, tuple(of))


def a_disclosure(interaction: str = "read", *touched: Touch, at: int = NOON, **other: Any) -> Disclosure:
    """One interaction of a clinician; its patients are those of what was touched."""
    patients = tuple(dict.fromkeys(patient for each in touched for patient in each.patients))
    told: dict[str, Any] = {
        "subject": "https://login.example.org|kim",
        "client": "viewer",
        "request_id": "r-1",
        "user": "Practitioner/kim",
        "token_id": "t-1",
        "purpose": "TREAT",
        "address": "192.0.2.7",
        "patients": patients,
    }
    return Disclosure(at, interaction, touched=touched, **(told | other))


def sign(statement: bytes) -> str:
    """A signature no attacker of these tests can make."""
    return hmac.new(b"key of the tests", statement, hashlib.sha256).hexdigest()


def genuine(statement: bytes, signature: str) -> bool:
    return hmac.compare_digest(sign(statement), signature)


def checkpoints_of(folder: Path) -> Checkpoints:
    return Checkpoints(folder / "checkpoints.jsonl", sign=sign, clock=lambda: NOON, on_broken=unexpected)


def open_log(folder: Path, *, limits: LogLimits = QUIET) -> DisclosureLogSql:
    """A log whose storage never breaks."""
    return DisclosureLogSql(folder, witness=checkpoints_of(folder), on_broken=unexpected, limits=limits)


def unexpected() -> None:
    raise AssertionError("the log called its storage broken")


def row_content(number: int) -> bytes:
    """What row `number` of a made-up log holds."""
    return a_disclosure("read", touch(f"Media/m{number}", of=["anna"]), at=NOON + number).encode()


async def append_rows(
    folder: Path, numbers: Sequence[int], *, attest_at: Sequence[int] = (), limits: LogLimits = QUIET
) -> None:
    """Append a row for each number, one by one, and attest the head after some of them."""
    log = open_log(folder, limits=limits)
    for number in numbers:
        await log.append(row_content(number))
        if number in attest_at:
            checkpoints_of(folder).attest(log.head)
    await log.close()


def write_rows(folder: Path, numbers: Sequence[int], **how: Any) -> None:
    """`append_rows` where no event loop runs."""
    asyncio.run(append_rows(folder, numbers, **how))


def checkpoints_in(folder: Path) -> list[Checkpoint]:
    """Every checkpoint of a folder."""
    return [parse_checkpoint(line)[0] for line in read_checkpoints(folder / "checkpoints.jsonl")]


def verified(folder: Path) -> VerifyReport:
    return verify(read_checkpoints(folder / "checkpoints.jsonl"), slot_logs(folder), genuine=genuine)


def breaches(folder: Path) -> list[tuple[str, int, str]]:
    """Log, sequence and kind of what `verify` found."""
    return [(breach.log_id, breach.sequence, breach.kind) for breach in verified(folder).breaches]


@contextmanager
def as_intruder(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of someone who owns the file: the triggers are out of the way while it is open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.execute(sql)


def head_of(folder: Path, log_id: str = "disclosures-0") -> Head:
    """The last row of a log, read from its files."""
    (log,) = [log for log in slot_logs(folder) if log.log_id == log_id]
    *_, last = log.rows()
    return Head(log_id, last.sequence, last.hash)
