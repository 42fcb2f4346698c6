"""Workers that are killed, that repeat, that come late: in the end the index has what the records say."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.backends.elastic import open_engine
from fhirmedia.backends.folder import Folder
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries
from tests.app.commands import port_of
from tests.following.beside import (
    ACROSS,
    PATIENT_SCOPED,
    asked,
    begin,
    delete_media,
    drained,
    ids,
    indexed,
    live,
    put_media,
    require_no_difference,
    ring,
)
from tests.servers import Served
from tests.waiting import until

pytestmark = pytest.mark.services
ZONE = ZoneInfo("Europe/Stockholm")
AT_ONCE = 500
"""So many Media are alive while workers are killed, however long it takes: one page shows them all."""


@pytest.fixture
def served(index_address: str, tmp_path: Path) -> Iterator[Served]:
    with indexed(tmp_path / "data", index_address) as server:
        begin(server)
        drained(server)
        yield server


def a_worker(served: Served, address: str) -> "subprocess.Popen[bytes]":
    words = ("index-worker", "--data", str(served.folder), "--port", port_of(served))
    return subprocess.Popen(
        [sys.executable, "-m", "fhirmedia.cli.main", *words],
        env={**os.environ, "FHIRMEDIA_INDEX": address},
        stderr=subprocess.PIPE,
    )


def test_workers_killed_at_random_points_lose_nothing_and_raise_nothing(
    served: Served, index_address: str, full_counts: bool
) -> None:
    chance, ended = random.Random(), Event()
    there: set[str] = {"m0", "m1", "m2"}

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            put_media(served, f"w{number}")
            there.add(f"w{number}")
            known = chance.choice(sorted(there))
            if len(there) > AT_ONCE or chance.random() < 0.3:
                delete_media(served, known)
                there.discard(known)
            else:
                put_media(served, known, note=[{"text": f"again {number}"}])

    # The server leaves the work to others all the while, as if a worker were there.
    with Folder(served.folder).index_worker():
        writing = Thread(target=write)
        writing.start()
        try:
            for _ in range(100 if full_counts else 4):
                worker = a_worker(served, index_address)
                assert worker.stderr is not None
                with worker.stderr:
                    until(lambda said=worker.stderr: b"indexing:" in said.readline())
                    ended.wait(chance.uniform(0.0, 1.0))
                    worker.kill()
                    worker.wait()
        finally:
            ended.set()
            writing.join()
    ring(served)
    drained(served)
    assert ids(asked(served, PATIENT_SCOPED)) == there
    until(lambda: ids(asked(served, ACROSS)) == there)
    require_no_difference(served, index_address)


async def test_replay_and_reorder(served: Served, index_address: str) -> None:
    engine = open_engine(parse_index_address(index_address), registry=load_registry(), zone=ZONE, budget_s=10)
    documents = engine.documents(live(served))
    key = Key("Media", "replayed")

    def change(order: int, *, patient: str = "p", gone: bool = False) -> DocumentChange:
        method = "delete" if gone else "update"
        record = Record(key, order, order, order, method, None if gone else b"{}", Facts(patients=(patient,)))
        return DocumentChange(record, order, None if gone else IndexEntries(key, {}, (patient,)))

    async def found() -> dict[Key, int]:
        await documents.refresh()
        return dict(await engine.orders(live(served), [key]))

    try:
        for order in (1005, 1002, 1005, 1003):
            assert await documents.write([change(order)], visible=False) == {}
        assert await found() == {key: 1005}
        for late in (change(1009, gone=True), change(1007), change(1009, gone=True), change(1008, gone=True)):
            assert await documents.write([late], visible=False) == {}
        assert await found() == {}
        assert await documents.write([change(1010)], visible=False) == {}
        assert await found() == {key: 1010}
        assert await documents.write([change(1011, gone=True)], visible=True) == {}
    finally:
        await engine.close()


def test_several_workers_at_once_are_harmless(served: Served, index_address: str) -> None:
    workers = [a_worker(served, index_address) for _ in range(2)]
    try:
        for worker in workers:
            until(lambda said=worker.stderr: said is not None and b"indexing:" in said.readline())
        for number in range(30):
            put_media(served, f"m{number % 7}", note=[{"text": str(number)}])
            if number % 5 == 0:
                delete_media(served, f"m{number % 7}")
        drained(served)
        expected = ids(asked(served, PATIENT_SCOPED))
        until(lambda: ids(asked(served, ACROSS)) == expected)
        require_no_difference(served, index_address)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
            assert worker.stderr is not None
            worker.stderr.close()
