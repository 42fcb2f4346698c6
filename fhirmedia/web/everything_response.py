"""The answer to $everything: a Bundle sent as it is made; in XML, or indented, it has to be whole first."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.everything import everything
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query_string import encode_query
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import key_of, query_of
from fhirmedia.web.bodies import FORM_MAX_BYTES, resource_body
from fhirmedia.web.negotiation import FHIR_JSON, answer_format, is_pretty, require_answer_format

_VALUES = ("valueDate", "valueDateTime", "valueInstant", "valueCode", "valueString", "valueInteger", "valuePositiveInt")


async def everything_response(archive: Archive, request: Request, asker: Asker) -> Response:
    """200 with the Bundle; parameters stand in the address, or in a Parameters resource that is posted."""
    require_answer_format(request)
    key, parameters = key_of(request), query_of(request)
    archive.registry.require_operation(key.type, "everything")
    archive.custodian.grant(asker.caller).require("read", key.type)
    if request.method == "POST" and "content-type" in request.headers and request.headers.get("content-length") != "0":
        posted = _pairs(await resource_body(request, limit=FORM_MAX_BYTES))
        raw = b"&".join(part for part in (asker.note.raw_query, encode_query(tuple(posted)).encode()) if part)
        asker = replace(asker, note=replace(asker.note, raw_query=raw))
        parameters += posted
    parts = await everything(archive, asker, key, parameters)
    if answer_format(request.scope) == "xml" or is_pretty(request.scope):
        return fhir_response(request, b"".join([part async for part in parts]))
    headers = {"Content-Type": f"{FHIR_JSON}; charset=utf-8", "Vary": "Accept, Authorization, Origin"}
    return StreamingResponse(parts, headers=headers)


def _pairs(resource: JsonObject) -> list[tuple[str, str]]:
    """The parameters of a Parameters resource as they would stand in an address. Raises INVALID for any other form."""
    given = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(given, list):
        raise Failure(Category.INVALID, "The body must be a Parameters resource.")
    pairs = []
    for number, each in enumerate(given):
        if not isinstance(each, dict) or not isinstance(name := each.get("name"), str):
            raise _malformed(number)
        values = [each[member] for member in _VALUES if member in each]
        if len(values) != 1 or len(each) != 2 or not isinstance(values[0], str | int) or isinstance(values[0], bool):
            raise _malformed(number)
        pairs.append((name, str(values[0])))
    return pairs


def _malformed(number: int) -> Failure:
    text = "A parameter of the operation has a name and one value."
    return Failure(Category.INVALID, text, expression=f"Parameters.parameter[{number}]")
