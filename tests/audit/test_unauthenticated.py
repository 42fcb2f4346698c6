"""Refusals of nobody in particular stay counted until they are written."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.web import unauthenticated
from fhirmedia.web.unauthenticated import UnauthenticatedCount

REFUSAL = Failure(Category.UNAUTHENTICATED, "No token.")


class Notes:
    """Keeps what is noted; fails at first, as a full disk does, after one row."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        self.calls = 0

    async def note_unauthenticated(self, *, address: str, number: int, **_: Any) -> None:
        self.calls += 1
        if self.calls == 2:
            raise Failure(Category.DISK_FULL, "The disk is full.")
        self.kept[address] += number


def request_from(address: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "client": (address, 1)})


def test_what_could_not_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: Any = Notes()
    counted = UnauthenticatedCount(notes)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"):
        counted.count(request_from(address), REFUSAL)
    monkeypatch.setattr(unauthenticated, "EVERY_S", 0.001)

    async def some_time() -> None:
        task = asyncio.create_task(counted.run())
        while notes.calls < 4 and not task.done():
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()

    asyncio.run(some_time())
    assert notes.kept == {"192.0.2.1": 1, "192.0.2.2": 2, "192.0.2.3": 1}
