"""create (FHIR R4, http 3.1.0.8)."""

from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.proposal import Proposal
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.resource_in import lift, resource_in
from fhirmedia.r4.json_types import JsonObject


async def create(archive: Archive, asker: Asker, kind: str, sent: JsonObject) -> Record:
    """The new record, under an id of ours; a client's `id` is ignored.

    Raises Failure INVALID, UNPROCESSABLE, FORBIDDEN, TOO_LARGE, NOT_ALLOWED, and what storage raises.
    """
    archive.registry.require(kind, "create")
    async with archive.custodian.session(asker.caller, "create", note=asker.note) as session:
        session.require("create", kind)
        resource = resource_in(archive, sent, kind=kind)
        await lift(archive, session, resource)
        return await session.write(Proposal(Key(kind, new_id()), "create", resource))
