"""$meta, $meta-add and $meta-delete over HTTP."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.meta import change_meta, meta
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.meta_change import MetaChange, meta_addition, meta_removal, stated_meta
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import key_of
from fhirmedia.web.bodies import resource_body
from fhirmedia.web.headers import if_match, require_no_parameters
from fhirmedia.web.negotiation import require_answer_format

_CHANGES: Mapping[str, Callable[[JsonObject], MetaChange]] = {"meta-add": meta_addition, "meta-delete": meta_removal}


async def meta_response(archive: Archive, request: Request, asker: Asker) -> Response:
    """200 with Parameters that hold the meta of the resource."""
    key = key_of(request)
    require_no_parameters(request)
    require_answer_format(request)
    return fhir_response(request, dump(await meta(archive, asker, key)))


async def meta_change_response(archive: Archive, request: Request, asker: Asker, operation: str) -> Response:
    """200 with Parameters that hold the meta as it is after `meta-add` or `meta-delete`."""
    key, expected = key_of(request), if_match(request)
    require_no_parameters(request)
    require_answer_format(request)
    archive.registry.require_operation(key.type, operation)
    archive.custodian.grant(asker.caller).require("update", key.type)
    changing = _CHANGES[operation](stated_meta(await resource_body(request)))
    return fhir_response(
        request, dump(await change_meta(archive, asker, key, changing, operation=operation, expected=expected))
    )
