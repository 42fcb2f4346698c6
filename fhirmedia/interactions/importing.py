"""Bringing in many resources: a client's updates, many to a transaction; done again, it makes nothing twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.proposal import Proposal, Proposals
from fhirmedia.custody.session import RequestNote, Session
from fhirmedia.interactions.archive import Archive
from fhirmedia.interactions.content import checked_chunks, stage
from fhirmedia.interactions.resource_in import holds_content, lift, resource_in
from fhirmedia.interactions.update import require_id
from fhirmedia.r4.json_types import JsonObject

TOGETHER = 64
"""How many resources share a transaction."""

FILES_TOGETHER = 8
"""How many files are received at a time."""

AHEAD = 2
"""How many transactions may wait for the writer while the next one is made ready."""

TRIED_AGAIN = 20_000
"""So many resources are kept to be tried once more when all else is in: what they refer to may have come after them."""


@dataclass(frozen=True, slots=True)
class ImportFile:
    """The bytes of a Binary: its id, media type, and how to read them."""

    binary_id: str
    content_type: str
    chunks: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One resource with its type and id, and the files that have to be there with it.

    `place` says where it was found, `size_bytes` how much of the source it is: both for the one who is told of it.
    """

    key: Key
    resource: JsonObject
    files: tuple[ImportFile, ...] = ()
    place: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: `version` is the one that is there now, None if it was refused for these issues."""

    item: ImportItem
    state: Literal["stored", "unchanged", "refused"]
    version: int | None = None
    issues: tuple[Issue, ...] = ()


async def import_items(
    archive: Archive, caller: Caller, items: Iterable[ImportItem], *, done: Callable[[Outcome], None]
) -> None:
    """Write every item under its own id, unless the newest version there is equal to it; `done` is told of each once.

    Items of one transaction may refer to each other in any order. One whose reference leads nowhere is tried again when
    everything else is in. What is under way when this is cancelled is brought to its end, and told of.
    """
    work = _Import(archive, caller, done)
    running: list[asyncio.Task[None]] = []
    try:
        for batch in _batches(items):
            running.append(asyncio.create_task(work.write(batch)))
            if len(running) > AHEAD:
                await _end(running)
        while running:
            await _end(running)
    finally:
        await asyncio.gather(*running, return_exceptions=True)
    await work.try_again()


async def _end(running: list[asyncio.Task[None]]) -> None:
    """Wait for the first; to be cancelled meanwhile does not cancel it."""
    await asyncio.wait(running[:1])
    running.pop(0).result()


def _batches(items: Iterable[ImportItem]) -> Iterator[list[ImportItem]]:
    """A Key stands in a batch once; a file that several items name comes with the first."""
    batch: list[ImportItem] = []
    taken: set[Key] = set()
    for item in items:
        keys = {item.key, *(Key(BINARY, file.binary_id) for file in item.files)}
        if len(batch) >= TOGETHER or keys & taken:
            yield batch
            batch, taken = [], set()
        batch.append(item)
        taken |= keys
    if batch:
        yield batch


class _Import:
    """One import: what it writes as, and what it has to try again."""

    def __init__(self, archive: Archive, caller: Caller, done: Callable[[Outcome], None]) -> None:
        self._archive = archive
        self._caller = caller
        self._done = done
        self._early: list[ImportItem] = []
        self._last_try = False

    async def write(self, batch: Sequence[ImportItem]) -> None:
        """Tell what becomes of each item: of all together, or one by one where one is refused."""
        sound = []
        for item in batch:
            try:
                self._archive.registry.require(item.key.type, "update")
                sound.append((item, resource_in(self._archive, item.resource, kind=item.key.type)))
                require_id(item.key, item.resource.get("id"))
            except Failure as failure:
                self._refuse(item, failure)
                sound = [each for each in sound if each[0] is not item]
        try:
            await self._together(sound)
        except Failure as failure:
            if len(sound) == 1:
                self._refuse(sound[0][0], failure)
                return
            for each in sound:
                await self._alone(each)

    async def try_again(self) -> None:
        """What was refused for a reference that leads nowhere, now that all that could be there is."""
        self._last_try = True
        early, self._early = self._early, []
        for item in early:
            await self.write([item])

    async def _alone(self, each: tuple[ImportItem, JsonObject]) -> None:
        try:
            await self._together([each])
        except Failure as failure:
            self._refuse(each[0], failure)

    async def _together(self, sound: Sequence[tuple[ImportItem, JsonObject]]) -> None:
        """Write them, or raise the Failure of one."""
        if not sound:
            return
        note = RequestNote(f"import-{new_id()}")
        proposals: list[Proposal] = []
        async with self._archive.custodian.session(self._caller, "transaction", note=note) as session:
            await self._receive(session, [file for item, _ in sound for file in item.files])
            for item, resource in sound:
                proposals += (_binary(file) for file in item.files)
                proposals.append(
                    Proposal(item.key, "update", await self._bare(session, item, resource), unless_same=True)
                )
            written = await session.write_all(Proposals(tuple(proposals)))
        of = {each.record.key: each for each in written}
        for item, _ in sound:
            each = of[item.key]
            self._done(Outcome(item, "unchanged" if each.found else "stored", each.record.version))

    async def _bare(self, session: Session, item: ImportItem, resource: JsonObject) -> JsonObject:
        """The resource with its content received; the one given keeps it, since it may have to be tried again."""
        if item.key.type == BINARY:
            resource = dict(resource)
            await stage(self._archive, session, resource, item.key)
        elif holds_content(resource):
            resource = deepcopy(resource)
            await lift(self._archive, session, resource, name=_named_by_content(item.key))
        return resource

    async def _receive(self, session: Session, files: Sequence[ImportFile]) -> None:
        waiting = iter(files)
        while some := list(islice(waiting, FILES_TOGETHER)):
            await asyncio.gather(*(self._receive_one(session, file) for file in some))

    async def _receive_one(self, session: Session, file: ImportFile) -> None:
        limit = self._archive.settings.upload_max
        chunks = checked_chunks(file.chunks(), content_type=file.content_type, limit=limit)
        await session.receive(chunks, content_type=file.content_type, binary_id=file.binary_id)

    def _refuse(self, item: ImportItem, failure: Failure) -> None:
        if failure.category in {Category.UNAVAILABLE, Category.DISK_FULL, Category.INTERNAL}:
            raise failure
        leads_nowhere = failure.category is Category.UNPROCESSABLE
        if leads_nowhere and not self._last_try and len(self._early) < TRIED_AGAIN:
            self._early.append(item)
        else:
            self._done(Outcome(item, "refused", None, tuple(failure.issues)))


def _binary(file: ImportFile) -> Proposal:
    resource: JsonObject = {"resourceType": BINARY, "contentType": file.content_type}
    return Proposal(Key(BINARY, file.binary_id), "update", resource, unless_same=True)


def _named_by_content(key: Key) -> Callable[[str, bytes], str]:
    """Ids for content that stands inside a resource: the same again for the same place and bytes."""

    def name(path: str, content: bytes) -> str:
        return hashlib.sha256(f"{key} {path} ".encode() + hashlib.sha256(content).digest()).hexdigest()

    return name
