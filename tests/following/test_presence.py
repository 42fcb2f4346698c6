"""Whether an engine is there: found out by a watch, doubted after failures, and left alone for a while by searches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from fhirmedia.backends.following import presence as presence_module
from fhirmedia.backends.following.presence import Presence
from fhirmedia.backends.following.waking import Bell
from fhirmedia.core.errors import Category, Failure

AWAY = Failure(Category.UNAVAILABLE, "It does not answer.")


class Engine:
    """Answers, or does not, or hangs."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Failure | None = None
        self.hangs = False

    async def ping(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOOK_S", 0.04), ("_FIRST_S", 0.01), ("_MOST_S", 0.02), ("_HOLD_S", 0.05)):
        monkeypatch.setattr(presence_module, name, seconds)


@asynccontextmanager
async def watched(presence: Presence) -> AsyncIterator[None]:
    task = asyncio.create_task(presence.watch())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until_away(presence: Presence) -> None:
    async with asyncio.timeout(5):
        while presence.is_there:
            await asyncio.sleep(0.005)


async def test_it_is_away_until_it_has_answered() -> None:
    engine = Engine()
    presence = Presence(engine.ping)
    assert not presence.is_there
    await presence.look()
    assert presence.is_there
    assert presence.returns == 1


async def test_the_watch_sees_it_go_and_come(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    presence = Presence(engine.ping)
    async with watched(presence):
        await presence.back()
        engine.failure = AWAY
        await until_away(presence)
        assert presence.why == "It does not answer."
        engine.failure = None
        async with asyncio.timeout(5):
            await presence.back()
        engine.hangs = True
        await until_away(presence)
    assert presence.returns == 2
    assert [record.message for record in caplog.records if "does not answer." in record.message] == [
        "the search index cannot be asked: It does not answer."
    ]


async def test_a_search_that_failed_takes_it_out_of_use_for_longer_and_longer() -> None:
    engine = Engine()
    presence = Presence(engine.ping)
    async with watched(presence):
        await presence.back()
        waits = []
        for _ in range(3):
            started = asyncio.get_running_loop().time()
            presence.lost(AWAY)
            assert not presence.is_there
            async with asyncio.timeout(5):
                await presence.back()
            waits.append(asyncio.get_running_loop().time() - started)
        assert waits[0] >= 0.1
        assert waits[1] >= 0.2
        assert waits[2] >= 0.4
        presence.served()
        presence.lost(AWAY)
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(5):
            await presence.back()
        assert asyncio.get_running_loop().time() - started < waits[2]


async def test_a_doubt_makes_it_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "LOOK_S", 60.0)
    engine = Engine()
    presence = Presence(engine.ping)
    async with watched(presence):
        await presence.back()
        engine.failure = AWAY
        presence.doubt()
        await until_away(presence)


async def test_a_ring_wakes_and_none_is_lost_for_good(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bell")
    bell.ring()  # nobody listens: nothing happens
    woken = asyncio.Event()
    for _ in range(2):
        with bell.listening(woken):
            bell.ring()
            async with asyncio.timeout(5):
                await woken.wait()
            woken.clear()
            for _ in range(20_000):
                bell.ring()
            async with asyncio.timeout(5):
                await woken.wait()
            await asyncio.sleep(0.01)
            woken.clear()
    bell.ring()
