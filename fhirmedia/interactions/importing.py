"""Bringing in many resources: the update and upload interactions, many at a time, in an order that keeps references."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Failure, Issue
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.session import RequestNote
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.content import upload
from fhirmedia.interactions.update import update
from fhirmedia.r4.json_in import parse_json

AT_ONCE = 32
"""How many writes are under way together, so that they share commits."""


@dataclass(frozen=True, slots=True)
class ImportFile:
    """The bytes of a Binary: its id, media type, and how to read them."""

    binary_id: str
    content_type: str
    chunks: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One resource as JSON with its type and id, and the files that have to be there before it."""

    key: Key
    content: bytes
    files: tuple[ImportFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: no issues if it was stored."""

    key: Key
    issues: tuple[Issue, ...] = ()


async def import_items(
    archive: Archive, caller: Caller, items: Iterable[ImportItem], *, done: Callable[[Outcome], None]
) -> None:
    """Write every item under its own id; `done` is told of each.

    Items run together only while they are of one type: what comes before is stored before what refers to it.
    """
    running: set[asyncio.Task[Outcome]] = set()
    kind = ""
    for item in items:
        if item.key.type != kind or len(running) >= AT_ONCE:
            wanted = asyncio.ALL_COMPLETED if item.key.type != kind else asyncio.FIRST_COMPLETED
            running = await _settle(running, done, until=wanted)
        kind = item.key.type
        running.add(asyncio.create_task(_import_one(archive, caller, item)))
    await _settle(running, done, until=asyncio.ALL_COMPLETED)


async def _settle(
    running: set[asyncio.Task[Outcome]], done: Callable[[Outcome], None], *, until: str
) -> set[asyncio.Task[Outcome]]:
    if not running:
        return running
    finished, pending = await asyncio.wait(running, return_when=until)
    for task in finished:
        done(task.result())
    return pending


async def _import_one(archive: Archive, caller: Caller, item: ImportItem) -> Outcome:
    asker = Asker(caller, RequestNote(f"import-{new_id()}"))
    try:
        for file in item.files:
            key = Key(BINARY, file.binary_id)
            await upload(archive, asker, file.chunks(), content_type=file.content_type, key=key, expected=None)
        await update(archive, asker, item.key, parse_json(item.content), expected=None)
    except Failure as failure:
        return Outcome(item.key, failure.issues)
    return Outcome(item.key)
