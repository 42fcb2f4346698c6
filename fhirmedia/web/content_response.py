"""How bytes leave: headers that keep a browser from running them, ranges, validators, and a stream in between."""

import base64
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhirmedia.core.clock import http_date
from fhirmedia.core.digests import sha256_hex
from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.content import ContentTicket
from fhirmedia.media.sniff import is_inert
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.xml_out import to_xml
from fhirmedia.web.errors import STATUS, failure_response
from fhirmedia.web.headers import has_tag
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_XML, Format
from fhirmedia.web.ranges import Span, parse_range

WHOLE_BYTES = 2**20
"""A run up to this long is read and checked as a whole before it is sent."""


def is_of_part(request: Request) -> bool:
    """Whether a part of content is asked for; which part there is, if any, is found out when the size is known."""
    return request.method == "GET" and "range" in request.headers


async def raw_response(request: Request, ticket: ContentTicket) -> Response:
    """The bytes themselves: 200, 206, 304 or 416."""
    headers = _headers(ticket)
    if has_tag(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    spans = _spans(request, ticket, headers)
    if isinstance(spans, Response):
        return spans
    whole = [(0, ticket.size)]
    wanted = spans or whole
    status = 206 if spans else 200
    content_type = ticket.content_type
    if len(wanted) > 1:
        return await _multipart(ticket, wanted, headers, content_type)
    (start, stop) = wanted[0]
    headers |= {"Content-Type": content_type, "Content-Length": str(stop - start)}
    if spans:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{ticket.size}"
    if request.method == "HEAD" or start == stop:
        return Response(status_code=status, headers=headers)
    if stop - start <= WHOLE_BYTES:
        return Response(b"".join([chunk async for chunk in ticket.stream(start, stop)]), status, headers)
    return StreamingResponse(ticket.delivery(await _begun(ticket.stream(start, stop))), status, headers)


async def resource_response(request: Request, ticket: ContentTicket, *, form: Format) -> Response:
    """The Binary as FHIR JSON or XML: its stored body, with `data` encoded on the way."""
    body = ticket.record.body or b"{}"
    tag = f'"{sha256_hex(ticket.content.blob.digest)[:32]}-{ticket.record.version}-{form}"'
    headers = {"ETag": tag, "Content-Type": FHIR_JSON if form == "json" else FHIR_XML}
    if has_tag(request, tag):
        return Response(status_code=304, headers=headers)
    encoded = -(-ticket.size // 3) * 4
    opened, closing = body[:-1] + b',"data":"', b'"}'
    if form == "xml":
        body = to_xml(parse_json(body))
        # The last element of a Binary is its data.
        opened, closing = body.removesuffix(b"</Binary>") + b'<data value="', b'"/></Binary>'
    data_is_empty = ticket.size == 0
    headers["Content-Length"] = str(len(body) if data_is_empty else len(opened) + encoded + len(closing))
    if request.method == "HEAD" or data_is_empty:
        return Response(body if data_is_empty else b"", 200, headers)

    content = await _begun(ticket.stream(0, ticket.size))

    async def parts() -> AsyncIterator[bytes]:
        yield opened
        async for chunk in _base64(content):
            yield chunk
        yield closing

    return StreamingResponse(ticket.delivery(parts()), 200, headers)


def _headers(ticket: ContentTicket) -> dict[str, str]:
    digest = sha256_hex(ticket.content.blob.digest)
    shown = "inline" if is_inert(ticket.content_type) else "attachment"
    return {
        "ETag": f'"{digest[:32]}-{ticket.record.version}"',
        "Last-Modified": http_date(ticket.record.changed_at),
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": shown,
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _spans(request: Request, ticket: ContentTicket, headers: dict[str, str]) -> list[Span] | Response | None:
    given = request.headers.get("range")
    condition = request.headers.get("if-range")
    if given is None or request.method != "GET":
        return None
    if condition is not None and condition not in (headers["ETag"], headers["Last-Modified"]):
        return None
    try:
        return parse_range(given, ticket.size)
    except Failure as failure:
        response = failure_response(failure, request.scope)
        response.headers["Content-Range"] = f"bytes */{ticket.size}"
        response.status_code = STATUS[Category.RANGE]
        return response


async def _multipart(
    ticket: ContentTicket, spans: Sequence[Span], headers: dict[str, str], content_type: str
) -> Response:
    boundary = uuid4().hex
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
        f"Content-Range: bytes {start}-{stop - 1}/{ticket.size}\r\n\r\n".encode()
        for start, stop in spans
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = sum(map(len, heads)) + sum(stop - start for start, stop in spans) + len(tail)

    first = await _begun(ticket.stream(*spans[0]))
    streams = (first, *(ticket.stream(start, stop) for start, stop in spans[1:]))

    async def parts() -> AsyncIterator[bytes]:
        for head, stream in zip(heads, streams, strict=True):
            yield head
            async for chunk in stream:
                yield chunk
        yield tail

    headers |= {"Content-Type": f"multipart/byteranges; boundary={boundary}", "Content-Length": str(length)}
    return StreamingResponse(ticket.delivery(parts()), 206, headers)


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks, the first already read: if it is damaged, the answer can still be a failure."""
    first = await anext(chunks, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_of_them()


async def _base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        joined = rest + chunk
        even = len(joined) - len(joined) % 3
        rest = joined[even:]
        yield base64.b64encode(joined[:even])
    if rest:
        yield base64.b64encode(rest)
