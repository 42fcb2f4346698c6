"""A backup made while somebody writes is one moment of the archive, to the byte; one that was changed is refused."""

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirmedia.backends.backing_up import BackupWish, back_up
from fhirmedia.backends.folder import Folder
from fhirmedia.core.clock import system_clock
from fhirmedia.core.errors import Category, Failure
from tests.app.commands import a_media, command, furnish, port_of, require, store, tree
from tests.servers import Served, serving


class Silent:
    """A meter nobody looks at."""

    def advance(self, number: int = 1) -> None:
        """Show nothing."""


def rows(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a database says."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement, values).fetchall()


@contextmanager
def writer(served: Served) -> Iterator[list[str]]:
    """Somebody who uploads, writes, changes, deletes and reads without a pause; yields what was acknowledged."""
    done, acknowledged = threading.Event(), list[str]()

    def work() -> None:
        headers = served.importer()
        with httpx.Client(timeout=30) as http:
            mine = Served(served.base, served.folder, http)
            number = 0
            while not done.is_set():
                number += 1
                store(mine, f"w{number}", b"written %d " % number * 100)
                require(mine.put(a_media(f"w{number}", f"w{number}"), headers))
                acknowledged.append(f"w{number}")
                require(http.get(f"{served.base}/Media/w{number}", headers=headers))
                if number % 3 == 0:
                    require(mine.put(a_media(f"w{number}", f"w{number}", note=[{"text": "again"}]), headers))
                if number % 5 == 0:
                    require(http.delete(f"{served.base}/Media/w{number}", headers=headers))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acknowledged
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A furnished folder nobody has open, and the port it was served on."""
    path = tmp_path_factory.mktemp("source") / "data"
    with serving(path) as served:
        furnish(served)
        return path, port_of(served)


@pytest.fixture
def backup(source: tuple[Path, str], tmp_path: Path) -> Path:
    """A backup of it."""
    assert command("backup", "--data", source[0], "--to", tmp_path / "backup").code == 0
    return tmp_path / "backup"


def test_a_backup_under_load_restores_one_moment(tmp_path: Path, record_property: Any) -> None:
    path, kept, again = tmp_path / "data", tmp_path / "backup", tmp_path / "again"
    with serving(path) as served:
        furnish(served, number=40)
        with writer(served) as acknowledged:

            @contextmanager
            def stage(title: str, total: int) -> Iterator[Any]:
                """Every stage lasts until two more writes were acknowledged."""
                enough = len(acknowledged) + 2
                while len(acknowledged) < enough:
                    time.sleep(0.005)
                yield Silent()

            with stage("a start", 0):
                before = list(acknowledged)
            back_up(Folder(path), kept, BackupWish("test", system_clock(), link=False), stage=stage)
            after = list(acknowledged)
        port = port_of(served)
    record_property("writes acknowledged while the backup was made", len(after) - len(before))
    restored = command("restore", "--from", kept, "--data", again, "--port", port)
    assert restored.code == 0, restored.err + restored.out
    manifest = json.loads((kept / "manifest.json").read_text())
    last = manifest["last_change"]
    assert f"recovery point: {manifest['last_change_at']}" in restored.out
    assert "recovery time: " in restored.out

    ours, theirs = path / "records.db", again / "records.db"
    for table in ("record_version", "binary_referrer"):
        statement = f"SELECT * FROM {table} WHERE sequence <= ? ORDER BY 1, 2"
        assert rows(ours, statement, last) == rows(theirs, f"SELECT * FROM {table} WHERE 1 OR ? ORDER BY 1, 2", last)
    names = {name for (name,) in rows(theirs, "SELECT id FROM record_version WHERE type = 'Media'")}
    assert set(before) <= names
    assert set(after) - names, "nobody wrote while the bytes were copied"

    contents = "SELECT c.*, b.size, b.sha1, b.crcs FROM binary_content c JOIN blob b USING (digest) ORDER BY 1, 2"
    restored_contents = rows(theirs, contents)
    assert set(restored_contents) <= set(rows(ours, contents))
    binaries = rows(theirs, "SELECT id, version FROM record_version WHERE type = 'Binary' AND method <> 'delete'")
    assert {row[:2] for row in restored_contents} == set(binaries)
    bytes_kept = tree(again / "objects")
    assert bytes_kept == {name: content for name, content in tree(path / "objects").items() if name in bytes_kept}
    assert len(bytes_kept) == rows(theirs, "SELECT count(*) FROM blob")[0][0]

    for head in manifest["heads"]:
        one, other = (folder / where(head["log_id"]) for folder in (path, again))
        chained = "SELECT sequence, previous, hash, disclosure FROM audit_row WHERE log_id = ? AND sequence <= ?"
        chain = rows(other, chained, head["log_id"], 2**60)
        assert chain == rows(one, chained, head["log_id"], head["sequence"])
        assert len(chain) == head["sequence"]
    assert command("audit", "verify", "--data", again).code == 0
    assert command("check", "--data", again, "--bytes", "--port", port).code == 0


def where(log_id: str) -> str:
    """The file a log begins in."""
    return "records.db" if log_id == "changes" else f"audit/{log_id}.1.db"


def test_what_was_restored_can_be_served(backup: Path, tmp_path: Path, source: tuple[Path, str]) -> None:
    assert command("restore", "--from", backup, "--data", tmp_path / "again", "--port", source[1]).code == 0
    with serving(tmp_path / "again") as served:
        headers = served.importer()
        media = require(served.http.get(f"{served.base}/Media/m0", headers=headers)).json()
        assert media["meta"]["versionId"] == "2"
        content = require(served.http.get(f"{served.base}/Binary/picture-0", headers=headers)).content
        assert content == b"picture 0 " * 50
        found = require(served.http.get(f"{served.base}/Media?patient=p&_summary=count", headers=headers)).json()
        assert found["total"] == 9
        assert served.http.get(f"{served.base}/Media/m1", headers=headers).status_code == 410
        require(served.put(a_media("new"), headers))
    assert command("audit", "verify", "--data", tmp_path / "again").code == 0


def test_the_manifest_can_be_told_from_any_other(tmp_path: Path, source: tuple[Path, str]) -> None:
    said = command("backup", "--data", source[0], "--to", tmp_path / "kept")
    restored = command("restore", "--from", tmp_path / "kept", "--data", tmp_path / "again", "--port", source[1])
    seal = hashlib.sha256((tmp_path / "kept" / "manifest.json").read_bytes()).hexdigest()
    assert seal in said.out
    assert seal in restored.out


def test_keys_are_in_it_and_all_is_its_owners_alone(backup: Path, tmp_path: Path, source: tuple[Path, str]) -> None:
    assert command("restore", "--from", backup, "--data", tmp_path / "again", "--port", source[1]).code == 0
    assert tree(tmp_path / "again" / "keys") == tree(source[0] / "keys") != {}
    for folder in (backup, tmp_path / "again"):
        assert folder.stat().st_mode & 0o777 == 0o700
        for path in folder.rglob("*"):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def flip(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x20
    path.write_bytes(content)


def an_object(folder: Path) -> Path:
    return next(path for path in sorted((folder / "objects").rglob("*")) if path.is_file())


def edit_manifest(folder: Path, change: Any) -> None:
    stated = json.loads((folder / "manifest.json").read_text())
    change(stated)
    (folder / "manifest.json").write_text(json.dumps(stated))


TAMPERED = {
    "records": lambda folder: flip(folder / "records.db"),
    "a log": lambda folder: flip(folder / "audit/disclosures-0.1.db"),
    "checkpoints": lambda folder: flip(folder / "audit/checkpoints.jsonl"),
    "a key": lambda folder: flip(folder / "keys/audit.pem"),
    "a content": lambda folder: flip(an_object(folder)),
    "a content cut short": lambda folder: an_object(folder).write_bytes(b"picture"),
    "a content gone": lambda folder: an_object(folder).unlink(),
    "a file gone": lambda folder: (folder / "audit/disclosures-0.1.db").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "half a manifest": lambda folder: os.truncate(folder / "manifest.json", 300),
    "a log not listed": lambda folder: edit_manifest(
        folder,
        lambda stated: stated.update(files=[file for file in stated["files"] if "disclosures" not in file["path"]]),
    ),
    "no records listed": lambda folder: edit_manifest(
        folder, lambda stated: stated.update(files=[file for file in stated["files"] if file["path"] != "records.db"])
    ),
    "another head": lambda folder: edit_manifest(folder, lambda stated: stated["heads"][0].update(sequence=1)),
    "a newer version": lambda folder: edit_manifest(folder, lambda stated: stated.update(version=99)),
    "another form": lambda folder: edit_manifest(folder, lambda stated: stated.update(format=2)),
    "a path that leads out": lambda folder: edit_manifest(
        folder, lambda stated: stated["files"][0].update(path="audit/../../outside")
    ),
    "a file listed twice": lambda folder: edit_manifest(
        folder, lambda stated: stated["files"].append(stated["files"][0])
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_backup_that_was_changed_is_refused(
    name: str, backup: Path, tmp_path: Path, source: tuple[Path, str]
) -> None:
    TAMPERED[name](backup)
    said = command("restore", "--from", backup, "--data", tmp_path / "again", "--port", source[1])
    assert said.code == 1
    assert said.sentence.startswith("fhirmedia restore: ")
    assert said.sentence.endswith(".")
    assert "Traceback" not in said.err
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "outside").exists()


def test_more_than_was_backed_up_does_not_come_along(backup: Path, tmp_path: Path, source: tuple[Path, str]) -> None:
    extra = backup / "objects" / "ff" / "ff"
    extra.mkdir(parents=True, exist_ok=True)
    (extra / ("f" * 64)).write_bytes(b"smuggled")
    (backup / "keys" / "more.pem").write_text("smuggled")
    assert command("restore", "--from", backup, "--data", tmp_path / "again", "--port", source[1]).code == 0
    assert not any(content == b"smuggled" for content in tree(tmp_path / "again").values())


def test_neither_writes_into_a_folder_that_holds_something(
    backup: Path, tmp_path: Path, source: tuple[Path, str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    for words in (("backup", "--data", source[0], "--to", full), ("restore", "--from", backup, "--data", full)):
        said = command(*words)
        assert said.code == 1
        assert "is not empty; name an empty or new folder." in said.sentence
        assert tree(full) == {"mine": b"mine"}
    inside = command("backup", "--data", source[0], "--to", source[0] / "backup")
    assert inside.code == 1
    assert "inside" in inside.sentence
    assert not (source[0] / "backup").exists()


def test_a_folder_that_lost_a_content_is_backed_up_all_the_same(source: tuple[Path, str], tmp_path: Path) -> None:
    path, kept, again = tmp_path / "data", tmp_path / "kept", tmp_path / "again"
    shutil.copytree(source[0], path)
    an_object(path).unlink()
    said = command("backup", "--data", path, "--to", kept)
    assert said.code == 1
    assert "1 contents are lost or damaged" in said.out
    restored = command("restore", "--from", kept, "--data", again, "--port", source[1])
    assert restored.code == 1
    assert "is not in the store" in restored.out
    assert rows(again / "records.db", "SELECT count(*) FROM record_version") == rows(
        path / "records.db", "SELECT count(*) FROM record_version"
    )


def test_a_damaged_content_is_not_copied_as_if_it_were_whole(source: tuple[Path, str], tmp_path: Path) -> None:
    path, kept = tmp_path / "data", tmp_path / "kept"
    shutil.copytree(source[0], path)
    flip(an_object(path))
    assert command("backup", "--data", path, "--to", kept).code == 1
    assert len(json.loads((kept / "manifest.json").read_text())["damaged"]) == 1
    assert len(tree(kept / "objects")) == len(tree(path / "objects")) - 1


def test_linked_contents_share_their_bytes(source: tuple[Path, str], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    if source[0].stat().st_dev != tmp_path.stat().st_dev:
        pytest.skip("the folders are on different file systems")
    assert command("backup", "--data", source[0], "--to", kept, "--link").code == 0
    place = an_object(kept).relative_to(kept)
    assert (kept / place).samefile(source[0] / place)
    assert command("restore", "--from", kept, "--data", tmp_path / "again", "--port", source[1]).code == 0
    assert not (tmp_path / "again" / place).samefile(source[0] / place)


@pytest.mark.parametrize(
    ("trouble", "category"),
    [(KeyboardInterrupt(), None), (OSError(28, "full"), Category.DISK_FULL), (OSError(13, "no"), Category.UNAVAILABLE)],
)
def test_an_interrupted_backup_leaves_nothing(
    source: tuple[Path, str], tmp_path: Path, trouble: BaseException, category: Category | None
) -> None:
    @contextmanager
    def stage(title: str, total: int) -> Iterator[Any]:
        if title == "bytes":
            raise trouble
        yield Silent()

    target = tmp_path / "kept"
    target.mkdir()
    with pytest.raises(KeyboardInterrupt if category is None else Failure) as caught:
        back_up(Folder(source[0]), target, BackupWish("test", 0, link=False), stage=stage)
    if isinstance(caught.value, Failure):
        assert caught.value.category is category
    assert list(target.iterdir()) == []
