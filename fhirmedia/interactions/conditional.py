"""Conditional create, update, patch and delete (FHIR R4, http 3.1.0.4 to 3.1.0.8): done to what a search means."""

from collections.abc import Sequence
from dataclasses import replace

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID, new_id
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.paging import Walk
from fhirmedia.custody.proposal import OVERTAKEN, Condition, Proposal, Proposals, overtaken
from fhirmedia.custody.session import Session
from fhirmedia.custody.writing import Written
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.patch import ATTEMPTS, Patch, patched
from fhirmedia.interactions.resource_in import lift, resource_in
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query_parser import SearchContext, parse_search

Pairs = Sequence[tuple[str, str]]


async def create_if_none(archive: Archive, asker: Asker, kind: str, sent: JsonObject, *, pairs: Pairs) -> Written:
    """A new record, or the one there is that the search finds, left as it is.

    Raises as `create`, and Failure PRECONDITION where the search finds several.
    """
    archive.registry.require(kind, "create")
    require_searched(archive, kind)
    async with archive.custodian.session(asker.caller, "create", note=asker.note) as session:
        session.require("create", kind)
        require_searching(session, kind)
        condition = condition_of(archive, kind, pairs)
        resource = resource_in(archive, sent, kind=kind)
        await lift(archive, session, resource)
        proposal = Proposal(Key(kind, new_id()), "create", resource, condition=condition)
        return (await session.write_all(Proposals((proposal,))))[0]


async def update_matching(
    archive: Archive, asker: Asker, kind: str, sent: JsonObject, *, pairs: Pairs, expected: int | None
) -> Record:
    """The new version of the one record the search finds; a new record where it finds none.

    Raises as `update`, and Failure PRECONDITION where the search finds several, INVALID where it finds another than the
    resource names.
    """
    archive.registry.require(kind, "update")
    require_searched(archive, kind)
    async with archive.custodian.session(asker.caller, "update", note=asker.note) as session:
        session.require("update", kind)
        require_searching(session, kind)
        condition = condition_of(archive, kind, pairs)
        resource = resource_in(archive, sent, kind=kind)
        await lift(archive, session, resource)
        key, chosen = key_for(kind, resource)
        proposal = Proposal(key, "update", resource, expected=expected, condition=condition, chosen=chosen)
        return await session.write(proposal)


async def delete_matching(archive: Archive, asker: Asker, kind: str, *, pairs: Pairs, expected: int | None) -> Record:
    """The version that marks the deletion of the one record the search finds.

    Raises Failure NOT_FOUND where it finds none, PRECONDITION where it finds several, and as `delete`.
    """
    archive.registry.require(kind, "delete")
    require_searched(archive, kind)
    async with archive.custodian.session(asker.caller, "delete", note=asker.note) as session:
        session.require("delete", kind)
        require_searching(session, kind)
        condition = condition_of(archive, kind, pairs)
        return await session.write(Proposal(Key(kind, new_id()), "delete", expected=expected, condition=condition))


async def patch_matching(
    archive: Archive, asker: Asker, kind: str, change: Patch, *, pairs: Pairs, expected: int | None
) -> Record:
    """The new version of the one record the search finds; the current one where the patch changes nothing.

    Raises Failure NOT_FOUND where it finds none, PRECONDITION where it finds several, and as `patch`.
    """
    archive.registry.require(kind, "patch")
    require_searched(archive, kind)
    condition = condition_of(archive, kind, pairs)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with archive.custodian.session(asker.caller, "patch", note=asker.note) as session:
                session.require("update", kind)
                record = await the_match(session, condition)
                proposal = patching(archive, record, change, expected=expected)
                if proposal.resource is not None:
                    await lift(archive, session, proposal.resource)
                return await session.write(replace(proposal, condition=condition))
        except Failure as failure:
            if failure.issues[0].code != OVERTAKEN or attempt == ATTEMPTS:
                raise
    raise overtaken()


def patching(archive: Archive, record: Record, change: Patch, *, expected: int | None) -> Proposal:
    """The patch of a record as it is. Raises Failure PRECONDITION, UNPROCESSABLE, TOO_COSTLY."""
    if expected is not None and expected != record.version:
        raise Failure(Category.PRECONDITION, "The resource has another version than If-Match names.")
    resource = patched(archive, record, change)
    return Proposal(record.key, "update", resource, expected=record.version, patched=True)


async def the_match(session: Session, condition: Condition) -> Record:
    """The record a condition finds at the moment, read. Raises NOT_FOUND, PRECONDITION, FORBIDDEN."""
    require_searching(session, condition.type)
    found = await session.search(condition.query, types=[condition.type], walk=Walk(2))
    if not found.records:
        raise Failure(Category.NOT_FOUND, "No resource matches the condition.", expression=condition.place)
    if len(found.records) > 1:
        text = "The search matches more than one resource, where it has to mean one."
        raise Failure(Category.PRECONDITION, text, code="multiple-matches", expression=condition.place)
    return await session.read(found.records[0].key)


def require_searched(archive: Archive, kind: str, *, place: str | None = None) -> None:
    """Raise Failure INVALID for a type that is not searched, NOT_FOUND for one that is not served."""
    if "search-type" not in archive.registry.served(kind).interactions:
        text = f"{kind} is not searched, so nothing is done to it on condition."
        raise Failure(Category.INVALID, text, code="not-supported", expression=place)


def require_searching(session: Session, kind: str) -> None:
    """Refuse whoever may not look for what something is to be done to. Raises Failure FORBIDDEN."""
    session.require("search", kind)
    session.require("read", kind)


def condition_of(archive: Archive, kind: str, pairs: Pairs, *, place: str | None = None) -> Condition:
    """The search as a Condition. Raises Failure INVALID unless every parameter is known and narrows it."""
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(pairs, context=context, type=kind, compartment=None, lenient=False)
    filters = [name for name, _ in parsed.applied if not name.startswith("_") or name.partition(":")[0] in _FILTERS]
    if not filters or len(filters) < len(pairs):
        text = "A condition consists of search parameters that narrow it, at least one, and of nothing else."
        raise Failure(Category.INVALID, text, code="not-supported", expression=place)
    return Condition(kind, parsed.query, place)


def key_for(kind: str, resource: JsonObject) -> tuple[Key, bool]:
    """The Key a conditionally updated resource has if nothing is found, and whether its client named it."""
    identity = resource.get("id")
    if identity is None:
        return Key(kind, new_id()), False
    if not isinstance(identity, str) or not FHIR_ID.match(identity):
        raise Failure(Category.INVALID, "The id is not a FHIR id.", code="value", expression=f"{kind}.id")
    return Key(kind, identity), True


_FILTERS = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_has"})
"""Common parameters that select; the others shape an answer."""
