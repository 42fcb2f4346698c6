"""delete (FHIR R4, http 3.1.0.7): a version that marks the end; older versions stay."""

from fhirmedia.core.records import Key, Record
from fhirmedia.custody.proposal import Proposal
from fhirmedia.interactions.archive import Archive, Asker


async def delete(archive: Archive, asker: Asker, key: Key, *, expected: int | None) -> Record:
    """The version that marks the deletion. Raises Failure NOT_FOUND, FORBIDDEN, CONFLICT, PRECONDITION."""
    archive.registry.require(key.type, "delete")
    async with archive.custodian.session(asker.caller, "delete", note=asker.note) as session:
        session.require("delete", key.type)
        return await session.write(Proposal(key, "delete", expected=expected))
