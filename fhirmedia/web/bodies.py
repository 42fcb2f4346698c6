"""Request bodies: streamed, or read up to a limit; never touched before the caller is known."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.xml_in import parse_xml
from fhirmedia.web.body_digests import BodyCheck
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_VERSION, FHIR_XML, JSON_TYPES, XML_TYPES, media_type

RESOURCE_MAX_BYTES = 16 * 2**20
FORM_MAX_BYTES = 256 * 2**10

LONG_BYTES = 2**20
"""A body from this size on is read in a thread: others are answered meanwhile."""


async def resource_body(request: Request, *, limit: int = RESOURCE_MAX_BYTES) -> JsonObject:
    """The body, FHIR JSON or XML, as FHIR JSON's object, unchecked. Raises UNSUPPORTED_MEDIA, TOO_LARGE, INVALID."""
    announced = media_type(request.headers.get("content-type", ""))
    if announced.name not in JSON_TYPES and announced.name not in XML_TYPES:
        raise Failure(Category.UNSUPPORTED_MEDIA, f"The body must be FHIR JSON or XML ({FHIR_JSON}, {FHIR_XML}).")
    if not announced.is_ours:
        raise Failure(Category.UNSUPPORTED_MEDIA, f"The body must be FHIR {FHIR_VERSION}, written in UTF-8.")
    content = await whole_body(request, limit=limit)
    parse = parse_json if announced.name in JSON_TYPES else parse_xml
    return parse(content) if len(content) < LONG_BYTES else await asyncio.to_thread(parse, content)


async def whole_body(request: Request, *, limit: int) -> bytes:
    """The body in memory. Raises TOO_LARGE as soon as it is known to be over the limit."""
    _require_length(request, limit)
    gathered = bytearray()
    async for chunk in body_chunks(request):
        gathered += chunk
        if len(gathered) > limit:
            raise Failure(Category.TOO_LARGE, "The body is over the limit.")
    return bytes(gathered)


def body_chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises INVALID if the client goes away, sends less than it announced or another body than the digest it declares,
    UNSUPPORTED_MEDIA if it is compressed.
    """
    return _chunks(request)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Failure(Category.UNSUPPORTED_MEDIA, "A body is sent without a content encoding.")
    announced = request.headers.get("content-length")
    check = BodyCheck(request)
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            check.take(chunk)
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise Failure(Category.INVALID, "The body ended before its announced length.") from None
    if announced is not None and received != int(announced):
        raise Failure(Category.INVALID, "The body ended before its announced length.")
    check.finish()


def _require_length(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise Failure(Category.TOO_LARGE, "The body is over the limit.")
