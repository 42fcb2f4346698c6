"""Answers in FHIR JSON: compressed and indented on request, with the headers R4 names."""

import gzip

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.clock import http_date
from fhirmedia.core.records import Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.r4.codec import dump, indent
from fhirmedia.r4.outcome import all_ok
from fhirmedia.web.errors import FHIR_JSON
from fhirmedia.web.headers import accepted, not_modified, preference

COMPRESS_FROM_BYTES = 1400
"""Below one packet compression saves nothing."""

_VARY = "Accept, Accept-Encoding, Authorization, Origin"


def json_response(
    request: Request, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The body as FHIR JSON."""
    if b"_pretty=true" in request.scope["query_string"]:
        body = indent(body)
    stated = {"Content-Type": f"{FHIR_JSON}; charset=utf-8", "Vary": _VARY}
    stated |= headers or {}
    if len(body) >= COMPRESS_FROM_BYTES and "gzip" in accepted(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=1)
        stated["Content-Encoding"] = "gzip"
    return Response(body, status, stated)


def record_response(request: Request, record: Record) -> Response:
    """One version, or 304 if the client has it."""
    validators = _validators(record)
    if not_modified(request, version=record.version, changed_at=record.changed_at):
        return Response(status_code=304, headers=validators)
    return json_response(request, record.body or b"{}", headers=validators)


def written_response(request: Request, record: Record, *, base_url: str, created: bool) -> Response:
    """What a create or update answers, as `Prefer` asks."""
    headers = _validators(record)
    if created:
        # Versions of a Binary are not read by themselves, so its address names none.
        version = "" if record.key.type == BINARY else f"/_history/{record.version}"
        headers["Location"] = f"{base_url}/{record.key}{version}"
    status = 201 if created else 200
    match preference(request).returns:
        case "minimal":
            return Response(status_code=status, headers=headers)
        case "OperationOutcome":
            done = "The resource was created." if created else "The resource was updated."
            return json_response(request, dump(all_ok(done)), status=status, headers=headers)
        case "representation":
            return json_response(request, record.body or b"{}", status=status, headers=headers)


def _validators(record: Record) -> dict[str, str]:
    return {"ETag": f'W/"{record.version}"', "Last-Modified": http_date(record.changed_at)}
