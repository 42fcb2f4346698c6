"""The log of a slot: durable before it answers, shared commits, one chain across restarts, honest about failures."""

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends.audit_files import segments, slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.disclosures_sql import DisclosureLogSql, LogLimits
from fhirmedia.core.audit_chain import GENESIS, Head, chain_hash
from fhirmedia.core.errors import Category, Failure
from tests.audit.logs import (
    QUIET,
    SALT,
    append_rows,
    breaches,
    checkpoints_in,
    checkpoints_of,
    head_of,
    open_log,
    row_content,
    verified,
    write_rows,
)
from tests.audit.wal_faults import WalFaults

LOG = "disclosures-0"


@pytest.fixture
def faults() -> Iterator[WalFaults]:
    with WalFaults() as installed:
        yield installed


def rows_of(folder: Path, log_id: str = LOG) -> list[bytes]:
    (log,) = [log for log in slot_logs(folder) if log.log_id == log_id]
    return [row.disclosure for row in log.rows()]


async def test_an_answered_row_can_be_read_by_others(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(b"one")
    await log.append(b"two", SALT + b"query")
    (seen,) = slot_logs(tmp_path)
    first, second = seen.rows()
    assert (first.sequence, first.previous, first.disclosure, first.raw_query) == (1, GENESIS, b"one", None)
    assert (second.sequence, second.previous, second.raw_query) == (2, first.hash, SALT + b"query")
    assert second.hash == chain_hash(LOG, 2, first.hash, b"two")
    assert log.head == Head(LOG, 2, second.hash)
    await log.close()


async def test_waiting_rows_share_syncs_and_a_lone_row_has_its_own(tmp_path: Path, faults: WalFaults) -> None:
    log = open_log(tmp_path)
    await log.append(b"first")
    before = faults.syncs
    await asyncio.gather(*(log.append(b"row %d" % number) for number in range(640)))
    shared = faults.syncs - before
    before = faults.syncs
    for number in range(5):
        await log.append(b"alone %d" % number)
    assert faults.syncs - before == 5
    await log.close()
    assert 10 <= shared <= 40
    assert len(rows_of(tmp_path)) == 646
    assert breaches(tmp_path) == []


async def test_nobody_is_answered_before_the_sync(tmp_path: Path, faults: WalFaults) -> None:
    log = open_log(tmp_path)
    for number in range(20):
        before = faults.syncs
        await log.append(b"row %d" % number, SALT if number % 2 else None)
        assert faults.syncs > before
    await log.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE])
async def test_full_disk_is_told_and_passes(tmp_path: Path, faults: WalFaults, code: int) -> None:
    log = open_log(tmp_path)
    await log.append(b"before")
    head = log.head
    faults.refusal = code
    for raw_query in (None, SALT + b"q"):
        with pytest.raises(Failure) as refused:
            await log.append(b"lost", raw_query)
        assert refused.value.category is Category.DISK_FULL
    assert log.head == head
    assert rows_of(tmp_path) == [b"before"]  # reading goes on
    faults.refusal = 0
    await log.append(b"after")
    await log.close()
    assert rows_of(tmp_path) == [b"before", b"after"]
    assert breaches(tmp_path) == []


async def test_full_disk_when_a_new_file_is_due_costs_nothing(tmp_path: Path, faults: WalFaults) -> None:
    log = open_log(tmp_path, limits=LogLimits(attest_rows=10**9, attest_s=1_000, segment_rows=5))
    faults.refusal_of_new = sqlite3.SQLITE_FULL
    for number in range(1, 9):
        await log.append(row_content(number))
    assert [first for first, _ in segments(tmp_path, LOG)] == [1]
    faults.refusal_of_new = 0
    await log.append(row_content(9))
    await log.append(row_content(10))
    await log.close()
    assert [first for first, _ in segments(tmp_path, LOG)] == [1, 10]
    assert rows_of(tmp_path) == [row_content(number) for number in range(1, 11)]
    assert breaches(tmp_path) == []


async def test_group_that_cannot_be_stored_leaves_nothing_behind(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    with pytest.raises(Failure) as refused:
        await log.append(b"one", "text")  # type: ignore[arg-type]  # what the column refuses
    assert refused.value.category is Category.UNAVAILABLE
    await log.append(b"two")
    await log.append(b"three", SALT)
    assert rows_of(tmp_path) == [b"two", b"three"]
    await log.close()


async def test_failed_sync_breaks_the_log_for_good(tmp_path: Path, faults: WalFaults) -> None:
    called: list[str] = []
    log = DisclosureLogSql(
        tmp_path, witness=checkpoints_of(tmp_path), on_broken=lambda: called.append("broken"), limits=QUIET
    )
    await log.append(b"before")
    faults.broken = True
    with pytest.raises(Failure) as refused:
        await log.append(b"unsure")
    assert refused.value.category is Category.UNAVAILABLE
    assert called == ["broken"]
    faults.broken = False
    with pytest.raises(Failure) as refused:
        await log.append(b"after")
    assert refused.value.category is Category.UNAVAILABLE
    await log.close()
    assert rows_of(tmp_path)[0] == b"before"


async def test_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(b"one")
    await log.close()
    with pytest.raises(Failure) as refused:
        await log.append(b"two")
    assert refused.value.category is Category.UNAVAILABLE


async def test_impatient_waiter_does_not_disturb_the_others(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    impatient = [asyncio.create_task(log.append(b"gone %d" % number)) for number in range(20)]
    patient = [asyncio.create_task(log.append(b"here %d" % number)) for number in range(20)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*patient)
    await log.close()
    kept = rows_of(tmp_path)
    assert {b"here %d" % number for number in range(20)} <= set(kept)
    assert breaches(tmp_path) == []


def test_restarted_worker_continues_the_chain(tmp_path: Path) -> None:
    for start in (1, 4, 7):
        write_rows(tmp_path, range(start, start + 3))
    assert rows_of(tmp_path) == [row_content(number) for number in range(1, 10)]
    assert verified(tmp_path).as_json()["logs"] == [{"log_id": LOG, "rows": 9, "attested": 9}]


async def test_workers_side_by_side_have_slots_of_their_own(tmp_path: Path) -> None:
    one, other = open_log(tmp_path), open_log(tmp_path)
    assert [one.head.log_id, other.head.log_id] == ["disclosures-0", "disclosures-1"]
    await asyncio.gather(one.append(b"a"), other.append(b"b"))
    await one.close()
    third = open_log(tmp_path)
    assert third.head == head_of(tmp_path, "disclosures-0")  # the lowest free slot, and its chain
    await third.append(b"c")
    await other.close()
    await third.close()
    assert rows_of(tmp_path, "disclosures-0") == [b"a", b"c"]
    assert rows_of(tmp_path, "disclosures-1") == [b"b"]
    assert breaches(tmp_path) == []


def test_processes_side_by_side_have_slots_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.audit.appender", str(tmp_path), "once"]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    said = [worker.stdout.readline() for worker in workers if worker.stdout]  # both hold a slot and have written
    for worker in workers:
        worker.communicate(b"end\n", timeout=30)
    assert all(line.startswith(b"ack ") for line in said)
    assert [log.log_id for log in slot_logs(tmp_path)] == ["disclosures-0", "disclosures-1"]
    assert breaches(tmp_path) == []


async def test_files_are_closed_at_their_limit_and_the_chain_goes_on(tmp_path: Path) -> None:
    limits = LogLimits(attest_rows=10**9, attest_s=1_000, segment_rows=10)
    log = open_log(tmp_path, limits=limits)
    for number in range(1, 26):
        await log.append(row_content(number))
    await log.close()
    assert [first for first, _ in segments(tmp_path, LOG)] == [1, 11, 21]
    heads = [line.head.sequence for line in checkpoints_in(tmp_path)]
    assert {10, 20, 25} <= set(heads)  # each finished file has a signed head
    (seen,) = slot_logs(tmp_path)
    assert [row.sequence for row in seen.rows(after=9)] == list(range(10, 26))
    assert [row.sequence for row in seen.rows(after=20)] == list(range(21, 26))
    assert sorted(row.sequence for row in seen.pick([1, 10, 11, 25, 26])) == [1, 10, 11, 25]
    assert breaches(tmp_path) == []
    await append_rows(tmp_path, range(26, 28), limits=limits)
    assert rows_of(tmp_path) == [row_content(number) for number in range(1, 28)]
    (tmp_path / f"{LOG}.11.db").unlink()
    assert breaches(tmp_path) == [(LOG, 11, "removed")]


async def test_a_file_that_was_just_begun_is_continued(tmp_path: Path) -> None:
    limits = LogLimits(attest_rows=10**9, attest_s=1_000, segment_rows=5)
    log = open_log(tmp_path, limits=limits)
    for number in range(1, 6):
        await log.append(row_content(number))
    await log.close()
    assert [first for first, _ in segments(tmp_path, LOG)] == [1, 6]
    await append_rows(tmp_path, range(6, 8), limits=limits)
    assert breaches(tmp_path) == []
    assert len(rows_of(tmp_path)) == 7


def test_log_whose_earlier_file_lost_rows_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, range(1, 6), limits=LogLimits(segment_rows=5))
    with closing(sqlite3.connect(tmp_path / f"{LOG}.1.db")) as connection:
        connection.execute("DROP TRIGGER audit_row_keeps_delete")
        connection.execute("DELETE FROM audit_row WHERE sequence = 5")
        connection.commit()
    with pytest.raises(Failure) as refused:
        open_log(tmp_path)
    assert refused.value.category is Category.CORRUPT


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_row SET disclosure = x'00' WHERE sequence = 1",
        "DELETE FROM audit_row WHERE sequence = 1",
        "UPDATE raw_query SET salted = x'00'",
    ],
)
def test_rows_cannot_be_changed_by_accident(tmp_path: Path, statement: str) -> None:
    asyncio.run(one_row_with_query(tmp_path))
    with (
        closing(sqlite3.connect(tmp_path / f"{LOG}.1.db")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)


async def one_row_with_query(folder: Path) -> None:
    log = open_log(folder)
    await log.append(b'{"query_sha256":"%s"}' % hashlib.sha256(SALT + b"q").hexdigest().encode(), SALT + b"q")
    await log.close()


async def test_heads_are_attested_by_rows_and_by_time(tmp_path: Path) -> None:
    log = open_log(tmp_path, limits=LogLimits(attest_rows=50, attest_s=0.05))
    await asyncio.gather(*(log.append(b"row %d" % number) for number in range(200)))
    await log.append(b"last")
    for _ in range(200):
        if log.attested == 201:
            break
        await asyncio.sleep(0.01)
    assert log.attested == 201
    await log.close()
    sequences = [line.head.sequence for line in checkpoints_in(tmp_path)]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == 201
    assert breaches(tmp_path) == []


async def test_failing_witness_neither_stops_nor_loses_anything(tmp_path: Path) -> None:
    checkpoints = checkpoints_of(tmp_path)

    class Moody:
        fails = True

        def attest(self, head: Head) -> None:
            if self.fails:
                raise OSError("no room")
            checkpoints.attest(head)

    witness = Moody()
    limits = LogLimits(attest_rows=10, attest_s=0.02)
    log = DisclosureLogSql(tmp_path, witness=witness, on_broken=lambda: None, limits=limits)
    for number in range(30):
        await log.append(b"row %d" % number)
    assert log.attested == 0
    witness.fails = False
    await log.append(b"more")
    await log.close()
    assert log.attested == 31
    assert breaches(tmp_path) == []


async def test_running_log_is_verified_without_false_alarm(tmp_path: Path) -> None:
    log = open_log(tmp_path, limits=LogLimits(attest_rows=5, attest_s=0.01, segment_rows=50))
    ended = asyncio.Event()

    async def work(worker: int) -> None:
        number = 0
        while not ended.is_set():
            await log.append(b"%d %d" % (worker, number))
            number += 1

    await log.append(b"first")
    workers = [asyncio.create_task(work(worker)) for worker in range(4)]
    index = AuditIndexSql(tmp_path / "index.db", logs=lambda: slot_logs(tmp_path), base_url="https://x/fhir", seconds=5)
    found, heads = [], []
    while len(segments(tmp_path, LOG)) < 12:
        found += await asyncio.to_thread(breaches, tmp_path)
        heads.append(await asyncio.to_thread(head_of, tmp_path))
        await asyncio.to_thread(index.drain, seconds=0.01)
    ended.set()
    await asyncio.gather(*workers)
    await log.close()
    await index.close()
    assert found == []
    sequences = [head.sequence for head in heads]
    assert sequences == sorted(sequences)
    assert len(checkpoints_in(tmp_path)) > 10


async def test_write_ahead_log_does_not_grow_under_load(tmp_path: Path) -> None:
    limits = LogLimits(attest_rows=50, attest_s=1_000, wal_pages=200)
    log = open_log(tmp_path, limits=limits)

    async def load() -> None:
        for number in range(300):
            await log.append(b"x" * 300 + b"%d" % number)

    await asyncio.gather(*(load() for _ in range(8)))
    size = os.path.getsize(f"{log.path}-wal")
    await log.close()
    assert size < 4 * 200 * 4_096


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(b"one")
    await log.close()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
