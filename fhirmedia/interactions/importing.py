"""Bringing in many resources: a client's updates, many to a transaction; done again, it makes nothing twice."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from fhirmedia.custody.session import Session
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Archive
from fhirmedia.interactions.content import checked_chunks, stage
from fhirmedia.interactions.resource_in import holds_content, lift, resource_in
from fhirmedia.interactions.update import require_id
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.references import iter_references, parse_reference

TOGETHER = 64
"""How many resources share a transaction."""

FILES_TOGETHER = 8
"""How many files are received at a time."""

AHEAD = 2
"""How many transactions may wait for the writer while the next one is made ready."""

TRIED_AGAIN = 20_000
"""So many resources are kept to be tried again when all else is in: what they refer to may have come after them."""


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


_Running = tuple[asyncio.Task[None], Collection[Key]]
"""A transaction under way, and what it writes."""


async def import_items(
    archive: Archive, caller: Caller, items: Iterable[ImportItem], *, done: Callable[[Outcome], None]
) -> None:
    """Write every item under its own id, unless the newest version there is equal to it; `done` is told of each once.

    Items of one transaction may refer to each other in any order. Those whose references lead nowhere are tried again
    when everything else is in, as long as that brings some in; at last together with what they refer to. Of one Key
    the last state is the one that stays: its items are written in their order. What is under way when this is
    cancelled is brought to its end, and told of.
    """
    work = _Import(archive, caller, done)
    running: list[_Running] = []
    try:
        for batch in _batches(items):
            keys = {key for item in batch for key in _keys(item)}
            while any(not keys.isdisjoint(held) for _, held in running):
                await _end(running)
            running.append((asyncio.create_task(work.write(batch)), keys))
            if len(running) > AHEAD:
                await _end(running)
        while running:
            await _end(running)
    finally:
        await asyncio.gather(*(task for task, _ in running), return_exceptions=True)
    await work.try_again()


async def _end(running: list[_Running]) -> None:
    """Wait for the first; to be cancelled meanwhile does not cancel it."""
    await asyncio.wait([running[0][0]])
    running.pop(0)[0].result()


def _keys(item: ImportItem) -> set[Key]:
    return {item.key, *(Key(BINARY, file.binary_id) for file in item.files)}


def _batches(items: Iterable[ImportItem]) -> Iterator[list[ImportItem]]:
    """A Key stands in a batch once; a file that several items name comes with the first."""
    batch: list[ImportItem] = []
    taken: set[Key] = set()
    for item in items:
        keys = _keys(item)
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
        self._early: list[tuple[ImportItem, Failure]] = []
        self._waiting: set[Key] = set()
        self._stored = 0

    async def write(self, batch: Sequence[ImportItem]) -> None:
        """Tell what becomes of each item: of all together, or one by one where one is refused.

        What is to be tried again is told of later, and so is what follows it under the same Key.
        """
        sound = []
        for item in batch:
            try:
                if item.key in self._waiting:
                    raise Failure(Category.UNPROCESSABLE, "An earlier state of the resource could not be stored yet.")
                sound.append((item, self._checked(item)))
            except Failure as failure:
                self._refuse(item, failure)
        try:
            await self._together(sound)
        except Failure as failure:
            if len(sound) == 1:
                self._refuse(sound[0][0], failure)
                return
            for each in sound:
                await self._alone(each)

    async def try_again(self) -> None:
        """What was refused for a reference that leads nowhere, now that all that could be there is.

        Ends, since every round that goes on has stored something or told of something.
        """
        while early := self._early:
            self._early, self._waiting = [], set()
            stored = self._stored
            for batch in _batches(item for item, _ in early):
                await self.write(batch)
            if self._stored == stored:
                await self._try_circles()

    async def _try_circles(self) -> None:
        """Those that wait for each other, together; where that helps nobody, the first of each Key are refused."""
        firsts: dict[Key, tuple[ImportItem, Failure]] = {}
        for item, failure in self._early:
            firsts.setdefault(item.key, (item, failure))
        done: set[Key] = set()
        for key, (item, _) in firsts.items():
            together = () if key in done else self._with_needed(item, firsts)
            if len(together) > 1 and await self._circle(together):
                done |= {each.key for each in together}
        if not done:
            for item, failure in firsts.values():
                self._done(Outcome(item, "refused", None, tuple(failure.issues)))
            done = set(firsts)
        over = {id(firsts[key][0]) for key in done}
        self._early = [each for each in self._early if id(each[0]) not in over]

    async def _circle(self, items: Sequence[ImportItem]) -> bool:
        """Whether they could be written together."""
        try:
            await self._together([(item, self._checked(item)) for item in items])
        except Failure as failure:
            _require_ours(failure)
            return False
        return True

    def _with_needed(
        self, first: ImportItem, waiting: Mapping[Key, tuple[ImportItem, Failure]]
    ) -> Sequence[ImportItem]:
        """An item and those it refers to, directly or through others; as many as share a transaction."""
        found = {first.key: first}
        queue = deque(found.values())
        while queue:
            item = queue.popleft()
            for _, text in iter_references(item.resource, item.key.type):
                key = parse_reference(text, base_url=self._archive.base_url).key
                if key is not None and key in waiting and key not in found and len(found) < TOGETHER:
                    found[key] = waiting[key][0]
                    queue.append(found[key])
        return tuple(found.values())

    def _checked(self, item: ImportItem) -> JsonObject:
        self._archive.registry.require(item.key.type, "update")
        resource = resource_in(self._archive, item.resource, kind=item.key.type)
        require_id(item.key, item.resource.get("id"))
        return resource

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
            files = {file.binary_id: file for item, _ in sound for file in item.files}
            await self._receive(session, tuple(files.values()))
            proposals += map(_binary, files.values())
            for item, resource in sound:
                proposals.append(
                    Proposal(item.key, "update", await self._bare(session, item, resource), unless_same=True)
                )
            written = await session.write_all(Proposals(tuple(proposals)))
        of = {each.record.key: each for each in written}
        for item, _ in sound:
            each = of[item.key]
            self._stored += 1
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
        _require_ours(failure)
        if failure.category is Category.UNPROCESSABLE and len(self._early) < TRIED_AGAIN:
            self._early.append((item, failure))
            self._waiting.add(item.key)
        else:
            self._done(Outcome(item, "refused", None, tuple(failure.issues)))


def _require_ours(failure: Failure) -> None:
    """Raise a Failure that is not about what was to be imported: it would be met with the next, too."""
    if failure.category in {Category.UNAVAILABLE, Category.DISK_FULL, Category.INTERNAL}:
        raise failure


def _binary(file: ImportFile) -> Proposal:
    resource: JsonObject = {"resourceType": BINARY, "contentType": file.content_type}
    return Proposal(Key(BINARY, file.binary_id), "update", resource, unless_same=True)


def _named_by_content(key: Key) -> Callable[[str, bytes], str]:
    """Ids for content that stands inside a resource: the same again for the same place and bytes."""

    def name(path: str, content: bytes) -> str:
        return hashlib.sha256(f"{key} {path} ".encode() + hashlib.sha256(content).digest()).hexdigest()

    return name
