"""$meta, $meta-add and $meta-delete of one resource (FHIR R4, Resource): a change of meta is a new version."""

from fhirmedia.core.records import Key
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.patch import Patch, change
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.meta_change import meta_answer


async def meta(archive: Archive, asker: Asker, key: Key) -> JsonObject:
    """Parameters with the meta of the newest version. Raises as a read, and Failure NOT_ALLOWED."""
    archive.registry.require_operation(key.type, "meta")
    async with archive.custodian.session(asker.caller, "meta", note=asker.note) as session:
        record = await session.read(key)
    return meta_answer(parse_json(record.body or b"{}"))


async def change_meta(
    archive: Archive, asker: Asker, key: Key, changing: Patch, *, operation: str, expected: int | None
) -> JsonObject:
    """Parameters with the meta as it is now; no version is made where nothing changes. Raises as a patch.

    The rules of labels are those of any write: lowering or removing one takes a label-manager.
    """
    archive.registry.require_operation(key.type, operation)
    record = await change(archive, asker, key, changing, expected=expected, interaction=operation)
    return meta_answer(parse_json(record.body or b"{}"))
