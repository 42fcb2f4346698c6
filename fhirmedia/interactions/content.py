"""Binary: content in by stream, out by ticket (FHIR R4, Binary; http 3.1.0.1)."""

from collections.abc import AsyncIterator
from typing import Literal

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.content import ContentTicket
from fhirmedia.custody.proposal import Expected, Proposal
from fhirmedia.custody.session import Session
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.resource_in import decode_inline, require_type, resource_in
from fhirmedia.interactions.update import require_id
from fhirmedia.media.sniff import HEAD_BYTES
from fhirmedia.r4.json_types import JsonObject


async def upload(
    archive: Archive,
    asker: Asker,
    chunks: AsyncIterator[bytes],
    *,
    content_type: str,
    key: Key | None,
    expected: Expected,
) -> Record:
    """Raw bytes as a Binary: a new one, or (with a Key) an update of it. The stream is never held whole.

    Raises Failure INVALID, TOO_LARGE, FORBIDDEN, NOT_ALLOWED, CONFLICT, PRECONDITION, and what storage raises.
    """
    method: Literal["create", "update"] = "create" if key is None else "update"
    archive.registry.require(BINARY, method)
    async with archive.custodian.session(asker.caller, method, note=asker.note) as session:
        session.require(method, BINARY)
        target = key or Key(BINARY, new_id())
        resource: JsonObject = {"resourceType": BINARY, "contentType": content_type}
        proposal = Proposal(target, method, resource, expected=expected)
        if key is not None:
            await session.require_update(proposal)
        checked = checked_chunks(chunks, content_type=content_type, limit=archive.settings.upload_max)
        await session.receive(checked, content_type=content_type, binary_id=target.id)
        return await session.write(proposal)


async def upload_resource(
    archive: Archive, asker: Asker, sent: JsonObject, *, key: Key | None, expected: Expected
) -> Record:
    """A Binary resource, its `data` decoded. Raises as `upload`."""
    method: Literal["create", "update"] = "create" if key is None else "update"
    archive.registry.require(BINARY, method)
    async with archive.custodian.session(asker.caller, method, note=asker.note) as session:
        session.require(method, BINARY)
        resource = resource_in(archive, sent, kind=BINARY)
        if key is not None:
            require_id(key, resource.get("id"))
        proposal = Proposal(key or Key(BINARY, new_id()), method, resource, expected=expected)
        if key is not None:
            await session.require_update(proposal)
        await stage(archive, session, resource, proposal.key)
        return await session.write(proposal)


async def download(
    archive: Archive, asker: Asker, key: Key, *, depth: Literal["opened", "downloaded"], is_part: bool = False
) -> ContentTicket:
    """Permission to stream the bytes of a Binary, or a part of them. Raises Failure NOT_FOUND, GONE."""
    archive.registry.require(BINARY, "read")
    async with archive.custodian.session(asker.caller, "content", note=asker.note) as session:
        return await session.content(key, depth=depth, is_part=is_part)


async def stage(archive: Archive, session: Session, resource: JsonObject, target: Key) -> None:
    """Take the `data` out of a Binary resource and stage it. Raises Failure INVALID, TOO_LARGE."""
    data = resource.pop("data", None)
    inline = decode_inline(archive, data if isinstance(data, str) else "", path="Binary.data")
    content_type = str(resource["contentType"])
    require_type(inline[:HEAD_BYTES], content_type=content_type, path="Binary.contentType")

    async def once() -> AsyncIterator[bytes]:
        yield inline

    await session.receive(once(), content_type=content_type, binary_id=target.id)


async def checked_chunks(chunks: AsyncIterator[bytes], *, content_type: str, limit: int) -> AsyncIterator[bytes]:
    """The same bytes, once their beginning has been seen to be of the declared type, and while they are in bounds."""
    head = bytearray()
    looked, size = False, 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise Failure(Category.TOO_LARGE, "The content is over the upload limit.")
        if looked:
            yield chunk
            continue
        head += chunk
        if len(head) >= HEAD_BYTES:
            require_type(bytes(head[:HEAD_BYTES]), content_type=content_type, path=None)
            looked = True
            yield bytes(head)
    if not looked:
        require_type(bytes(head), content_type=content_type, path=None)
        yield bytes(head)
