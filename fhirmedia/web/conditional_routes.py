"""Routes of what is done on condition: to the one resource that the query of the address finds (FHIR R4, http)."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.custody.writing import Written
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.conditional import create_if_none, delete_matching, patch_matching, update_matching
from fhirmedia.r4.query_string import decode_query
from fhirmedia.web.answers import deleted_response, written_response
from fhirmedia.web.asked import query_of, type_of
from fhirmedia.web.bodies import resource_body
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.headers import OF_EVERY_REQUEST, if_match
from fhirmedia.web.negotiation import require_answer_format
from fhirmedia.web.patch_body import patch_body

IF_NONE_EXIST = "if-none-exist"
TYPE = "/fhir/{type}"


class ConditionalRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """In the order of how often they are asked."""
        return [
            AskedRoute("PUT", TYPE, "update", self.update),
            AskedRoute("DELETE", TYPE, "delete", self.delete),
            AskedRoute("PATCH", TYPE, "patch", self.patch),
        ]

    async def update(self, request: Request, asker: Asker) -> Response:
        kind, expected, pairs = type_of(request), if_match(request), _condition_of(request)
        require_answer_format(request)
        self._archive.registry.require(kind, "update")
        self._archive.registry.require(kind, "search-type")
        self._archive.custodian.grant(asker.caller).require("update", kind)
        resource = await resource_body(request)
        record = await update_matching(self._archive, asker, kind, resource, pairs=pairs, expected=expected)
        return written_response(request, record, base_url=self._archive.base_url, created=record.created)

    async def patch(self, request: Request, asker: Asker) -> Response:
        kind, expected, pairs = type_of(request), if_match(request), _condition_of(request)
        require_answer_format(request)
        self._archive.registry.require(kind, "patch")
        self._archive.registry.require(kind, "search-type")
        self._archive.custodian.grant(asker.caller).require("update", kind)
        change = await patch_body(request, kind)
        record = await patch_matching(self._archive, asker, kind, change, pairs=pairs, expected=expected)
        return written_response(request, record, base_url=self._archive.base_url, created=False)

    async def delete(self, request: Request, asker: Asker) -> Response:
        kind, expected, pairs = type_of(request), if_match(request), _condition_of(request)
        require_answer_format(request)
        self._archive.registry.require(kind, "search-type")
        record = await delete_matching(self._archive, asker, kind, pairs=pairs, expected=expected)
        return deleted_response(request, record)


async def create_on_condition(archive: Archive, request: Request, asker: Asker, kind: str) -> Written:
    """The create of a request that has If-None-Exist, which audit keeps as its query; its body is read here."""
    condition = request.headers[IF_NONE_EXIST].removeprefix("?")
    asker = replace(asker, note=replace(asker.note, raw_query=condition.encode()))
    return await create_if_none(archive, asker, kind, await resource_body(request), pairs=decode_query(condition))


def _condition_of(request: Request) -> list[tuple[str, str]]:
    return [(name, value) for name, value in query_of(request) if name not in OF_EVERY_REQUEST]
