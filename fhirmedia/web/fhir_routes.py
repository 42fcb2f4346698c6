"""The FHIR REST API: one parametrised route per interaction, each a few lines from its interaction."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.content import download, upload, upload_resource
from fhirmedia.interactions.create import create
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.history import history
from fhirmedia.interactions.read import read, vread
from fhirmedia.interactions.search import Where, search
from fhirmedia.interactions.update import update
from fhirmedia.r4.capability import capability_statement
from fhirmedia.r4.codec import dump
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.query_string import decode_query
from fhirmedia.web.answers import json_response, record_response, written_response
from fhirmedia.web.bodies import FORM_MAX_BYTES, RESOURCE_MAX_BYTES, body_chunks, whole_body
from fhirmedia.web.callers import AskedEndpoint, Callers, require_no_token
from fhirmedia.web.content_response import raw_response, resource_response
from fhirmedia.web.errors import FHIR_JSON
from fhirmedia.web.headers import (
    JSON_TYPES,
    XML_TYPES,
    accepted,
    if_match,
    preference,
    require_json_answer,
    require_json_body,
    require_no_parameters,
    require_unconditional,
)
from fhirmedia.web.routing import PublicRoute, TemplatedRoute

FORM = "application/x-www-form-urlencoded"


class FhirRoutes:
    """Endpoints over one Archive. None is entered, and no byte of a body read, before it is known who asks."""

    def __init__(self, archive: Archive, callers: Callers, *, version: str) -> None:
        self._archive = archive
        self._callers = callers
        self._version = version

    def routes(self) -> list[TemplatedRoute]:
        """In the order of how often they are asked; fixed words before parameters of the same shape and method."""
        resource, history_of = "/fhir/{type}/{id}", "/fhir/{type}/{id}/_history"
        return [
            self._route("GET", resource, "read", self.read),
            PublicRoute("/fhir/metadata", self.capabilities, methods=["GET"]),
            self._route("POST", "/fhir/_search", "search-system", self.search_system),
            self._route("POST", "/fhir/{type}/_search", "search-type", self.search_type),
            self._route("PUT", resource, "update", self.update),
            self._route("DELETE", resource, "delete", self.delete),
            self._route("GET", "/fhir", "search-system", self.search_system),
            self._route("GET", "/fhir/", "search-system", self.search_system),
            self._route("GET", "/fhir/{type}", "search-type", self.search_type),
            self._route("POST", "/fhir/{type}", "create", self.create),
            self._route("GET", history_of, "history-instance", self.history),
            self._route("GET", history_of + "/{version}", "vread", self.vread),
            self._route("GET", "/fhir/{compartment}/{id}/{type}", "search-type", self.search_compartment),
            self._route("POST", "/fhir/{compartment}/{id}/{type}/_search", "search-type", self.search_compartment),
        ]

    def _route(self, method: str, path: str, interaction: str, endpoint: AskedEndpoint) -> TemplatedRoute:
        return TemplatedRoute(path, self._callers.known(interaction, endpoint), methods=[method])

    async def capabilities(self, request: Request) -> Response:
        require_json_answer(request)
        statement = capability_statement(
            self._archive.registry,
            base_url=self._archive.base_url,
            software_version=self._version,
            now_ms=self._archive.clock(),
        )
        return json_response(request, dump(statement))

    async def read(self, request: Request, asker: Asker) -> Response:
        key = _key(request)
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
        key = _key(request)
        require_no_parameters(request)
        require_json_answer(request)
        version = request.path_params["version"]
        if not (version.isascii() and version.isdecimal()) or len(version) > 10:
            raise Failure(Category.NOT_FOUND, "There is no such version.")
        return record_response(request, await vread(self._archive, asker, key, int(version)))

    async def history(self, request: Request, asker: Asker) -> Response:
        key = _key(request)
        require_json_answer(request)
        return json_response(request, await history(self._archive, asker, key, _query(request)))

    async def create(self, request: Request, asker: Asker) -> Response:
        kind = _type(request)
        require_no_parameters(request)
        require_unconditional(request)
        require_json_answer(request)
        self._archive.registry.require(kind, "create")
        self._archive.custodian.grant(asker.caller).require("create", kind)
        if kind == BINARY and not _is_json(request):
            record = await upload(
                self._archive, asker, body_chunks(request), content_type=_content_type(request), key=None, expected=None
            )
            return written_response(request, record, base_url=self._archive.base_url, created=True)
        require_json_body(request)
        content = await whole_body(request, limit=RESOURCE_MAX_BYTES)
        if kind == BINARY:
            record = await upload_resource(self._archive, asker, content, key=None, expected=None)
        else:
            record = await create(self._archive, asker, kind, content)
        return written_response(request, record, base_url=self._archive.base_url, created=True)

    async def update(self, request: Request, asker: Asker) -> Response:
        key, expected = _key(request), if_match(request)
        require_no_parameters(request)
        require_json_answer(request)
        self._archive.registry.require(key.type, "update")
        self._archive.custodian.grant(asker.caller).require("update", key.type)
        if key.type == BINARY and not _is_json(request):
            record = await upload(
                self._archive, asker, body_chunks(request),
                content_type=_content_type(request), key=key, expected=expected,
            )  # fmt: skip
        else:
            require_json_body(request)
            content = await whole_body(request, limit=RESOURCE_MAX_BYTES)
            if key.type == BINARY:
                record = await upload_resource(self._archive, asker, content, key=key, expected=expected)
            else:
                record = await update(self._archive, asker, key, content, expected=expected)
        return written_response(request, record, base_url=self._archive.base_url, created=record.method == "create")

    async def delete(self, request: Request, asker: Asker) -> Response:
        key, expected = _key(request), if_match(request)
        require_no_parameters(request)
        record = await delete(self._archive, asker, key, expected=expected)
        return Response(status_code=204, headers={"ETag": f'W/"{record.version}"'})

    async def search_system(self, request: Request, asker: Asker) -> Response:
        return await self._search(request, asker, Where())

    async def search_type(self, request: Request, asker: Asker) -> Response:
        return await self._search(request, asker, Where(_type(request)))

    async def search_compartment(self, request: Request, asker: Asker) -> Response:
        parameters = request.path_params
        kind = None if parameters["type"] == "*" else _type(request)
        return await self._search(request, asker, Where(kind, (parameters["compartment"], parameters["id"])))

    async def _search(self, request: Request, asker: Asker, where: Where) -> Response:
        require_json_answer(request)
        parameters = _query(request)
        if request.method == "POST":
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                raise Failure(Category.UNSUPPORTED_MEDIA, f"A search is posted as {FORM}.")
            form = await whole_body(request, limit=FORM_MAX_BYTES)
            require_no_token(form)
            parameters += decode_query(form)
            raw = b"&".join(part for part in (asker.note.raw_query, form) if part)
            asker = replace(asker, note=replace(asker.note, raw_query=raw))
        lenient = preference(request).lenient
        return json_response(request, await search(self._archive, asker, where, parameters, lenient=lenient))


def _type(request: Request) -> str:
    kind: str = request.path_params["type"]
    request.state.resource_type = kind if kind in resource_types() else None
    return kind


def _key(request: Request) -> Key:
    identity = request.path_params["id"]
    if not FHIR_ID.match(identity):
        raise Failure(Category.NOT_FOUND, "There is no such resource.")
    return Key(_type(request), identity)


def _query(request: Request) -> list[tuple[str, str]]:
    return decode_query(request.scope["query_string"])


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in JSON_TYPES


def _content_type(request: Request) -> str:
    declared = request.headers.get("content-type")
    if declared is None:
        raise Failure(Category.UNSUPPORTED_MEDIA, "The content must be announced with its media type.")
    return declared


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
