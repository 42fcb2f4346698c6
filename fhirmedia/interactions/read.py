"""read and vread (FHIR R4, http 3.1.0.1 and 3.1.0.2)."""

from fhirmedia.core.records import Key, Record
from fhirmedia.interactions.archive import Archive, Asker


async def read(archive: Archive, asker: Asker, key: Key) -> Record:
    """The newest version. Raises Failure NOT_FOUND, GONE, FORBIDDEN, NOT_ALLOWED."""
    archive.registry.require(key.type, "read")
    async with archive.custodian.session(asker.caller, "read", note=asker.note) as session:
        return await session.read(key)


async def vread(archive: Archive, asker: Asker, key: Key, version: int) -> Record:
    """One version. Raises Failure NOT_FOUND, GONE, FORBIDDEN, NOT_ALLOWED."""
    archive.registry.require(key.type, "vread")
    async with archive.custodian.session(asker.caller, "vread", note=asker.note) as session:
        return await session.vread(key, version)
