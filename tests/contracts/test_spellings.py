"""How codes were written is noted once, at a cost that does not grow with what is stored."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends import index_terms
from fhirmedia.backends.index_rebuild import rebuild
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.r4.values import IndexEntries, TokenValue


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "records.db")) as opened:
        make_schema(opened)
        yield opened


def media(number: int, *, status: TokenValue) -> IndexEntries:
    return IndexEntries(Key("Media", f"m{number}"), {"status": (status,)}, ())


def put(writer: IndexWriter, connection: sqlite3.Connection, entries: IndexEntries, *, sequence: int) -> None:
    writer.put(connection, Record(entries.key, 1, sequence, sequence, "update", b"{}", Facts()), entries)


def written(writer: IndexWriter, connection: sqlite3.Connection, *entries: IndexEntries, sequence: int = 1) -> None:
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    for number, each in enumerate(entries, sequence):
        put(writer, connection, each, sequence=number)
    connection.execute("COMMIT")


def spellings(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT code, spelled FROM idx_spelling ORDER BY code").fetchall()


def test_a_writer_reads_no_spellings(connection: sqlite3.Connection) -> None:
    codes = (media(number, status=TokenValue("s", f"a{number}", spelled=f"A{number}")) for number in range(200))
    written(IndexWriter(), connection, *codes)
    statements: list[str] = []
    writer, again = IndexWriter(), media(200, status=TokenValue("s", "a7", spelled="A7"))
    connection.set_trace_callback(statements.append)
    for sequence in (201, 202, 203):
        written(writer, connection, again, sequence=sequence)
    connection.set_trace_callback(None)
    about = [statement for statement in statements if "idx_spelling" in statement]
    assert len(about) == 1
    assert about[0].startswith("INSERT OR IGNORE")
    assert len(spellings(connection)) == 200


def test_new_spellings_make_no_writer_read_its_terms_again(connection: sqlite3.Connection) -> None:
    writer, statements = IndexWriter(), list[str]()
    for sequence in (1, 2):
        written(writer, connection, media(1, status=TokenValue("s", "a", spelled="A")), sequence=sequence)
    connection.set_trace_callback(statements.append)
    for sequence in (3, 4):
        code = f"b{sequence}"
        written(writer, connection, media(1, status=TokenValue("s", code, spelled=code.upper())), sequence=sequence)
    connection.set_trace_callback(None)
    assert not [each for each in statements if "idx_term" in each or "idx_rank" in each]
    assert spellings(connection) == [("a", "A"), ("b3", "B3"), ("b4", "B4")]


@pytest.mark.parametrize("most", [1, 10])
def test_a_spelling_that_was_undone_is_noted_when_it_comes_again(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(index_terms, "_SPELLINGS_REMEMBERED", most)
    writer = IndexWriter()
    written(writer, connection, media(1, status=TokenValue("s", "a", spelled="A")))
    undone, other = TokenValue("s", "b", spelled="B"), TokenValue("s", "a", spelled="other")
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    connection.execute("SAVEPOINT work")
    put(writer, connection, media(2, status=undone), sequence=2)
    put(writer, connection, media(3, status=undone), sequence=3)
    connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")
    put(writer, connection, media(3, status=other), sequence=2)
    connection.execute("COMMIT")
    assert spellings(connection) == [("a", "A")]
    for sequence in range(3, 6):
        written(writer, connection, media(4, status=undone), media(5, status=other), sequence=2 * sequence)
        assert spellings(connection) == [("a", "A"), ("b", "B")]


def test_a_rebuild_leaves_no_spelling_that_nobody_uses(connection: sqlite3.Connection) -> None:
    written(IndexWriter(), connection, media(1, status=TokenValue("s", "a", spelled="A")))
    kept = media(2, status=TokenValue("s", "b", spelled="B"))
    rebuild(connection, iter([(Record(kept.key, 1, 2, 2, "update", b"{}", Facts()), kept)]))
    assert spellings(connection) == [("b", "B")]
