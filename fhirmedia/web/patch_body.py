"""The body of a PATCH: JSON Patch or FHIRPath Patch, told apart by its media type."""

import asyncio

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.patch import Patch
from fhirmedia.r4.fhirpath_patch import read_fhirpath_patch
from fhirmedia.r4.json_in import parse_json_array
from fhirmedia.r4.json_patch import read_json_patch
from fhirmedia.web.bodies import LONG_BYTES, RESOURCE_MAX_BYTES, resource_body, whole_body
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_XML, media_type

JSON_PATCH = "application/json-patch+json"
_XML_PATCH = "application/xml-patch+xml"


async def patch_body(request: Request, kind: str) -> Patch:
    """The change that is asked of a resource of this type.

    Raises Failure UNSUPPORTED_MEDIA, TOO_LARGE, INVALID, UNPROCESSABLE.
    """
    announced = media_type(request.headers.get("content-type", ""))
    if announced.name == JSON_PATCH:
        if not announced.is_ours:
            raise Failure(Category.UNSUPPORTED_MEDIA, "A JSON Patch is written in UTF-8.")
        content = await whole_body(request, limit=RESOURCE_MAX_BYTES)
        is_long = len(content) >= LONG_BYTES
        listed = await asyncio.to_thread(parse_json_array, content) if is_long else parse_json_array(content)
        return read_json_patch(listed)
    if announced.name == _XML_PATCH:
        text = (
            f"XML Patch is not supported; JSON Patch ({JSON_PATCH}) and FHIRPath Patch ({FHIR_JSON}, {FHIR_XML}) are."
        )
        raise Failure(Category.UNSUPPORTED_MEDIA, text)
    try:
        parameters = await resource_body(request)
    except Failure as failure:
        if failure.category is not Category.UNSUPPORTED_MEDIA:
            raise
        text = f"A patch is a JSON Patch ({JSON_PATCH}) or a FHIRPath Patch ({FHIR_JSON}, {FHIR_XML})."
        raise Failure(Category.UNSUPPORTED_MEDIA, text) from None
    return read_fhirpath_patch(parameters, type=kind)
