"""update and update-as-create (FHIR R4, http 3.1.0.4)."""

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.proposal import Expected, Proposal
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.resource_in import lift, resource_in
from fhirmedia.r4.json_types import JsonObject


async def update(archive: Archive, asker: Asker, key: Key, sent: JsonObject, *, expected: Expected) -> Record:
    """The new version; version 1 where the Caller may choose ids and nothing was there.

    Raises Failure INVALID, UNPROCESSABLE, FORBIDDEN, NOT_ALLOWED, PRECONDITION, CONFLICT, TOO_LARGE.
    """
    archive.registry.require(key.type, "update")
    async with archive.custodian.session(asker.caller, "update", note=asker.note) as session:
        session.require("update", key.type)
        resource = resource_in(archive, sent, kind=key.type)
        require_id(key, resource.get("id"))
        await lift(archive, session, resource)
        return await session.write(Proposal(key, "update", resource, expected=expected))


def require_id(key: Key, stated: object) -> None:
    """Raise Failure INVALID unless the resource names the id of the URL, and that is an id."""
    if not FHIR_ID.match(key.id):
        raise Failure(Category.INVALID, "The id in the URL is not a FHIR id.", code="value")
    if stated != key.id:
        raise Failure(Category.INVALID, "The resource must have the id of the URL.", expression=f"{key.type}.id")
