"""Routes of one resource: read, vread, create, update, patch, delete (FHIR R4, http)."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.content import download, upload, upload_resource
from fhirmedia.interactions.create import create
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.patch import patch
from fhirmedia.interactions.read import read, vread
from fhirmedia.interactions.update import update
from fhirmedia.web.answers import deleted_response, record_response, written_response
from fhirmedia.web.asked import content_type_of, is_resource, key_of, type_of
from fhirmedia.web.bodies import body_chunks, resource_body
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.conditional_routes import IF_NONE_EXIST, create_on_condition
from fhirmedia.web.content_response import is_of_part, raw_response, resource_response
from fhirmedia.web.headers import expected_of, if_match, require_no_parameters
from fhirmedia.web.negotiation import binary_format, require_answer_format
from fhirmedia.web.parts import part_of
from fhirmedia.web.patch_body import patch_body
from fhirmedia.web.request_log import note

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
            AskedRoute("PATCH", RESOURCE, "patch", self.patch),
            AskedRoute("DELETE", RESOURCE, "delete", self.delete),
            AskedRoute("GET", RESOURCE + "/_history/{version}", "vread", self.vread),
        ]

    async def read(self, request: Request, asker: Asker) -> Response:
        key = key_of(request)
        if key.type != BINARY:
            require_answer_format(request)
            part = part_of(request, self._archive.registry.served(key.type).name, self._archive.registry)
            return record_response(request, part.of(await read(self._archive, asker, key)))
        require_no_parameters(request)
        form = binary_format(request)
        depth: Literal["opened", "downloaded"] = "opened" if request.method == "HEAD" else "downloaded"
        is_part = form is None and is_of_part(request)
        ticket = await download(self._archive, asker, key, depth=depth, is_part=is_part)
        if is_part:
            note(request.scope, "disclosure", str(ticket.row))
        if form is not None:
            return await resource_response(request, ticket, form=form)
        return await raw_response(request, ticket)

    async def vread(self, request: Request, asker: Asker) -> Response:
        key = key_of(request)
        require_no_parameters(request)
        require_answer_format(request)
        version = request.path_params["version"]
        if not (version.isascii() and version.isdecimal()) or len(version) > 10:
            raise Failure(Category.NOT_FOUND, "There is no such version.")
        return record_response(request, await vread(self._archive, asker, key, int(version)))

    async def create(self, request: Request, asker: Asker) -> Response:
        kind = type_of(request)
        require_no_parameters(request)
        require_answer_format(request)
        self._archive.registry.require(kind, "create")
        self._archive.custodian.grant(asker.caller).require("create", kind)
        if IF_NONE_EXIST in request.headers:
            made = await create_on_condition(self._archive, request, asker, kind)
            return written_response(
                request, made.record, base_url=self._archive.base_url, created=not made.found, found=made.found
            )
        if kind == BINARY and not is_resource(request):
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
        key, expected = key_of(request), expected_of(request)
        require_no_parameters(request)
        require_answer_format(request)
        self._archive.registry.require(key.type, "update")
        self._archive.custodian.grant(asker.caller).require("update", key.type)
        if key.type == BINARY and not is_resource(request):
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

    async def patch(self, request: Request, asker: Asker) -> Response:
        key, expected = key_of(request), if_match(request)
        require_no_parameters(request)
        require_answer_format(request)
        self._archive.registry.require(key.type, "patch")
        self._archive.custodian.grant(asker.caller).require("update", key.type)
        change = await patch_body(request, key.type)
        record = await patch(self._archive, asker, key, change, expected=expected)
        return written_response(request, record, base_url=self._archive.base_url, created=False)

    async def delete(self, request: Request, asker: Asker) -> Response:
        key, expected = key_of(request), if_match(request)
        require_no_parameters(request)
        require_answer_format(request)
        return deleted_response(request, await delete(self._archive, asker, key, expected=expected))
