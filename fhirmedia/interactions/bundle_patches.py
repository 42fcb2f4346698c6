"""The patch that an entry of a Bundle holds as a resource: Parameters, or a JSON Patch in a Binary (FHIR R4, http)."""

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.archive import Archive
from fhirmedia.interactions.patch import Patch
from fhirmedia.interactions.resource_in import decode_inline, resource_in
from fhirmedia.media.sniff import essence
from fhirmedia.r4.fhirpath_patch import PARAMETERS, read_fhirpath_patch
from fhirmedia.r4.json_in import parse_json_array
from fhirmedia.r4.json_patch import read_json_patch
from fhirmedia.r4.json_types import JsonObject

JSON_PATCH = "application/json-patch+json"


def patch_in(archive: Archive, sent: JsonObject, *, kind: str) -> Patch:
    """The change that is asked of a resource of this type. Raises Failure INVALID, UNPROCESSABLE, TOO_LARGE."""
    if sent.get("resourceType") == PARAMETERS:
        return read_fhirpath_patch(sent, type=kind)
    if sent.get("resourceType") == BINARY:
        binary = resource_in(archive, sent, kind=BINARY)
        if essence(str(binary["contentType"])) == JSON_PATCH:
            data = binary.get("data")
            content = decode_inline(archive, data if isinstance(data, str) else "", path=f"{BINARY}.data")
            return read_json_patch(parse_json_array(content))
    text = f"A patch in a Bundle is a {PARAMETERS} (FHIRPath Patch) or a {BINARY} of type {JSON_PATCH}."
    raise Failure(Category.INVALID, text, code="not-supported")
