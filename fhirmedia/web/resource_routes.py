"""Routes of one resource: read, vread, create, update, delete (FHIR R4, http)."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.content import download, upload, upload_resource
from fhirmedia.interactions.create import create
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.read import read, vread
from fhirmedia.interactions.update import update
from fhirmedia.web.answers import record_response, written_response
from fhirmedia.web.asked import content_type_of, is_json, key_of, type_of
from fhirmedia.web.bodies import body_chunks, resource_body
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.content_response import raw_response, resource_response
from fhirmedia.web.errors import FHIR_JSON
from fhirmedia.web.headers import (
    JSON_TYPES,
    XML_TYPES,
    accepted,
    if_match,
    require_json_answer,
    require_no_parameters,
    require_unconditional,
)

RESOURCE = "/fhir/{type}/{id}"


class ResourceRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """In the order of how often they are asked."""
        return [
            AskedRoute("GET", RESOURCE, "read", self.read),
            AskedRoute("PUT", RESOURCE, "update", self.update),
            AskedRoute("POST", "/fhir/{type}", "create", self.create),
            AskedRoute("DELETE", RESOURCE, "delete", self.delete),
            AskedRoute("GET", RESOURCE + "/_history/{version}", "vread", self.vread),
        ]

    async def read(self, request: Request, asker: Asker) -> Response:
        key = key_of(request)
        require_no_parameters(request)
        if key.type != BINARY:
            require_json_answer(request)
            return record_response(request, await read(self._archive, asker, key))
        as_resource = _wants_resource(request)
        ticket = await download(self._archive, asker, key, depth="opened" if request.method == "HEAD" else "downloaded")
        if as_resource:
            return await resource_response(request, ticket)
        return await raw_response(request, ticket)

    async def vread(self, request: Request, asker: Asker) -> Response:
        key = key_of(request)
        require_no_parameters(request)
        require_json_answer(request)
        version = request.path_params["version"]
        if not (version.isascii() and version.isdecimal()) or len(version) > 10:
            raise Failure(Category.NOT_FOUND, "There is no such version.")
        return record_response(request, await vread(self._archive, asker, key, int(version)))

    async def create(self, request: Request, asker: Asker) -> Response:
        kind = type_of(request)
        require_no_parameters(request)
        require_unconditional(request)
        require_json_answer(request)
        self._archive.registry.require(kind, "create")
        self._archive.custodian.grant(asker.caller).require("create", kind)
        if kind == BINARY and not is_json(request):
            record = await upload(
                self._archive, asker, body_chunks(request),
                content_type=content_type_of(request), key=None, expected=None,
            )  # fmt: skip
            return written_response(request, record, base_url=self._archive.base_url, created=True)
        resource = await resource_body(request)
        if kind == BINARY:
            record = await upload_resource(self._archive, asker, resource, key=None, expected=None)
        else:
            record = await create(self._archive, asker, kind, resource)
        return written_response(request, record, base_url=self._archive.base_url, created=True)

    async def update(self, request: Request, asker: Asker) -> Response:
        key, expected = key_of(request), if_match(request)
        require_no_parameters(request)
        require_json_answer(request)
        self._archive.registry.require(key.type, "update")
        self._archive.custodian.grant(asker.caller).require("update", key.type)
        if key.type == BINARY and not is_json(request):
            record = await upload(
                self._archive, asker, body_chunks(request),
                content_type=content_type_of(request), key=key, expected=expected,
            )  # fmt: skip
        else:
            resource = await resource_body(request)
            if key.type == BINARY:
                record = await upload_resource(self._archive, asker, resource, key=key, expected=expected)
            else:
                record = await update(self._archive, asker, key, resource, expected=expected)
        return written_response(request, record, base_url=self._archive.base_url, created=record.created)

    async def delete(self, request: Request, asker: Asker) -> Response:
        key, expected = key_of(request), if_match(request)
        require_no_parameters(request)
        record = await delete(self._archive, asker, key, expected=expected)
        return Response(status_code=204, headers={"ETag": f'W/"{record.version}"'})


def _wants_resource(request: Request) -> bool:
    """Whether a Binary is asked for as a FHIR resource rather than as its bytes. Raises NOT_ACCEPTABLE for FHIR XML."""
    if b"_format" in request.scope["query_string"]:
        wanted = request.query_params.get("_format", "").partition(";")[0].strip().replace(" ", "+").lower()
        as_resource = wanted in JSON_TYPES
    else:
        wanted = next(iter(accepted(request.headers.get("accept", ""))), "")
        as_resource = wanted == FHIR_JSON
    if wanted in XML_TYPES:
        require_json_answer(request)
    return as_resource
