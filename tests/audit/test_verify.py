"""`audit verify` names the first row that is not what it was, and what was done to it."""

import asyncio
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.audit_chain import GENESIS, chain_hash
from tests.audit.logs import SALT, a_disclosure, as_intruder, breaches, open_log, row_content, verified, write_rows

LOG = "disclosures-0"
ROWS = 34
MARKS = (8, 16, 24)
"""Rows that a checkpoint vouches for; those after the last are the documented window."""

Expected = tuple[int, str]
Tampering = tuple[str, Callable[[sqlite3.Connection], None], Expected]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write_rows(folder, range(1, ROWS + 1), attest_at=MARKS)
    drop_last_line(folder / "checkpoints.jsonl")  # the one that closing the log made
    return folder


@pytest.fixture(scope="module")
def copies(sound: Path) -> Iterator[Callable[[], Path]]:
    """Copies of the sound folder."""
    with tempfile.TemporaryDirectory() as parent:
        made = 0

        def copy() -> Path:
            nonlocal made
            made += 1
            return Path(shutil.copytree(sound, Path(parent) / str(made)))

        yield copy


def drop_last_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def next_mark(sequence: int) -> int:
    return next(mark for mark in MARKS if mark >= sequence)


def content(connection: sqlite3.Connection, sequence: int) -> tuple[bytes, bytes, bytes]:
    row: tuple[bytes, bytes, bytes] = connection.execute(
        "SELECT previous, hash, disclosure FROM audit_row WHERE sequence = ?", (sequence,)
    ).fetchone()
    return row


def set_content(connection: sqlite3.Connection, sequence: int, row: tuple[bytes, bytes, bytes]) -> None:
    connection.execute(
        "UPDATE audit_row SET previous = ?, hash = ?, disclosure = ? WHERE sequence = ?", (*row, sequence)
    )


def rewrite_from(connection: sqlite3.Connection, first: int, last: int, edit: Callable[[bytes], bytes]) -> None:
    """Replace row `first` and make everything up to `last` follow it."""
    previous = content(connection, first - 1)[1] if first > 1 else GENESIS
    for sequence in range(first, last + 1):
        disclosure = content(connection, sequence)[2]
        disclosure = edit(disclosure) if sequence == first else disclosure
        chained = chain_hash(LOG, sequence, previous, disclosure)
        set_content(connection, sequence, (previous, chained, disclosure))
        previous = chained


def renumber(connection: sqlite3.Connection, above: int, by: int) -> None:
    order = "DESC" if by > 0 else "ASC"
    numbers = connection.execute(
        f"SELECT sequence FROM audit_row WHERE sequence > ? ORDER BY sequence {order}", (above,)
    )
    for (number,) in numbers.fetchall():
        connection.execute("UPDATE audit_row SET sequence = ? WHERE sequence = ?", (number + by, number))


def flipped(disclosure: bytes) -> bytes:
    return disclosure.replace(b"kim", b"eve")


@st.composite
def tamperings(draw: st.DrawFn) -> Tampering:
    """Something done to the file, with what verify must say of it."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    first = draw(st.integers(1, ROWS - 2))
    last = draw(st.integers(first, ROWS - 1))
    act, expected = KINDS[kind](first, last)
    return f"{kind} {first} {last}", act, expected


def edited(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        previous, chained, disclosure = content(connection, first)
        set_content(connection, first, (previous, chained, flipped(disclosure)))

    return act, (first, "edited")


def hash_edited(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        previous, chained, disclosure = content(connection, first)
        set_content(connection, first, (previous, chained[::-1], disclosure))

    return act, (first, "edited")


def link_edited(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        _, chained, disclosure = content(connection, first)
        set_content(connection, first, (b"\x01" * 32, chained, disclosure))

    return act, (first, "edited")


def edited_with_hash(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    return lambda connection: rewrite_from(connection, first, first, flipped), (first, "edited")


def rewritten_to_the_end(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    expected = (next_mark(first), "forked") if first <= MARKS[-1] else (0, "unnoticed")
    return lambda connection: rewrite_from(connection, first, ROWS, flipped), expected


def relink(connection: sqlite3.Connection, first: int, last: int, *, shift: int = 0) -> None:
    """Make rows `first` to `last` follow nothing we know, or, shifted, make them skip numbers and follow well."""
    previous = content(connection, first - 1)[1] if first > 1 else GENESIS
    previous = previous if shift else b"\x07" * 32
    held = [content(connection, sequence)[2] for sequence in range(first, last + 1)]
    if shift:
        renumber(connection, first - 1, shift)
    for sequence, disclosure in enumerate(held, start=first + shift):
        chained = chain_hash(LOG, sequence, previous, disclosure)
        set_content(connection, sequence, (previous, chained, disclosure))
        previous = chained


def relinked(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    return lambda connection: relink(connection, first, first), (first, "edited")


def gap_bridged(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    return lambda connection: relink(connection, first, ROWS, shift=3), (first, "removed")


def removed(first: int, last: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit_row WHERE sequence BETWEEN ? AND ?", (first, last))

    return act, (first, "removed")


def removed_and_closed_up(first: int, last: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit_row WHERE sequence BETWEEN ? AND ?", (first, last))
        renumber(connection, last, first - last - 1)

    return act, (first, "removed")


def swapped(first: int, last: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        one, other = content(connection, first), content(connection, last + 1)
        set_content(connection, first, other)
        set_content(connection, last + 1, one)

    return act, (first, "reordered")


def disclosures_swapped(first: int, last: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        one, other = content(connection, first), content(connection, last + 1)
        set_content(connection, first, (*one[:2], other[2]))
        set_content(connection, last + 1, (*other[:2], one[2]))

    return act, (first, "reordered")


def inserted(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        previous = content(connection, first)[0]
        renumber(connection, first - 1, 1)
        forged = row_content(999)
        values = (LOG, first, previous, chain_hash(LOG, first, previous, forged), forged)
        connection.execute("INSERT INTO audit_row VALUES (?, ?, ?, ?, ?)", values)

    return act, (first, "forked" if first in MARKS else "inserted")


def truncated(first: int, _: int) -> tuple[Callable[[sqlite3.Connection], None], Expected]:
    def act(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit_row WHERE sequence > ?", (first,))

    return act, (first + 1, "truncated") if first < MARKS[-1] else (0, "unnoticed")


KINDS = {
    function.__name__: function
    for function in (
        edited,
        hash_edited,
        link_edited,
        edited_with_hash,
        rewritten_to_the_end,
        relinked,
        gap_bridged,
        removed,
        removed_and_closed_up,
        swapped,
        disclosures_swapped,
        inserted,
        truncated,
    )
}


def test_untouched_logs_are_sound(sound: Path) -> None:
    report = verified(sound)
    assert report.exit_code == 0
    assert report.as_json() == {
        "sound": True,
        "checkpoints": len(MARKS),
        "logs": [{"log_id": LOG, "rows": ROWS, "attested": MARKS[-1]}],
        "breaches": [],
    }


@given(tampering=tamperings())
def test_each_tampering_is_named_exactly(copies: Callable[[], Path], tampering: Tampering) -> None:
    _, act, (sequence, kind) = tampering
    folder = copies()
    with as_intruder(folder / f"{LOG}.1.db") as connection:
        act(connection)
    # Past the last checkpoint a consistent end cannot be told from the true one: the documented window.
    assert breaches(folder) == ([] if kind == "unnoticed" else [(LOG, sequence, kind)])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_tried_at_the_edges(copies: Callable[[], Path], kind: str) -> None:
    for first in (1, MARKS[0], MARKS[0] + 1, ROWS - 2):
        act, (sequence, named) = KINDS[kind](first, first)
        folder = copies()
        with as_intruder(folder / f"{LOG}.1.db") as connection:
            act(connection)
        assert breaches(folder) == ([] if named == "unnoticed" else [(LOG, sequence, named)])


@pytest.mark.parametrize("first", [1, MARKS[0] + 1, MARKS[-1] + 1])
def test_end_that_follows_nothing_begins_after_what_is_vouched_for(copies: Callable[[], Path], first: int) -> None:
    folder = copies()
    with as_intruder(folder / f"{LOG}.1.db") as connection:
        relink(connection, first, ROWS)
    assert breaches(folder) == [(LOG, first, "edited")]


def test_history_that_continues_an_old_copy_is_a_fork(copies: Callable[[], Path]) -> None:
    folder = copies()
    with as_intruder(folder / f"{LOG}.1.db") as connection:
        connection.execute("DELETE FROM audit_row WHERE sequence > 12")
    write_rows(folder, range(100, 130))
    drop_last_line(folder / "checkpoints.jsonl")
    assert breaches(folder) == [(LOG, 16, "forked")]


def test_history_attested_on_both_branches_is_a_fork(copies: Callable[[], Path]) -> None:
    folder = copies()
    with as_intruder(folder / f"{LOG}.1.db") as connection:
        connection.execute("DELETE FROM audit_row WHERE sequence > 12")
    write_rows(folder, range(100, 104))  # to row 16 again
    assert (LOG, 16, "forked") in breaches(folder)


def test_log_that_is_gone_is_truncated_from_its_start(copies: Callable[[], Path]) -> None:
    folder = copies()
    (folder / f"{LOG}.1.db").unlink()
    assert breaches(folder) == [(LOG, 1, "truncated")]


def test_raw_query_may_go_but_not_change(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        for number in range(4):
            raw = SALT + b"GET /fhir/Media?identifier=%d" % number
            told = a_disclosure("search-type", query_sha256=hashlib.sha256(raw).hexdigest())
            await log.append(told.encode(), raw)
        await log.close()

    asyncio.run(run())
    assert breaches(tmp_path) == []
    with as_intruder(tmp_path / f"{LOG}.1.db") as connection:
        connection.execute("UPDATE raw_query SET salted = CAST(salted || '!' AS BLOB) WHERE sequence = 3")
    assert breaches(tmp_path) == [(LOG, 3, "edited")]
    with sqlite3.connect(tmp_path / f"{LOG}.1.db") as owner:
        owner.execute("PRAGMA secure_delete=ON")
        owner.execute("DELETE FROM raw_query")
    owner.close()
    assert breaches(tmp_path) == []
    assert b"identifier=2" not in (tmp_path / f"{LOG}.1.db").read_bytes()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"time":17', b'"time":18'), lines[2]], (2, "edited")),
        (lambda lines: [lines[0], lines[1].replace(b'"signature":"', b'"signature":"0'), lines[2]], (2, "edited")),
        (lambda lines: [lines[0], b"{}", lines[2]], (2, "edited")),
        (lambda lines: [lines[0], b" " + lines[1], lines[2]], (2, "edited")),
        (lambda lines: [lines[0], lines[2]], (2, "removed")),
        (lambda lines: [lines[1], lines[2]], (1, "removed")),
        (lambda lines: [lines[0], lines[2], lines[1]], (2, "reordered")),
        (lambda lines: [lines[0], *lines], (2, "reordered")),
    ],
)
def test_checkpoints_are_watched_too(
    copies: Callable[[], Path], act: Callable[[list[bytes]], list[bytes]], expected: Expected
) -> None:
    folder = copies()
    path = folder / "checkpoints.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in act(path.read_bytes().splitlines())))
    assert breaches(folder) == [("checkpoints", *expected)]
