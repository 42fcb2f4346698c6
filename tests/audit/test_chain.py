"""What a row's hash is made of, and the chain of changes inside the records' own transactions."""

import hashlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.backends.chained_table import TABLES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.audit_chain import GENESIS, Head, chain_hash
from fhirmedia.custody.audit_verify import verify
from tests.audit.logs import SALT, genuine

inputs = st.tuples(
    st.text("a1-\x00", max_size=4), st.integers(0, 300), st.binary(min_size=32, max_size=32), st.binary(max_size=4)
)


def test_hash_is_the_one_that_is_documented() -> None:
    framed = b"fhirmedia-audit-1" + b"\x00\x07changes" + b"\x00\x00\x00\x00\x00\x00\x00\x05" + b"p" * 32
    expected = hashlib.sha256(framed + hashlib.sha256(b"row").digest()).digest()
    assert chain_hash("changes", 5, b"p" * 32, b"row") == expected


@given(inputs, inputs)
def test_different_rows_have_different_hashes(
    one: tuple[str, int, bytes, bytes], other: tuple[str, int, bytes, bytes]
) -> None:
    assert (chain_hash(*one) == chain_hash(*other)) == (one == other)


@pytest.fixture
def records(tmp_path: Path) -> sqlite3.Connection:
    connection = open_writer(tmp_path / "records.db")
    for statement in TABLES:
        connection.execute(statement)
    return connection


def test_changes_are_chained_in_the_transaction_they_tell_of(records: sqlite3.Connection, tmp_path: Path) -> None:
    changes = ChangeChain()
    assert changes.head(records) == Head("changes", 0, GENESIS)
    records.execute("BEGIN IMMEDIATE")
    assert changes.append(records, b"one", None) == 1
    assert changes.append(records, b"two", SALT + b"q") == 2
    records.execute("COMMIT")
    records.execute("BEGIN IMMEDIATE")
    assert changes.append(records, b"undone", None) == 3
    records.execute("ROLLBACK")
    assert changes.head(records).sequence == 2
    records.execute("BEGIN IMMEDIATE")
    assert changes.append(records, b"three", None) == 3
    records.execute("COMMIT")
    log = SqliteChainedLog("changes", [(1, tmp_path / "records.db")])
    assert [row.disclosure for row in log.rows()] == [b"one", b"two", b"three"]
    assert [row.raw_query for row in log.pick([2, 3, 9])] == [SALT + b"q", None]
    records.execute("DELETE FROM raw_query")
    assert verify([], [log], genuine=genuine).exit_code == 0
    records.close()
