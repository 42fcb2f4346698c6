"""batch (FHIR R4, http 3.1.0.11): entries that have nothing to do with each other, each with an answer of its own."""

import asyncio
import logging
from collections.abc import Collection, Sequence

from fhirmedia.core.errors import Category, Failure, places_of
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.writing import Written
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.bundle_answers import EntryAnswer, answer_of
from fhirmedia.interactions.bundle_patches import patch_in
from fhirmedia.interactions.bundle_reads import answer_read, asker_of, is_instance
from fhirmedia.interactions.conditional import create_if_none, delete_matching, patch_matching, update_matching
from fhirmedia.interactions.content import upload_resource
from fhirmedia.interactions.create import create
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.patch import patch
from fhirmedia.interactions.update import update
from fhirmedia.r4.bundle_in import BundleEntry
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.references import iter_references

log = logging.getLogger("fhirmedia")

AT_ONCE = 16
"""Entries under way together, so that they share commits."""

_ORDER = (("DELETE",), ("POST",), ("PUT", "PATCH"), ("GET", "HEAD"))
"""As in a transaction: what one entry reads, another has written."""


async def batch(
    archive: Archive, asker: Asker, entries: Sequence[BundleEntry | Failure], *, lenient: bool
) -> list[EntryAnswer]:
    """An answer to each entry, in their order."""
    turns = asyncio.Semaphore(AT_ONCE)
    answers = {at: EntryAnswer(failure=each) for at, each in enumerate(entries) if isinstance(each, Failure)}
    sound = [entry for entry in entries if isinstance(entry, BundleEntry)]
    made = {entry.full_url for entry in sound if entry.method == "POST" and entry.full_url is not None}

    async def one(entry: BundleEntry) -> None:
        async with turns:
            try:
                _require_apart(entry, made)
                answers[entry.index] = await _answer(archive, asker, entry, lenient=lenient)
            except Failure as failure:
                note = asker_of(asker, entry).note
                await archive.custodian.refused(asker.caller, "batch", failure, note=note)
                answers[entry.index] = EntryAnswer(failure=failure)
            except Exception as crash:  # noqa: BLE001 (the others have been carried out: their answers have to be told)
                await archive.custodian.refused(asker.caller, "batch", crash, note=asker_of(asker, entry).note)
                answers[entry.index] = EntryAnswer(failure=_crashed(crash))

    async with archive.custodian.session(asker.caller, "batch", note=asker.note):
        for methods in _ORDER:
            async with asyncio.TaskGroup() as group:
                for entry in sound:
                    if entry.method in methods:
                        group.create_task(one(entry))
    return [answers[index] for index in range(len(entries))]


def _crashed(crash: Exception) -> Failure:
    """What an entry is told of what nobody foresaw: the place goes to the log, never the text."""
    log.error("unexpected %s at %s", type(crash).__name__, places_of(crash.__traceback__))
    return Failure(Category.INTERNAL, "The server met a condition it did not expect.")


def _require_apart(entry: BundleEntry, made: Collection[str]) -> None:
    """Raise UNPROCESSABLE if the resource of an entry refers to what another entry makes (R4, http 3.1.0.11.1)."""
    for place, text in iter_references(entry.resource or {}, f"{entry.place}.resource"):
        if text in made:
            said = "An entry of a batch cannot refer to what another one makes; a transaction can."
            raise Failure(Category.UNPROCESSABLE, said, expression=place)


async def _answer(archive: Archive, asker: Asker, entry: BundleEntry, *, lenient: bool) -> EntryAnswer:
    if entry.method in ("GET", "HEAD"):
        return await answer_read(archive, asker, entry, lenient=lenient)
    asker = asker_of(asker, entry)
    match entry.path:
        case (kind,):
            return await _of_type(archive, asker, entry, kind)
        case (kind, identity) if is_instance(kind, identity) and entry.method != "POST" and entry.query is None:
            return await _of_instance(archive, asker, entry, Key(kind, identity))
    text = f"This is no address for {entry.method}; operations are asked by themselves."
    raise Failure(Category.INVALID, text, code="not-supported")


async def _of_type(archive: Archive, asker: Asker, entry: BundleEntry, kind: str) -> EntryAnswer:
    sent = entry.resource or {}
    pairs = decode_query((entry.query if entry.method != "POST" else entry.if_none_exist) or "")
    match entry.method:
        case "POST" if entry.query is not None:
            raise Failure(Category.INVALID, "A create is posted to the address of the type.")
        case "POST" if entry.if_none_exist is not None:
            return answer_of(await create_if_none(archive, asker, kind, sent, pairs=pairs))
        case "POST" if kind == BINARY:
            return answer_of(Written(await upload_resource(archive, asker, sent, key=None, expected=None)))
        case "POST":
            return answer_of(Written(await create(archive, asker, kind, sent)))
        case "PUT":
            found = await update_matching(archive, asker, kind, sent, pairs=pairs, expected=entry.expected)
            return answer_of(Written(found))
        case "PATCH":
            change = patch_in(archive, sent, kind=kind)
            made = await patch_matching(archive, asker, kind, change, pairs=pairs, expected=entry.expected)
            return EntryAnswer(made, "updated")
        case "DELETE":
            return answer_of(Written(await delete_matching(archive, asker, kind, pairs=pairs, expected=entry.expected)))
        case _:
            raise Failure(Category.INVALID, f"{entry.method} is not part of a batch.", code="not-supported")


async def _of_instance(archive: Archive, asker: Asker, entry: BundleEntry, key: Key) -> EntryAnswer:
    sent = entry.resource or {}
    match entry.method:
        case "PUT" if key.type == BINARY:
            return answer_of(Written(await upload_resource(archive, asker, sent, key=key, expected=entry.expected)))
        case "PUT":
            return answer_of(Written(await update(archive, asker, key, sent, expected=entry.expected)))
        case "PATCH":
            change = patch_in(archive, sent, kind=key.type)
            return EntryAnswer(await patch(archive, asker, key, change, expected=entry.expected), "updated")
        case "DELETE":
            return answer_of(Written(await delete(archive, asker, key, expected=entry.expected)))
        case _:
            raise Failure(Category.INVALID, f"{entry.method} is not part of a batch.", code="not-supported")
