"""Answers in FHIR JSON or XML: compressed and indented on request, with the headers R4 names."""

import gzip

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.clock import http_date
from fhirmedia.core.records import Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.r4.codec import dump, indent
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.outcome import all_ok
from fhirmedia.r4.xml_out import to_xml
from fhirmedia.web.exchange import Answer
from fhirmedia.web.headers import accepted, not_modified, preference
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_XML, answer_format, is_pretty

COMPRESS_FROM_BYTES = 1400
"""Below one packet compression saves nothing."""

_JSON = f"{FHIR_JSON}; charset=utf-8".encode()
_XML = f"{FHIR_XML}; charset=utf-8".encode()
_VARY = (b"vary", b"Accept, Accept-Encoding, Authorization, Origin")


def fhir_response(
    request: Request, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The body, which is FHIR JSON, in the form that was settled on."""
    content_type = _JSON
    if answer_format(request.scope) == "xml":
        content_type = _XML
        body = to_xml(parse_json(body), pretty=is_pretty(request.scope))
    elif is_pretty(request.scope):
        body = indent(body)
    stated = [(b"content-type", content_type), _VARY]
    stated += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    if len(body) >= COMPRESS_FROM_BYTES and "gzip" in accepted(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=1)
        stated.append((b"content-encoding", b"gzip"))
    return Answer(body, status, stated)


def record_response(request: Request, record: Record) -> Response:
    """One version, or 304 if the client has it."""
    validators = _validators(record)
    if not_modified(request, version=record.version, changed_at=record.changed_at):
        return Response(status_code=304, headers=validators)
    return fhir_response(request, record.body or b"{}", headers=validators)


def written_response(
    request: Request, record: Record, *, base_url: str, created: bool, found: bool = False
) -> Response:
    """What a create or update answers, as `Prefer` asks, but no body that may not be read.

    `found` is what a conditional create came upon.
    """
    headers = _validators(record)
    if created or found:
        # Versions of a Binary are not read by themselves, so its address names none.
        version = "" if record.key.type == BINARY else f"/_history/{record.version}"
        headers["Location"] = f"{base_url}/{record.key}{version}"
    status = 201 if created else 200
    match preference(request).returns:
        case "minimal":
            return Response(status_code=status, headers=headers)
        case "OperationOutcome":
            done = "The resource was created." if created else "The resource was updated."
            done = "The resource was there already." if found else done
            return fhir_response(request, dump(all_ok(done)), status=status, headers=headers)
        case "representation":
            if record.body is None:
                return Response(status_code=status, headers=headers)
            return fhir_response(request, record.body, status=status, headers=headers)


def deleted_response(request: Request, record: Record) -> Response:
    """What a delete answers: nothing, unless `Prefer` asks for an OperationOutcome."""
    headers = {"ETag": f'W/"{record.version}"'}
    if preference(request).returns == "OperationOutcome":
        return fhir_response(request, dump(all_ok("The resource was deleted.")), headers=headers)
    return Response(status_code=204, headers=headers)


def _validators(record: Record) -> dict[str, str]:
    return {"ETag": f'W/"{record.version}"', "Last-Modified": http_date(record.changed_at)}
