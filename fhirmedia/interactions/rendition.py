"""$rendition: a small copy of a resource's first picture, with the rights and labels of the resource."""

import re
from dataclasses import dataclass

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.content import ContentTicket
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.media.renditions import SOURCE_MAX_BYTES, WIDTHS, Picture, drawn_format, rendition_tag
from fhirmedia.r4.attachments import find_attachments, local_binary_id
from fhirmedia.r4.json_in import parse_json

OPERATION = "rendition"
_CONTENT = re.compile(r"[A-Za-z]+\.content(\[\d+\]\.attachment)?").fullmatch
"""Where the Attachments of a resource are its content, and not a remark about it."""


@dataclass(frozen=True, slots=True)
class RenditionTicket:
    """A permission to draw one picture; `tag` is its strong ETag."""

    content: ContentTicket
    format: str
    width: int
    tag: str


async def rendition(archive: Archive, asker: Asker, key: Key, *, width: int) -> RenditionTicket:
    """Permission to draw, once the disclosure is durable.

    Raises Failure INVALID for a width that is not offered, UNPROCESSABLE where there is no picture a rendition is made
    of, and what `Session.read` raises.
    """
    archive.registry.require_operation(key.type, OPERATION)
    if width not in WIDTHS:
        raise Failure(Category.INVALID, f"width is one of {', '.join(map(str, WIDTHS))}.", code="value")
    async with archive.custodian.session(asker.caller, OPERATION, note=asker.note) as session:
        record = await session.read(key)
        ticket = await session.content(_picture(record, base=archive.base_url), depth="opened")
        format = drawn_format(ticket.content_type)
        if format is None:
            raise Failure(Category.UNPROCESSABLE, "No rendition is made of this format.", code="not-supported")
        if ticket.size > SOURCE_MAX_BYTES:
            raise Failure(Category.UNPROCESSABLE, "The content is too large for a rendition.", code="too-costly")
    tag = rendition_tag(ticket.content.blob.digest, width=width, of=f"{key}/{record.version}")
    return RenditionTicket(ticket, format, width, tag)


async def draw(archive: Archive, permitted: RenditionTicket) -> Picture:
    """The picture. Raises what `Sandbox.draw` raises, and Failure CORRUPT for damaged content."""
    ticket = permitted.content
    return await archive.sandbox.draw(
        ticket.stream(0, ticket.size), size=ticket.size, format=permitted.format, width=permitted.width
    )


def _picture(record: Record, *, base: str) -> Key:
    """The Binary behind the first Attachment of `content` that may be a picture held here."""
    for found in find_attachments(parse_json(record.body or b"{}"), record.key.type):
        if not _CONTENT(found.path):
            continue
        url, declared = found.node.get("url"), found.node.get("contentType", "image/")
        binary_id = local_binary_id(url, base) if isinstance(url, str) else None
        if binary_id is not None and isinstance(declared, str) and declared.lower().startswith("image/"):
            return Key(BINARY, binary_id)
    raise Failure(Category.UNPROCESSABLE, "The resource holds no picture that is stored here.", code="not-found")
