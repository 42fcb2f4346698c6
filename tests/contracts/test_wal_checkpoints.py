"""The write-ahead log is copied back in pieces and begins anew, also under writers that never rest."""

import sqlite3
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from fhirmedia.backends.sqlite import open_writer
from fhirmedia.backends.wal_checkpoints import WalCheckpoints
from tests.waiting import until

PIECE, LONG = 64, 256
PAGE_BYTES = 4_096


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "records.db"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, body BLOB)")
    made.close()
    return path


def log_pages(path: Path) -> int:
    """How long the log has been at most: its file is written over from the start, never cut."""
    return path.with_name(path.name + "-wal").stat().st_size // PAGE_BYTES


def write_on(path: Path, checkpoints: WalCheckpoints, turn: threading.Lock, commits: int) -> None:
    writer = open_writer(path)
    for _ in range(commits):
        with turn:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO kept (body) VALUES (zeroblob(20000))")
            writer.execute("COMMIT")
            checkpoints.committed(writer)
    writer.close()


@pytest.mark.parametrize("writers", [1, 2])
def test_a_log_stays_short_under_writers_that_never_rest(database: Path, writers: int) -> None:
    turn = threading.Lock()
    with ExitStack() as ending:
        threads = []
        for _ in range(writers):
            checkpoints = WalCheckpoints(database, on_broken=pytest.fail, piece_pages=PIECE, long_pages=LONG)
            ending.callback(checkpoints.close)
            threads.append(threading.Thread(target=write_on, args=(database, checkpoints, turn, 400 // writers)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log_pages(database) < 3 * LONG
    with sqlite3.connect(database) as reading:
        assert reading.execute("SELECT count(*) FROM kept").fetchone() == (400,)
    reading.close()


class Watched(WalCheckpoints):
    """Notes after how many commits it was looked at; the first `busy` times another process is copying."""

    looks: list[int]
    busy = 0

    def _copy(self, connection: sqlite3.Connection) -> int:
        self.looks.append(self._commits)
        if len(self.looks) <= self.busy:
            return 0
        return super()._copy(connection)


def watched(database: Path, *, busy: int = 0, idle_s: float = 60) -> Watched:
    kind = type("Busy", (Watched,), {"busy": busy, "looks": []})
    made: Watched = kind(database, on_broken=pytest.fail, piece_pages=PIECE, long_pages=LONG, idle_s=idle_s)
    return made


def test_pieces_stay_pieces_where_the_log_begins_anew_at_each(database: Path) -> None:
    """Then it is about as long each time, and what seems to have been added to it says nothing."""
    checkpoints, writer, chance = watched(database), open_writer(database), Random(1)
    for _ in range(300):
        looks = len(checkpoints.looks)
        writer.execute("INSERT INTO kept (body) VALUES (zeroblob(?))", (4_080 * chance.choice([10, 11, 12]),))
        checkpoints.committed(writer)
        if checkpoints._commits >= checkpoints._due_at or len(checkpoints.looks) > looks:
            until(lambda before=looks: len(checkpoints.looks) > before and not checkpoints._due.is_set())
            time.sleep(0.001)
    writer.close()
    checkpoints.close()
    assert max(later - sooner for sooner, later in pairwise(checkpoints.looks)) <= 4 * PIECE // 10


def test_what_another_process_was_copying_is_copied_later(database: Path) -> None:
    checkpoints = watched(database, busy=1, idle_s=0.05)
    write_on(database, checkpoints, threading.Lock(), 1)
    until(lambda: database.stat().st_size > 20_000)
    checkpoints.close()


def test_the_rest_is_copied_once_writers_rest(database: Path) -> None:
    checkpoints = WalCheckpoints(database, on_broken=pytest.fail, piece_pages=PIECE, long_pages=LONG, idle_s=0.05)
    write_on(database, checkpoints, threading.Lock(), 3)
    until(lambda: database.stat().st_size > 3 * 20_000)
    checkpoints.close()


def test_a_log_that_is_read_is_not_cut(database: Path) -> None:
    reading = sqlite3.connect(database, isolation_level=None)
    reading.execute("BEGIN")
    assert reading.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    checkpoints = WalCheckpoints(database, on_broken=pytest.fail, piece_pages=PIECE, long_pages=LONG)
    write_on(database, checkpoints, threading.Lock(), 200)
    assert reading.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    reading.close()
    checkpoints.close()
