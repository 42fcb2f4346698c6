"""A resource on its way in: checked, its inline content lifted out."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable

from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.ids import new_id
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.session import Session
from fhirmedia.interactions.archive import Archive
from fhirmedia.media.sniff import HEAD_BYTES, agrees, is_content_type
from fhirmedia.r4.attachments import find_attachments
from fhirmedia.r4.checker import check
from fhirmedia.r4.identifier_rules import check_identifiers
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.model import check_model, needs_model
from fhirmedia.r4.profile_rules import claimed_issues
from fhirmedia.r4.references import is_conditional, iter_references
from fhirmedia.r4.summary import SUBSETTED

OCTETS = "application/octet-stream"


def resource_in(archive: Archive, resource: JsonObject, *, kind: str) -> JsonObject:
    """The resource as sent, seen to be valid R4 of this type. Raises Failure INVALID with every issue found."""
    errors = [issue for issue in findings(archive, resource, kind=kind) if issue.severity == "error"]
    if errors:
        raise Failure(Category.INVALID, issues=errors)
    return resource


def findings(archive: Archive, resource: JsonObject, *, kind: str) -> list[Issue]:
    """What is wrong with a resource that is to be of this type: by R4, by this server's rules, by profiles it claims.

    Warnings come from profiles only.
    """
    issues: list[Issue] = check(resource, type=kind)
    if not issues and needs_model(resource, type=kind):
        issues = check_model(resource, type=kind)
    if not issues:
        issues = [
            *check_identifiers(resource, environment=archive.settings.environment),
            *_conditional_references(resource, kind),
            *_partial(resource, kind),
            *claimed_issues(resource, type=kind),
        ]
    return issues


def _partial(resource: JsonObject, kind: str) -> list[Issue]:
    """An issue if the resource is tagged as a part of itself: stored, it would take the place of the whole."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    for index, tag in enumerate(tags if isinstance(tags, list) else []):
        if isinstance(tag, dict) and (tag.get("system"), tag.get("code")) == (SUBSETTED["system"], SUBSETTED["code"]):
            text = "A resource tagged SUBSETTED is only a part and cannot be stored; read it whole first."
            return [Issue("business-rule", text, f"{kind}.meta.tag[{index}]")]
    return []


def _conditional_references(resource: JsonObject, kind: str) -> list[Issue]:
    text = "A reference by search is resolved in transactions only."
    return [
        Issue("not-supported", text, path) for path, given in iter_references(resource, kind) if is_conditional(given)
    ]


def holds_content(resource: JsonObject) -> bool:
    """Whether there is inline `data` to lift."""
    return any("data" in found.node for found in find_attachments(resource, str(resource["resourceType"])))


async def lift(
    archive: Archive,
    session: Session,
    resource: JsonObject,
    *,
    name: Callable[[str, bytes], str] = lambda _path, _content: new_id(),
) -> None:
    """Store every inline `data` and put the reference of a Binary in its place, its id by path and content.

    Raises Failure TOO_LARGE above the inline limit, INVALID where the content is not of its declared type.
    """
    for found in find_attachments(resource, str(resource["resourceType"])):
        data = found.node.get("data")
        if not isinstance(data, str):
            continue
        declared = found.node.get("contentType")
        content_type = declared if isinstance(declared, str) else OCTETS
        inline = decode_inline(archive, data, path=f"{found.path}.data")
        require_type(inline[:HEAD_BYTES], content_type=content_type, path=f"{found.path}.contentType")
        binary_id = name(found.path, inline)
        await session.receive(_once(inline), content_type=content_type, binary_id=binary_id)
        del found.node["data"]
        found.node["url"] = f"{BINARY}/{binary_id}"


def decode_inline(archive: Archive, data: str, *, path: str) -> bytes:
    """The bytes of a base64Binary. Raises Failure TOO_LARGE above the inline limit, INVALID for other text."""
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except binascii.Error:
        raise Failure(Category.INVALID, "The data is not base64.", code="value", expression=path) from None
    if len(content) > archive.settings.inline_max:
        raise Failure(
            Category.TOO_LARGE, "Inline content is over the limit; send it to POST /fhir/Binary.", expression=path
        )
    return content


def require_type(head: bytes, *, content_type: str, path: str | None) -> None:
    """Raise Failure INVALID unless content that starts like this may be called by this media type."""
    if not is_content_type(content_type):
        raise Failure(Category.INVALID, "The content type is not a media type.", code="value", expression=path)
    if not agrees(content_type, head):
        raise Failure(Category.INVALID, "The content is not of the declared type.", code="value", expression=path)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
