"""One process of a folder attests the log of changes and fills the audit's index; another takes over when it ends."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.audit_upkeep import AuditUpkeep, changes_head
from fhirmedia.backends.chained_table import CHANGES, TABLES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.disclosures_sql import LogLimits
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.custody.audit_verify import verify
from fhirmedia.custody.checkpoints import read_checkpoints
from tests.audit.logs import a_disclosure, checkpoints_in, checkpoints_of, genuine
from tests.waiting import until


@pytest.fixture
def records(tmp_path: Path) -> sqlite3.Connection:
    connection = open_writer(tmp_path / "records.db")
    for statement in TABLES:
        connection.execute(statement)
    return connection


class Start(Protocol):
    """Starts the upkeep of the folder, as one process of it."""

    def __call__(self, *, attest_rows: int = ..., attest_s: float = ...) -> AuditUpkeep: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    indexes = []

    def upkeep(*, attest_rows: int = 10**9, attest_s: float = 1_000) -> AuditUpkeep:
        changes = SqliteChainedLog(CHANGES, [(1, tmp_path / "records.db")])
        index = AuditIndexSql(
            tmp_path / "index.db",
            logs=lambda: [changes, *slot_logs(tmp_path)],
            base_url="https://x.example/fhir",
            seconds=5,
        )
        indexes.append(index)
        return AuditUpkeep(
            tmp_path / "upkeep.lock",
            head=lambda: changes_head(tmp_path / "records.db"),
            witness=checkpoints_of(tmp_path),
            index=index,
            limits=LogLimits(attest_rows=attest_rows, attest_s=attest_s),
        )

    yield upkeep
    for index in indexes:
        asyncio.run(index.close())


def append(records: sqlite3.Connection, rows: int) -> None:
    for _ in range(rows):
        ChangeChain().append(records, a_disclosure("create").encode(), None)


def attested(folder: Path) -> list[int]:
    return [checkpoint.head.sequence for checkpoint in checkpoints_in(folder) if checkpoint.head.log_id == CHANGES]


def test_changes_are_attested_in_time_and_at_the_end(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    upkeep = start(attest_s=0.02)
    append(records, 3)
    until(lambda: attested(tmp_path)[-1:] == [3])
    append(records, 2)
    upkeep.close()
    assert attested(tmp_path)[-1] == 5
    assert len(attested(tmp_path)) == len(set(attested(tmp_path)))
    with pytest.raises(sqlite3.IntegrityError):
        records.execute("DELETE FROM audit_row")
    records.execute("DROP TRIGGER audit_row_keeps_delete")
    records.execute("DELETE FROM audit_row WHERE sequence > 3")
    log = SqliteChainedLog(CHANGES, [(1, tmp_path / "records.db")])
    report = verify(read_checkpoints(tmp_path / "checkpoints.jsonl"), [log], genuine=genuine)
    assert [(breach.log_id, breach.sequence, breach.kind) for breach in report.breaches] == [(CHANGES, 4, "truncated")]


def test_many_changes_are_attested_before_the_time(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    append(records, 1)
    upkeep = start(attest_rows=5)
    until(lambda: attested(tmp_path) == [1])
    append(records, 4)
    time.sleep(1.2)
    assert attested(tmp_path) == [1]
    append(records, 1)
    until(lambda: attested(tmp_path) == [1, 6])
    upkeep.close()


def test_index_follows_without_being_asked(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    upkeep = start(attest_s=0.02)
    append(records, 40)

    def indexed() -> int:
        with sqlite3.connect(tmp_path / "index.db") as reader:
            (count,) = reader.execute("SELECT count(*) FROM event").fetchone()
        reader.close()
        return int(count)

    until(lambda: indexed() == 40)
    upkeep.close()


def test_one_works_and_the_next_takes_over(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    append(records, 1)
    one = start(attest_s=0.02)
    until(lambda: attested(tmp_path) == [1])
    other = start(attest_s=0.02)
    append(records, 1)
    until(lambda: attested(tmp_path) == [1, 2])
    one.close()
    append(records, 1)
    until(lambda: attested(tmp_path)[-1] == 3)
    other.close()


def test_one_that_waits_can_be_closed(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    one = start()
    other = start()
    append(records, 1)
    other.close()
    assert attested(tmp_path) == []
    one.close()
    assert attested(tmp_path) == [1]


def test_trouble_does_not_end_it(records: sqlite3.Connection, start: Start, tmp_path: Path) -> None:
    (tmp_path / "checkpoints.jsonl").mkdir()
    append(records, 1)
    upkeep = start(attest_s=0.02)
    time.sleep(0.1)
    (tmp_path / "checkpoints.jsonl").rmdir()
    until(lambda: attested(tmp_path) == [1])
    upkeep.close()
