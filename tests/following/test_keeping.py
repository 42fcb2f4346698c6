"""The keeper: what makes it fill an index anew, and what does not; on a real server."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.following import keeping
from tests.following.beside import (
    ACROSS,
    PATIENT_SCOPED,
    asked,
    begin,
    drained,
    ids,
    index_state,
    indexed,
    live,
    put_media,
    remarks,
    require_no_difference,
    rows,
)
from tests.servers import Served
from tests.services import asked as asked_of_server
from tests.waiting import until

pytestmark = pytest.mark.services
LOOKS = 3


@pytest.fixture
def served(index_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(keeping, "CHECK_S", 0.0)
    monkeypatch.setattr(keeping, "_LOOK_S", 0.05)
    monkeypatch.setattr(keeping, "_REST_S", 0.2)
    with indexed(tmp_path / "data", index_address) as server:
        begin(server)
        drained(server)
        yield server


@contextmanager
def index_turn(served: Served) -> Iterator[None]:
    """The keeper does nothing inside."""
    with ExitStack() as stack:
        until(lambda: stack.enter_context(Folder(served.folder).index_turn()))
        yield


def test_a_change_that_comes_during_a_look_is_no_restored_database(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the index, and found, before the keeper has asked for the newest there."""
    before, looks, is_sound = live(served), 0, ElasticEngine.is_sound

    def change() -> None:
        put_media(served, f"during-{looks}")
        assert f"during-{looks}" in ids(asked(served, PATIENT_SCOPED))

    async def disturbed(engine: ElasticEngine, generation: str) -> bool:
        nonlocal looks
        if looks < LOOKS:
            await asyncio.to_thread(change)
        looks += 1
        return await is_sound(engine, generation)

    monkeypatch.setattr(ElasticEngine, "is_sound", disturbed)
    until(lambda: looks > LOOKS)
    assert rows(served, "SELECT name, state FROM index_generation") == [(before, "live")]


def test_one_who_was_started_earlier_leaves_the_index_to_another_version(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, aside = 0, keeping.Keeper._stands_aside

    def counted(keeper: keeping.Keeper) -> bool:
        nonlocal looks
        looks += 1
        return aside(keeper)

    monkeypatch.setattr(keeping.Keeper, "_stands_aside", counted)
    before = live(served)
    later = time.time_ns() // 1_000_000 + 1000
    rows(served, f"UPDATE index_generation SET fingerprint = 'of another', state_since = {later}")
    until(lambda: looks > LOOKS)
    assert rows(served, "SELECT name, state FROM index_generation") == [(before, "live")]
    assert not index_state(served)["answers"]
    put_media(served, "meanwhile")
    assert "meanwhile" in ids(asked(served, ACROSS))
    # An older one is not waited for.
    rows(served, "UPDATE index_generation SET state_since = 1")
    until(lambda: index_state(served)["answers"])
    drained(served)
    assert live(served) != before
    assert "meanwhile" in ids(asked(served, ACROSS))


def test_an_index_that_has_lost_a_part_for_good_is_filled_anew(
    served: Served, index_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, prefix = index_address.rpartition("/")
    before, looks, is_complete = live(served), list[bool](), ElasticEngine.is_complete

    async def counted(engine: ElasticEngine, generation: str) -> Any:
        looks.append(await is_complete(engine, generation))
        return looks[-1]

    monkeypatch.setattr(ElasticEngine, "is_complete", counted)
    until(lambda: looks[-1:] == [True])
    index = f"{prefix}-{before}-res"
    there = json.loads(asked_of_server(server, "GET", f"/{index}"))[index]
    of_nobody = {"index.routing.allocation.require._name": "nobody", "index.mapping.total_fields.limit": 2000}
    alike = {"mappings": there["mappings"], "aliases": there["aliases"], "settings": of_nobody}
    with index_turn(served):
        asked_of_server(server, "DELETE", f"/{index}")
        asked_of_server(server, "PUT", f"/{index}?wait_for_active_shards=0", alike)
    until(lambda: looks[-LOOKS:] == [False] * LOOKS)
    # It may come back: it is waited for, and the database answers.
    assert live(served) == before
    put_media(served, "without")
    answer = asked(served, PATIENT_SCOPED)
    assert "without" in ids(answer)
    assert "database answered" in remarks(answer)[0]
    monkeypatch.setattr(keeping, "GIVEN_UP_S", 0.1)
    until(lambda: rows(served, f"SELECT 1 FROM index_generation WHERE state = 'live' AND name <> '{before}'"))
    drained(served)
    until(lambda: remarks(asked(served, ACROSS)) == [])
    assert "without" in ids(asked(served, ACROSS))
    require_no_difference(served, index_address)
