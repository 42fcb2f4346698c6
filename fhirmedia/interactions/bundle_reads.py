"""Entries of a Bundle that read or search: each is the interaction that its address would be by itself."""

from dataclasses import replace

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.bundle_answers import EntryAnswer
from fhirmedia.interactions.history import history
from fhirmedia.interactions.read import read, vread
from fhirmedia.interactions.search import Where, search
from fhirmedia.r4.bundle_in import BundleEntry
from fhirmedia.r4.query_string import decode_query

HISTORY = "_history"


async def answer_read(archive: Archive, asker: Asker, entry: BundleEntry, *, lenient: bool) -> EntryAnswer:
    """The version or Bundle that is asked for. Raises Failure as the interaction does, INVALID for another address."""
    pairs = decode_query(entry.query or "")
    asker = asker_of(asker, entry)
    match entry.path:
        case (kind, identity) if is_instance(kind, identity):
            _refuse_query(entry)
            key = _key(kind, identity)
            if kind == BINARY:
                raise Failure(Category.INVALID, "The content of a Binary is asked for by itself.", code="not-supported")
            return EntryAnswer(await read(archive, asker, key))
        case (kind, identity, step, version) if step == HISTORY:
            _refuse_query(entry)
            if not (version.isascii() and version.isdecimal()) or len(version) > 10:
                raise Failure(Category.NOT_FOUND, "There is no such version.")
            return EntryAnswer(await vread(archive, asker, _key(kind, identity), int(version)))
        case (kind, identity, step) if step == HISTORY:
            return EntryAnswer(bundle=await history(archive, asker, _key(kind, identity), pairs))
        case (kind, step) if step == HISTORY:
            return EntryAnswer(bundle=await history(archive, asker, kind, pairs))
        case (step,) if step == HISTORY:
            return EntryAnswer(bundle=await history(archive, asker, None, pairs))
        case () | (_,) | (_, _, _) if not any(step[:1] in "$_" for step in entry.path):
            found = await search(archive, asker, _where(entry.path), pairs, lenient=lenient)
            return EntryAnswer(bundle=found.bundle)
        case _:
            text = "This address is not one that a Bundle can ask; operations are asked by themselves."
            raise Failure(Category.INVALID, text, code="not-supported")


def asker_of(asker: Asker, entry: BundleEntry) -> Asker:
    """Who asks, with a note about this entry."""
    named = len(entry.path) > 1 and is_instance(*entry.path[:2]) and FHIR_ID.match(entry.path[1])
    about = Key(*entry.path[:2]) if named else None
    return replace(asker, note=replace(asker.note, raw_query=entry.condition.encode(), about=about))


def is_instance(kind: str, identity: str) -> bool:
    """Whether two steps of an address name a resource: neither is the name of an operation or interaction."""
    return not any(step[:1] in "$_" for step in (kind, identity))


def _where(path: tuple[str, ...]) -> Where:
    if len(path) < 3:
        return Where(path[0] if path else None)
    return Where(None if path[2] == "*" else path[2], (path[0], path[1]))


def _key(kind: str, identity: str) -> Key:
    if not FHIR_ID.match(identity):
        raise Failure(Category.NOT_FOUND, "There is no such resource.")
    return Key(kind, identity)


def _refuse_query(entry: BundleEntry) -> None:
    if entry.query:
        raise Failure(Category.INVALID, "A parameter is not one of this interaction.", code="not-supported")
