"""Words are left to the index beside the database by a command alone, and come back by another."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends import dropping_words, index_record_words
from fhirmedia.backends.dropping_words import drop_words
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.following import routing, worker
from tests.app.commands import Said, a_media, command, furnish, port_of, require, store
from tests.following.beside import (
    ACROSS,
    asked,
    delete_media,
    drained,
    engine_of,
    ids,
    indexed,
    put_many,
    put_media,
    remarks,
    require_no_difference,
    ring,
    rows,
)
from tests.following.worded import ALL, AWAY, CONDITION, HELD, NOTE, ONE, speak
from tests.servers import serving
from tests.services import asked as asked_of_server
from tests.waiting import until


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder that was served, with words."""
    with serving(tmp_path / "data") as served:
        speak(served)
    return Folder(tmp_path / "data")


def words(folder: Folder) -> tuple[int, bool]:
    """How many documents of words there are, and whether some are not kept."""
    with closing(sqlite3.connect(f"file:{folder.records}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM idx_words").fetchone()
        state = connection.execute("SELECT 1 FROM idx_state WHERE name = 'words-dropped'").fetchone()
    return number, state is not None


def require_sound(folder: Folder) -> None:
    said = command("check", "--data", folder.path)
    assert (said.code, said.out.count("\n")) == (0, 1), said.out


def test_few_records_are_read_for_their_words_and_many_are_not(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_words(folder.records, HELD)
    require_sound(folder)
    with serving(folder.path) as served:
        for search in (ONE, "Patient/p/Media?_content=naevus", "Media?_id=said,attached,m1&_content=naevus", ALL):
            assert ids(asked(served, search)) == {"said", "attached"}, search
            assert asked(served, f"{search}&_summary=count").json()["total"] == 2
        assert ids(asked(served, 'Media?patient=Patient/p&_content="left thigh" -naevus')) == {"unsaid"}
        assert ids(asked(served, "Condition?_content=naevus")) == {"c"}
        divided = asked(served, "$media-stats?_type=Media&patient=Patient/p&_content=naevus&facet=year")
        assert {"name": "total", "valueInteger": 2} in require(divided).json()["parameter"]

        monkeypatch.setattr(index_record_words, "READ_AT_MOST", 4)
        for search in (ALL, "Patient?_has:Media:subject:_content=naevus", ONE):
            refused = asked(served, search)
            assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly"), search
            assert "name a patient" in refused.json()["issue"][0]["diagnostics"]
        assert ids(asked(served, f"{ONE}&_id=said,m1")) == {"said"}
        assert ids(asked(served, "Condition?_content=naevus")) == {"c"}
        assert ids(asked(served, ACROSS)) == {"m0", "m1", "m2", "said", "unsaid", "attached"}
        # What a caller may not see does not count among the many.
        put_media(served, "draft", status="preparation", **NOTE)
        own = served.headers("user/Media.rs?status=preparation user/Binary.r")
        assert ids(served.http.get(f"{served.base}/{ONE}", headers=own)) == {"draft"}


def test_what_is_written_later_has_no_words_in_the_database(folder: Folder) -> None:
    before = words(folder)[0]
    drop_words(folder.records, HELD)
    assert words(folder) == (1, True)
    with serving(folder.path) as served:
        put_media(served, "later", **NOTE)
        put_media(served, "said", note=[{"text": "nothing"}])
        require(served.put({**CONDITION, "id": "d"}))
        store(served, "other", b"a naevus, too")
        require(served.put(a_media("read", "other")))
        served.until_read()
        assert ids(asked(served, ONE)) == {"later", "attached", "read"}
        # Conditions of a transaction are judged by the same words.
        for search, status in (("patient=Patient/p&text=naevus", 200), ("patient=Patient/p&text=absent", 201)):
            headers = served.importer() | {"If-None-Exist": search}
            created = served.http.post(f"{served.base}/Media", json=a_media("x"), headers=headers)
            assert created.status_code == status, created.text
    assert words(folder) == (2, True)
    require_sound(folder)
    said = command("reindex", "--data", folder.path)
    assert said.code == 0, said.err
    number, is_dropped = words(folder)
    assert number > before
    assert not is_dropped
    require_sound(folder)


STEPS = 2_000
"""Instructions of SQLite between two points at which it is killed: several lie within each longer statement."""


def dies_at(folder: Folder, point: int) -> bool:
    """Drop words in a process that is killed at that point; whether it was."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left, opened = [point], dropping_words.open_writer

    def counted(*_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

    def traced(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        connection.set_trace_callback(counted)
        connection.set_progress_handler(counted, STEPS)
        return connection

    dropping_words.open_writer = traced
    drop_words(folder.records, HELD)
    os._exit(0)


def test_killed_at_any_point_it_has_happened_or_not_and_a_second_run_ends_it(folder: Folder) -> None:
    kept = words(folder)
    with closing(sqlite3.connect(folder.records)) as connection:
        whole = connection.serialize()
    seen: set[tuple[int, bool]] = set()
    point = 0
    while True:
        folder.records.write_bytes(whole)
        for name in ("records.db-wal", "records.db-shm"):
            (folder.path / name).unlink(missing_ok=True)
        was_killed = dies_at(folder, point)
        seen.add(words(folder))
        assert words(folder) in (kept, (1, True))
        require_sound(folder)
        if not was_killed:
            break
        drop_words(folder.records, HELD)
        assert words(folder) == (1, True)
        point += 1
    assert point > 40
    assert seen == {kept, (1, True)}
    require_sound(folder)


def test_a_second_drop_leaves_what_the_first_one_left(folder: Folder) -> None:
    drop_words(folder.records, HELD)
    drop_words(folder.records, ["Patient"])
    require_sound(folder)
    with serving(folder.path) as served:
        put_media(served, "later", **NOTE)
        assert ids(asked(served, ONE)) == {"said", "attached", "later"}
        assert ids(asked(served, "Condition?_content=naevus")) == {"c"}
    require_sound(folder)


def test_room_is_given_back(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        furnish(served)
        for each in range(20):
            put_media(served, f"long-{each}", note=[{"text": " ".join(f"w{each}x{i}" for i in range(5000))}])
    folder = Folder(tmp_path / "data")
    before = folder.records.stat().st_size
    freed = drop_words(folder.records, HELD)
    assert folder.records.stat().st_size == before - freed
    assert freed > 2_000_000
    assert drop_words(folder.records, HELD) <= 8192


def test_a_server_without_the_index_wants_a_reindex_first(folder: Folder) -> None:
    drop_words(folder.records, HELD)
    said = command("serve", "--data", folder.path, "--port", "0")
    assert said.code == 1
    assert said.sentence == (
        "fhirmedia serve: The words of DiagnosticReport, DocumentReference, ImagingStudy, Media, Patient were left to "
        "the search index (`--drop-fts`), and no FHIRMEDIA_INDEX is set. Set it, or run `fhirmedia reindex --data "
        f"{folder.path}`."
    )


def test_a_backup_is_what_it_was_made_of(folder: Folder, tmp_path: Path) -> None:
    drop_words(folder.records, HELD)
    assert command("backup", "--data", folder.path, "--to", tmp_path / "copy").code == 0
    restored = Folder(tmp_path / "restored")
    said = command("restore", "--from", tmp_path / "copy", "--data", restored.path)
    assert said.code == 0, said.err
    assert words(restored) == (1, True)
    require_sound(restored)
    assert "no FHIRMEDIA_INDEX is set" in command("serve", "--data", restored.path, "--port", "0").sentence
    assert command("reindex", "--data", restored.path).code == 0
    with serving(restored.path) as served:
        assert ids(asked(served, ALL)) == {"said", "attached"}


def test_it_refuses_without_an_index_or_beside_a_server(folder: Folder) -> None:
    drop = ("reindex", "--drop-fts", "--data", folder.path)
    before = words(folder)
    assert "FHIRMEDIA_INDEX is not set" in command(*drop).sentence
    assert "leave out the step" in command(*drop, "fill").sentence
    assert command(*drop, "--parameter", "view").code == 2
    assert "cannot be asked" in command(*drop, FHIRMEDIA_INDEX=AWAY).sentence
    with serving(folder.path) as served:
        said = command(*drop, "--port", port_of(served), FHIRMEDIA_INDEX=AWAY)
        assert said.sentence.endswith("The data folder is in use. Stop the server first.")
    assert words(folder) == before


@pytest.mark.services
def test_words_leave_for_the_index_and_come_back(
    index_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "data")
    with serving(folder.path) as served:
        speak(served)

    def drop() -> Said:
        port = port_of(served)
        return command("reindex", "--drop-fts", "--data", folder.path, "--port", port, FHIRMEDIA_INDEX=index_address)

    before = words(folder)
    said = drop()
    assert said.code == 1
    assert "No complete search index answers yet" in said.sentence
    with indexed(folder.path, index_address) as served:
        drained(served)
    assert words(folder) == before
    said = drop()
    assert (said.code, words(folder)) == (0, (1, True)), said.err
    assert "search index alone" in said.out
    require_sound(folder)

    with indexed(folder.path, index_address) as served:
        assert engine_of(served, ALL) == ("elasticsearch", "across patients")
        assert ids(asked(served, ALL)) == {"said", "attached"}
        put_media(served, "later", **NOTE)
        drained(served)
        assert ids(asked(served, ALL)) == {"said", "attached", "later"}
        # A chain from a type the index does not hold: its inner half is asked of the index.
        require(served.put({**CONDITION, "id": "e", "evidence": [{"detail": [{"reference": "Media/said"}]}]}))
        monkeypatch.setattr(index_record_words, "READ_AT_MOST", 1)
        half = "Condition?evidence-detail:Media.text=naevus"
        answer = asked(served, half)
        assert (ids(answer), remarks(answer)) == ({"e"}, [])
        # Where that half is behind, so is the whole; and it waits for what must not be missed.
        monkeypatch.setattr(worker.outbox_work, "claim", lambda *_given, **_named: [])
        monkeypatch.setattr(routing, "_NOTED_LAG_MS", 300)
        put_media(served, "late", **NOTE)
        until(lambda: any("behind" in each for each in remarks(asked(served, half))))
        assert float(asked(served, half).headers["FHIRMedia-Index-Lag"]) > 0.3
        assert asked(served, half, Prefer="x-consistency=strong").status_code == 503
        delete_media(served, "late")
        # Two types, one of which the index does not hold, are answered by no engine: that does not pass.
        assert asked(served, "?_type=Media,Condition&_content=naevus").status_code == 400
        monkeypatch.undo()
        ring(served)
        drained(served)
        require_no_difference(served, index_address)

    served_away(folder, index_address, monkeypatch)

    assert command("reindex", "--data", folder.path).code == 0
    with serving(folder.path) as served:
        assert ids(asked(served, ALL)) == {"said", "attached", "later"}


def served_away(folder: Folder, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the index is away, one patient's words are found and those across patients are not, for now."""
    _, _, prefix = address.rpartition("/")
    with indexed(folder.path, f"elasticsearch://127.0.0.1:9/{prefix}", answers=False) as served:
        answer = asked(served, ONE)
        assert ids(answer) == {"said", "attached", "later"}
        assert "database answered" in remarks(answer)[0]
        assert ids(asked(served, ACROSS)) >= {"m0", "said"}
        monkeypatch.setattr(index_record_words, "READ_AT_MOST", 1)
        for search in (ALL, f"{ALL}&_summary=count", "$media-stats?_type=Media&_content=naevus&facet=kind"):
            refused = asked(served, search)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5"), search
            assert "found by the search index alone" in refused.json()["issue"][0]["diagnostics"]
        assert ids(asked(served, "Condition?_content=naevus")) == {"c", "e"}
        put_media(served, "meanwhile", **NOTE)
        monkeypatch.undo()
    with indexed(folder.path, address) as served:
        until(lambda: "meanwhile" in ids(asked(served, ALL)))
        require(served.http.delete(f"{served.base}/Media/meanwhile", headers=served.importer()))
        drained(served)


@pytest.mark.services
def test_an_index_that_lacks_something_is_not_relied_on(index_address: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    with indexed(folder.path, index_address) as served:
        speak(served)
        put_many(served, 20)
        drained(served)
        port = port_of(served)
        ((name,),) = rows(served, "SELECT name FROM index_generation WHERE state = 'live'")
    server, _, prefix = index_address.rpartition("/")
    asked_of_server(server, "DELETE", f"/{prefix}-{name}-res/_doc/Media%2Fmany-1?refresh=true")
    before = words(folder)
    said = command("reindex", "--drop-fts", "--data", folder.path, "--port", port, FHIRMEDIA_INDEX=index_address)
    assert said.code == 1
    assert said.sentence.endswith("The search index is not complete, so the words stay in the database.")
    assert words(folder) == before
