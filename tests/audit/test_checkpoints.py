"""The file of checkpoints: one chain for all processes, whole lines only, bytes that cannot be read two ways."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.app.house import DISK_BROKEN_EXIT
from fhirmedia.backends.folder import make_folder
from fhirmedia.core.audit_chain import Head
from fhirmedia.custody.checkpoints import (
    FIRST,
    Checkpoint,
    Checkpoints,
    line_sha256,
    parse_checkpoint,
    read_checkpoints,
)
from tests.audit.logs import NOON, checkpoints_of, genuine, sign, unexpected

heads = st.builds(
    Head, st.sampled_from(["changes", "disclosures-0"]), st.integers(1, 2**60), st.binary(min_size=32, max_size=32)
)


def lines_of(folder: Path) -> list[bytes]:
    return read_checkpoints(folder / "checkpoints.jsonl")


@given(head=heads, time=st.integers(0, 2**50))
def test_line_says_what_was_attested(head: Head, time: int) -> None:
    checkpoint = Checkpoint(head, time, FIRST)
    line = checkpoint.line(sign(checkpoint.statement()))
    parsed, signature = parse_checkpoint(line)
    assert parsed == checkpoint
    assert genuine(parsed.statement(), signature)
    assert json.loads(line) == json.loads(checkpoint.statement()) | {"signature": signature}


@pytest.mark.parametrize("change", [b" ", b"\t", b',"x":1', b',"sequence":5'])
def test_line_can_be_written_one_way_only(change: bytes) -> None:
    checkpoint = Checkpoint(Head("changes", 4, b"h" * 32), NOON, FIRST)
    line = checkpoint.line("abc")
    with pytest.raises(ValueError):
        parse_checkpoint(line[:-1] + change + line[-1:])


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b"\xff", b'{"signature":1}', b'{"log_id":"a","head":"zz"}']
)
def test_other_lines_are_no_checkpoints(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse_checkpoint(line)


def test_lines_follow_each_other(tmp_path: Path) -> None:
    for sequence in (1, 2, 3):
        checkpoints_of(tmp_path).attest(Head("changes", sequence, b"h" * 32))
    lines = lines_of(tmp_path)
    assert [parse_checkpoint(line)[0].previous for line in lines] == [FIRST, *map(line_sha256, lines[:-1])]


def test_what_a_crash_left_of_a_line_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    checkpoints_of(tmp_path).attest(Head("changes", 1, b"h" * 32))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert lines_of(tmp_path) == [whole[:-1]]
    checkpoints_of(tmp_path).attest(Head("changes", 2, b"h" * 32))
    first, second = lines_of(tmp_path)
    assert first + b"\n" == whole
    assert parse_checkpoint(second)[0].previous == line_sha256(first)


@pytest.mark.parametrize("lost", [slice(0, 40), slice(40, 90), slice(0, -1)])
def test_a_line_that_lost_what_stands_before_its_end_is_no_line(tmp_path: Path, lost: slice) -> None:
    """A disk without power keeps any of the sectors that were not synced; where others were, zeros are read."""
    path = tmp_path / "checkpoints.jsonl"
    for sequence in (1, 2):
        checkpoints_of(tmp_path).attest(Head("changes", sequence, b"h" * 32))
    first, second = path.read_bytes().splitlines(keepends=True)
    torn = bytearray(second)
    torn[lost] = bytes(len(torn[lost]))
    path.write_bytes(first + torn)
    assert lines_of(tmp_path) == [first[:-1]]
    checkpoints_of(tmp_path).attest(Head("changes", 3, b"h" * 32))
    kept, third = lines_of(tmp_path)
    assert path.read_bytes() == kept + b"\n" + third + b"\n"
    assert kept + b"\n" == first
    assert parse_checkpoint(third)[0].previous == line_sha256(kept)


def test_zeros_in_an_earlier_line_are_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    for sequence in (1, 2):
        checkpoints_of(tmp_path).attest(Head("changes", sequence, b"h" * 32))
    first, second = path.read_bytes().splitlines()
    path.write_bytes(bytes(40) + first[40:] + b"\n" + second + b"\n")
    assert lines_of(tmp_path) == [bytes(40) + first[40:], second]


def test_first_line_may_be_torn_as_well(tmp_path: Path) -> None:
    (tmp_path / "checkpoints.jsonl").write_bytes(b'{"log_id"')
    assert lines_of(tmp_path) == []
    checkpoints_of(tmp_path).attest(Head("changes", 1, b"h" * 32))
    (line,) = lines_of(tmp_path)
    assert parse_checkpoint(line)[0].previous == FIRST


def test_no_file_is_no_lines(tmp_path: Path) -> None:
    assert lines_of(tmp_path) == []


def test_many_at_once_make_one_chain(tmp_path: Path) -> None:
    def attest(log_id: str) -> None:
        for sequence in range(1, 16):
            checkpoints_of(tmp_path).attest(Head(log_id, sequence, b"h" * 32))

    threads = [threading.Thread(target=attest, args=(f"disclosures-{slot}",)) for slot in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = lines_of(tmp_path)
    assert len(lines) == 60
    assert [parse_checkpoint(line)[0].previous for line in lines] == [FIRST, *map(line_sha256, lines[:-1])]


def test_statement_is_durable_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = tmp_path / "checkpoints.jsonl"
    checkpoints_of(tmp_path).attest(Head("changes", 1, b"h" * 32))
    assert set(synced) == {str(path), str(tmp_path)}
    synced.clear()
    checkpoints_of(tmp_path).attest(Head("changes", 2, b"h" * 32))
    assert synced == [str(path)]


def test_signing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def refuse(statement: bytes) -> str:
        raise OSError("no key")

    with pytest.raises(OSError, match="no key"):
        Checkpoints(tmp_path / "checkpoints.jsonl", sign=refuse, clock=lambda: NOON, on_broken=unexpected).attest(
            Head("changes", 1, b"h" * 32)
        )
    assert lines_of(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EINVAL])
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_failed_sync_ends_the_process_unless_for_want_of_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, which: str
) -> None:
    sync, ended = os.fsync, []

    def fail(descriptor: int) -> None:
        if (which == "folder") is stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "it failed")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    checkpoints = Checkpoints(
        tmp_path / "checkpoints.jsonl", sign=sign, clock=lambda: NOON, on_broken=lambda: ended.append(which)
    )
    with pytest.raises(OSError, match="it failed"):
        checkpoints.attest(Head("changes", 1, b"h" * 32))
    assert ended == ([which] if number in (errno.EIO, errno.EINVAL) else [])


def test_the_witness_of_a_server_ends_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", timezone="Europe/Stockholm")
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom fhirmedia.app.house import witness_of\n"
        "from fhirmedia.backends.folder import Folder\nfrom fhirmedia.core.audit_chain import Head\n"
        "witness = witness_of(Folder(Path(sys.argv[1])), lambda: 0)\n"
        "def fail(_descriptor): raise OSError(5, 'it failed')\n"
        "os.fsync = fail\nwitness.attest(Head('changes', 1, b'h' * 32))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, folder.path], check=False, capture_output=True)
    assert ended.returncode == DISK_BROKEN_EXIT
