"""patch (FHIR R4, http 3.1.0.8): the current version changed in places, checked whole, and written as the next one."""

from typing import Protocol

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.proposal import Proposal
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.resource_in import lift, resource_in
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import Json, JsonObject

ATTEMPTS = 5
"""How often a patch without If-Match is applied anew when somebody else wrote in between."""

_SET_BY_SERVER = ("versionId", "lastUpdated", "_versionId", "_lastUpdated")


class Patch(Protocol):
    """A change of a resource, read from a request; it may be applied several times."""

    def apply(self, resource: JsonObject) -> JsonObject:
        """The changed resource; the one given is used up. Raises Failure UNPROCESSABLE, TOO_COSTLY."""
        ...


async def patch(archive: Archive, asker: Asker, key: Key, changing: Patch, *, expected: int | None) -> Record:
    """The new version, or the current one where the patch changes nothing: then none is made.

    It takes the right to read as well as to update, since what a patch does tells what was there. Without `expected`
    a lost race is run again. Raises Failure NOT_FOUND (absent and hidden alike), GONE, FORBIDDEN, NOT_ALLOWED,
    PRECONDITION, CONFLICT, UNPROCESSABLE for a patch that cannot be applied or leaves no valid resource.
    """
    archive.registry.require(key.type, "patch")
    return await change(archive, asker, key, changing, expected=expected, interaction="patch")


async def change(
    archive: Archive, asker: Asker, key: Key, changing: Patch, *, expected: int | None, interaction: str
) -> Record:
    """As `patch`, for any interaction that changes a resource in places."""
    for _ in range(ATTEMPTS):
        try:
            return await _attempt(archive, asker, key, changing, expected=expected, interaction=interaction)
        except Failure as failure:
            if failure.category is not Category.PRECONDITION or expected is not None:
                raise
    text = "The resource was changed by others again and again while it was patched; try again, or with If-Match."
    raise Failure(Category.CONFLICT, text)


async def _attempt(
    archive: Archive, asker: Asker, key: Key, changing: Patch, *, expected: int | None, interaction: str
) -> Record:
    async with archive.custodian.session(asker.caller, interaction, note=asker.note) as session:
        session.require("update", key.type)
        record = await session.read(key)
        if expected is not None and expected != record.version:
            raise Failure(Category.PRECONDITION, "The resource has another version than If-Match names.")
        resource = patched(archive, record, changing)
        if resource is None:
            return record
        await lift(archive, session, resource)
        return await session.write(Proposal(key, "update", resource, expected=record.version, unless_same=True))


def patched(archive: Archive, record: Record, changing: Patch) -> JsonObject | None:
    """A version as the patch leaves it, valid and of the same identity; None where nothing is changed.

    Security labels that the patch removes are stated as removed. Raises Failure UNPROCESSABLE, TOO_COSTLY.
    """
    before = parse_json(record.body or b"{}")
    after = changing.apply(parse_json(record.body or b"{}"))
    _require_identity(record.key, before, after)
    if dump(after) == dump(before):
        return None
    _keep_narrative_true(before, after)
    try:
        resource_in(archive, after, kind=record.key.type)
    except Failure as failure:
        if failure.category is not Category.INVALID:
            raise
        raise Failure(Category.UNPROCESSABLE, issues=failure.issues) from None
    return stating_removed_labels(before, after)


def stating_removed_labels(before: JsonObject, after: JsonObject) -> JsonObject:
    """The changed resource; without labels where there were some, it says so with an empty list.

    A body that says nothing of labels keeps those in force.
    """
    if _meta(before, "security") and not _meta(after, "security"):
        meta = after.get("meta")
        after["meta"] = {**(meta if isinstance(meta, dict) else {}), "security": []}
    return after


def _keep_narrative_true(before: JsonObject, after: JsonObject) -> None:
    """Take out a generated narrative that the patch left while it changed what the narrative may tell of.

    Raises Failure UNPROCESSABLE where people wrote it (R4, http 3.1.0.8: it must not become clinically unsafe).
    """
    text = before.get("text")
    rest = [{name: value for name, value in each.items() if name not in ("text", "meta")} for each in (before, after)]
    if not isinstance(text, dict) or after.get("text") != text or dump(rest[0]) == dump(rest[1]):
        return
    match text.get("status"):
        case "generated" | "extensions":
            del after["text"]
        case "additional":
            told = "The narrative was written by people; a patch that changes the resource changes or removes it, too."
            raise Failure(Category.UNPROCESSABLE, told, expression=f"{before['resourceType']}.text")


def _require_identity(key: Key, before: JsonObject, after: JsonObject) -> None:
    for name in ("resourceType", "id"):
        if after.get(name) != before.get(name):
            raise _kept(f"{key.type}.{name}")
    for name in _SET_BY_SERVER:
        if _meta(after, name) != _meta(before, name):
            raise _kept(f"{key.type}.meta.{name.removeprefix('_')}")


def _meta(resource: JsonObject, name: str) -> Json:
    meta = resource.get("meta")
    return meta.get(name) if isinstance(meta, dict) else None


def _kept(expression: str) -> Failure:
    return Failure(Category.UNPROCESSABLE, f"{expression} cannot be patched.", expression=expression)
