"""What an operator does: dead letters, another filling beside running servers, switching over and back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.app.commands import port_of, require
from tests.following.beside import (
    ACROSS,
    PATIENT_SCOPED,
    asked,
    begin,
    delete_media,
    drained,
    engine_of,
    ids,
    index_state,
    indexed,
    live,
    put_many,
    put_media,
    remarks,
    require_no_difference,
    ring,
    rows,
    run,
)
from tests.servers import Served, serving
from tests.services import asked as asked_of_server
from tests.waiting import until

pytestmark = pytest.mark.services

REFUSED = {
    "resourceType": "DocumentReference",
    "id": "refused",
    "status": "current",
    "subject": {"reference": "Patient/p"},
    "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/other"}}],
    "content": [{"attachment": {"title": "letter"}}],
}
DOCUMENTS = "DocumentReference?status=current"


@pytest.fixture
def served(index_address: str, tmp_path: Path) -> Iterator[Served]:
    with indexed(tmp_path / "data", index_address) as server:
        begin(server)
        drained(server)
        yield server


def bound(address: str, served: Served, most: int | None) -> None:
    """Let the engine refuse documents with more than so many rows inside."""
    server, _, prefix = address.rpartition("/")
    setting = {"index.mapping.nested_objects.limit": most}
    asked_of_server(server, "PUT", f"/{prefix}-{live(served)}-res/_settings", setting)


def hurried(served: Served) -> None:
    """Let what is tried again be tried now."""
    rows(served, "UPDATE index_outbox SET due_at = 0")
    ring(served)


def give_up_one(served: Served, address: str) -> None:
    """Let a document be refused until it is a dead letter."""
    bound(address, served, 0)
    require(served.put(REFUSED))
    until(lambda: hurried(served) or index_state(served)["dead_letters"])


def test_lag_and_dead_letters_are_visible(served: Served, index_address: str) -> None:
    give_up_one(served, index_address)
    assert index_state(served)["status"] == "warn"
    page = served.http.get(served.base.removesuffix("/fhir") + "/metrics").text
    assert "fhirmedia_index_lag_seconds " in page
    assert "fhirmedia_outbox_depth " in page
    until(lambda: "fhirmedia_index_dead_letters 1.0" in served.http.get(served.base[:-5] + "/metrics").text)

    listed = run(served, "index", "dead", address=index_address)
    assert listed.code == 1
    assert listed.out.startswith("DocumentReference/refused  ")
    assert "1 resources were given up" in listed.out
    # About its patient nothing is missing; across patients the answer says that something is.
    answer = asked(served, "DocumentReference?patient=Patient/p")
    assert ids(answer) == {"refused"}
    assert "database answered" in remarks(answer)[0]
    # Whoever finds nothing is not told that there is something.
    nothing = asked(served, "DocumentReference?patient=Patient/p&status=superseded")
    assert (ids(nothing), remarks(nothing)) == (set(), [])
    assert ids(asked(served, DOCUMENTS)) == set()
    assert "could not be taken" in remarks(asked(served, DOCUMENTS))[0]

    bound(index_address, served, 10_000)
    assert run(served, "index", "retry", "--key", "Media/m1", address=index_address).code == 1
    assert run(served, "index", "retry", "--key", "DocumentReference/refused", address=index_address).code == 0
    until(lambda: ids(asked(served, DOCUMENTS)) == {"refused"})
    assert run(served, "index", "dead", address=index_address).code == 0


def test_switch_refuses_dead_letters(served: Served, index_address: str) -> None:
    give_up_one(served, index_address)
    assert run(served, "reindex", "fill", address=index_address).code == 0
    # The other filling took it, so it is tried again, and the one that answers refuses it once more.
    ended = Event()
    hurrying = Thread(target=lambda: [hurried(served) for _ in iter(lambda: ended.wait(0.2), True)])
    hurrying.start()
    refused = run(served, "reindex", "switch", address=index_address)
    ended.set()
    hurrying.join()
    assert refused.code == 1
    assert "1 records could not be indexed" in refused.sentence

    bound(index_address, served, 10_000)
    assert run(served, "index", "retry", "--key", "DocumentReference/refused", address=index_address).code == 0
    until(lambda: ids(asked(served, DOCUMENTS)) == {"refused"})
    assert run(served, "reindex", "switch", address=index_address).code == 0
    require_no_difference(served, index_address)


def filling(served: Served, address: str, *type: str) -> "subprocess.Popen[str]":
    """`fhirmedia reindex fill` as a process of its own."""
    words = ("reindex", "fill", *type, "--data", str(served.folder), "--port", port_of(served))
    return subprocess.Popen(
        [sys.executable, "-m", "fhirmedia.cli.main", *words],
        env={**os.environ, "FHIRMEDIA_INDEX": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_reindex_resumes_and_counts(served: Served, index_address: str) -> None:
    put_many(served, 2000)
    drained(served)
    first, there = live(served), ids(asked(served, PATIENT_SCOPED))
    process = filling(served, index_address)
    until(lambda: rows(served, "SELECT 1 FROM index_generation WHERE state = 'filling' AND position > 0"))
    process.kill()
    process.communicate()
    ((begun, documents),) = rows(served, "SELECT name, documents FROM index_generation WHERE state = 'filling'")
    assert 0 < documents < 2000
    # What is written meanwhile is found in both.
    put_media(served, "between")
    delete_media(served, "many-7")
    process = filling(served, index_address)
    said, complaint = process.communicate(timeout=100)
    assert process.returncode == 0, complaint
    assert "going on where it stopped" in said
    assert rows(served, "SELECT name FROM index_generation WHERE state = 'filled'") == [(begun,)]
    assert engine_of(served, ACROSS)[0] == "elasticsearch"
    require_no_difference(served, index_address)

    assert run(served, "reindex", "switch", address=index_address).code == 0
    assert live(served) == begun
    assert "between" in ids(asked(served, "Media?patient=Patient/p&_count=1000&_sort=-_lastUpdated"))
    put_media(served, "after")
    drained(served)
    status = run(served, "reindex", "status", address=index_address)
    assert status.code == 0
    assert f"kept           {first}" in status.out
    assert run(served, "reindex", "rollback", address=index_address).code == 0
    assert live(served) == first
    require_no_difference(served, index_address)
    assert "after" in ids(asked(served, "Media?status=completed&_count=5&_sort=-_lastUpdated"))
    assert len(there) == 1000
    assert run(served, "reindex", "switch", address=index_address).code == 1


def test_documents_of_one_type_are_written_anew_in_place(served: Served, index_address: str) -> None:
    put_many(served, 1200)
    drained(served)
    server, _, prefix = index_address.rpartition("/")
    first = live(served)
    for lost in ("Media%2Fmany-1", "Media%2Fmany-1100"):
        asked_of_server(server, "DELETE", f"/{prefix}-{first}-res/_doc/{lost}?refresh=true")
    counted = "Media?status=completed&_summary=count"
    assert asked(served, counted).json()["total"] == 1201

    process = filling(served, index_address, "Media")
    until(lambda: rows(served, "SELECT 1 FROM idx_state WHERE name LIKE 'refill/%'"))
    process.kill()
    process.communicate()
    process = filling(served, index_address, "Media")
    said, complaint = process.communicate(timeout=100)
    assert process.returncode == 0, complaint
    assert "where it stopped" in said
    assert "documents of Media were written anew" in said
    assert rows(served, "SELECT 1 FROM idx_state WHERE name LIKE 'refill/%'") == []
    assert live(served) == first
    assert asked(served, counted).json()["total"] == 1203
    require_no_difference(served, index_address)

    refused = run(served, "reindex", "fill", "Encounter", address=index_address)
    assert (refused.code, "name one of these" in refused.sentence) == (1, True)
    assert run(served, "reindex", "verify", "Media", address=index_address).code == 1


def test_switching_over_and_back(index_address: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    with serving(path) as served:
        begin(served)
        assert rows(served, "SELECT * FROM index_outbox") == []
        assert "FHIRMedia-Index-Lag" not in asked(served, ACROSS).headers
    with indexed(path, index_address) as served:
        assert ids(asked(served, ACROSS)) == {"m0", "m1", "m2"}
        put_media(served, "beside")
        drained(served)
        assert ids(asked(served, ACROSS)) == {"m0", "m1", "m2", "beside"}
        require_no_difference(served, index_address)
    with serving(path) as served:
        assert rows(served, "SELECT state FROM index_generation") == [("lost",)]
        put_media(served, "alone")
        delete_media(served, "m1")
        assert rows(served, "SELECT * FROM index_outbox") == []
        assert ids(asked(served, ACROSS)) == {"m0", "m2", "beside", "alone"}
    with indexed(path, index_address) as served:
        assert engine_of(served, ACROSS) == ("elasticsearch", "across patients")
        assert ids(asked(served, ACROSS)) == {"m0", "m2", "beside", "alone"}
        require_no_difference(served, index_address)


WITHOUT = """
import sys
from pathlib import Path
from tests.app.commands import a_media, require
from tests.servers import serving
with serving(Path(sys.argv[1])) as served:
    require(served.put({"resourceType": "Patient", "id": "p"}))
    require(served.put(a_media("m")))
    require(served.http.get(f"{served.base}/Media?patient=Patient/p", headers=served.importer()))
names = ("elasticsearch", "elastic_transport", "fhirmedia.backends.elastic")
print([name for name in sys.modules if name.startswith(names)])
"""


def test_without_the_setting_nothing_of_it_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "data")]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


def test_the_commands_need_the_setting(tmp_path: Path, index_address: str) -> None:
    with serving(tmp_path / "data") as served:
        for words in (("index", "status"), ("reindex", "verify"), ("index-worker",)):
            from tests.app.commands import command

            said = command(*words, "--data", served.folder, "--port", port_of(served))
            assert said.code == 1
            assert "FHIRMEDIA_INDEX is not set" in said.sentence
        assert run(served, "reindex", "rollback", address=index_address).code == 1
        assert run(served, "reindex", "switch", address=index_address).code == 1


def test_a_worker_beside_the_server_is_left_the_work(served: Served, index_address: str) -> None:
    words = ("index-worker", "--data", str(served.folder), "--port", port_of(served))
    process = subprocess.Popen(
        [sys.executable, "-m", "fhirmedia.cli.main", *words],
        env={**os.environ, "FHIRMEDIA_INDEX": index_address},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        until(lambda: process.stderr is not None and "indexing:" in process.stderr.readline())
        for number in range(5):
            put_media(served, f"apart-{number}")
        workers = until(
            lambda: {worker for (worker,) in rows(served, "SELECT DISTINCT worker FROM index_outbox") if worker}
        )
        assert {worker.partition("-")[0] for worker in workers} == {str(process.pid)}
        drained(served)
        assert ids(asked(served, ACROSS)) >= {f"apart-{number}" for number in range(5)}
        process.send_signal(signal.SIGSTOP)
        put_media(served, "paused")
        started = time.monotonic()
        process.kill()
        until(lambda: "paused" in ids(asked(served, ACROSS)), within_s=30)
        assert time.monotonic() - started < 30
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
