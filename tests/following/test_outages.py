"""Whatever becomes of the engine: writes are taken, reads and searches answered, and in the end nothing is missing.

One node of this module's own goes through all of it, since each start of one takes a while.
"""

import os
import shutil
from collections.abc import Iterator

import httpx
import pytest

from fhirmedia.backends.following import keeping
from scripts.real_servers.elastic import Node
from scripts.real_servers.places import grounds
from tests.app.commands import require
from tests.following.beside import (
    ACROSS,
    PATIENT_SCOPED,
    asked,
    begin,
    delete_media,
    drained,
    ids,
    index_state,
    indexed,
    live,
    live_or_none,
    put_media,
    remarks,
    require_no_difference,
)
from tests.servers import Served
from tests.waiting import until

pytestmark = pytest.mark.services
START_S = 400.0
"""A node is there in a quarter of a minute on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def node(elasticsearch_address: str) -> Iterator[Node]:
    """A node of our own; that the shared one can be had says that this one can."""
    folder = grounds() / f"outages-{os.getpid()}"
    started = Node(folder, heap_mb=256).start(within_s=START_S)
    yield started
    started.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def address(node: Node) -> str:
    return f"elasticsearch://127.0.0.1:{node.port}/outage"


@pytest.fixture(scope="module")
def served(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "CHECK_S", 0.5)
        with indexed(tmp_path_factory.mktemp("outages") / "data", address) as server:
            begin(server)
            drained(server)
            yield server


def by_database(answer: httpx.Response) -> bool:
    """Whether the answer says that the database gave it."""
    return any("database answered" in each for each in remarks(answer))


def live_on(served: Served, name: str, *, answers: bool) -> set[str]:
    """Write, change, delete, read and search while something is wrong; what is there afterwards.

    `answers`: the engine may go on answering what it can.
    """
    put_media(served, f"{name}-kept")
    put_media(served, f"{name}-gone")
    put_media(served, "m0", note=[{"text": name}])
    delete_media(served, f"{name}-gone")
    require(served.http.get(f"{served.base}/Media/{name}-kept", headers=served.importer()))
    for search in (PATIENT_SCOPED, ACROSS):
        answer = asked(served, search)
        assert answer.elapsed.total_seconds() < 30
        if search == PATIENT_SCOPED or not answers:
            assert by_database(answer), (name, search, remarks(answer))
            assert f"{name}-kept" in ids(answer)
            assert f"{name}-gone" not in ids(answer)
    return ids(asked(served, PATIENT_SCOPED))


def comes_back(served: Served, address: str, there: set[str]) -> None:
    """Nobody does anything, and after a while everything is found by the engine."""
    until(lambda: index_state(served)["answers"], within_s=120)
    drained(served)
    answer = until(lambda: None if by_database(found := asked(served, ACROSS)) else found)
    assert ids(answer) == there == ids(asked(served, PATIENT_SCOPED))
    require_no_difference(served, address)


def test_write_and_read_survive_index_outage(served: Served, node: Node, address: str) -> None:
    node.stop()
    there = live_on(served, "stopped", answers=False)
    # Nobody waits for what is known to be away.
    assert min(asked(served, ACROSS).elapsed.total_seconds() for _ in range(5)) < 1
    state = index_state(served)
    assert (state["status"], state["answers"]) == ("warn", False)
    assert state["outbox_depth"] >= 3
    node.start(within_s=START_S)
    comes_back(served, address, there)


def test_paused(served: Served, node: Node, address: str) -> None:
    node.pause()
    there = live_on(served, "paused", answers=False)
    assert min(asked(served, ACROSS).elapsed.total_seconds() for _ in range(5)) < 1
    node.resume()
    comes_back(served, address, there)


def test_made_read_only_by_the_flood_stage(served: Served, node: Node, address: str) -> None:
    block = {"index.blocks.read_only_allow_delete": True}
    node.ask("PUT", "/outage-*/_settings", block)
    there = live_on(served, "flood", answers=True)
    node.ask("PUT", "/outage-*/_settings", {"index.blocks.read_only_allow_delete": None})
    comes_back(served, address, there)


def test_its_mapping_changed_by_hand(served: Served, node: Node, address: str) -> None:
    before = live(served)
    assert node.ask("PUT", f"/outage-{before}-res/_mapping", {"dynamic": "true"})[0] == 200
    until(lambda: live_or_none(served) not in (None, before))
    comes_back(served, address, live_on_well(served, "mapping"))


def test_its_indices_removed(served: Served, node: Node, address: str) -> None:
    before = live(served)
    for family in ("res", "pat"):
        node.ask("DELETE", f"/outage-{before}-{family}")
    there = {*ids(asked(served, PATIENT_SCOPED)), "removed"}
    put_media(served, "removed")
    assert ids(asked(served, PATIENT_SCOPED)) == there
    until(lambda: live_or_none(served) not in (None, before))
    comes_back(served, address, there)


def live_on_well(served: Served, name: str) -> set[str]:
    put_media(served, name)
    return ids(asked(served, PATIENT_SCOPED))


def test_failure_is_not_cached(served: Served, node: Node) -> None:
    assert not by_database(asked(served, ACROSS))
    node.pause()
    assert by_database(asked(served, ACROSS))
    node.resume()
    until(lambda: not by_database(asked(served, ACROSS)))
    assert index_state(served)["status"] == "pass"


def test_killed_and_its_data_wiped(served: Served, node: Node, address: str) -> None:
    node.kill()
    there = live_on(served, "killed", answers=False)
    node.wipe()
    node.start(within_s=START_S)
    comes_back(served, address, there)
