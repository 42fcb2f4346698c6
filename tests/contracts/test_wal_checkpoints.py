"""The write-ahead log is copied back in pieces and begins anew, also under writers that never rest."""

import sqlite3
import threading
from contextlib import ExitStack
from pathlib import Path

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
