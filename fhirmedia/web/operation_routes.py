"""Routes of operations: one address each, below the resource, type or base they work on (FHIR R4, operations)."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.everything import INTERACTION as EVERYTHING
from fhirmedia.web.access_log_response import access_log_response
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.everything_response import everything_response
from fhirmedia.web.meta_response import meta_change_response, meta_response
from fhirmedia.web.rendition_response import rendition_response
from fhirmedia.web.validate_response import validate_response

INSTANCE = "/fhir/{type}/{id}"


class OperationRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """In the order of how often they are asked."""
        return [
            AskedRoute("GET", INSTANCE + "/$rendition", "rendition", self.rendition),
            AskedRoute("GET", INSTANCE + "/$everything", EVERYTHING, self.everything),
            AskedRoute("POST", INSTANCE + "/$everything", EVERYTHING, self.everything),
            AskedRoute("GET", INSTANCE + "/$access-log", "access-log", self.access_log),
            AskedRoute("POST", "/fhir/{type}/$validate", "validate", self.validate),
            AskedRoute("GET", INSTANCE + "/$validate", "validate", self.validate),
            AskedRoute("POST", INSTANCE + "/$validate", "validate", self.validate),
            AskedRoute("GET", INSTANCE + "/$meta", "meta", self.meta),
            AskedRoute("POST", INSTANCE + "/$meta", "meta", self.meta),
            AskedRoute("POST", INSTANCE + "/$meta-add", "meta-add", self.meta_add),
            AskedRoute("POST", INSTANCE + "/$meta-delete", "meta-delete", self.meta_delete),
        ]

    async def rendition(self, request: Request, asker: Asker) -> Response:
        return await rendition_response(self._archive, request, asker)

    async def everything(self, request: Request, asker: Asker) -> Response:
        return await everything_response(self._archive, request, asker)

    async def access_log(self, request: Request, asker: Asker) -> Response:
        return await access_log_response(self._archive, request, asker)

    async def validate(self, request: Request, asker: Asker) -> Response:
        return await validate_response(self._archive, request, asker)

    async def meta(self, request: Request, asker: Asker) -> Response:
        return await meta_response(self._archive, request, asker)

    async def meta_add(self, request: Request, asker: Asker) -> Response:
        return await meta_change_response(self._archive, request, asker, "meta-add")

    async def meta_delete(self, request: Request, asker: Asker) -> Response:
        return await meta_change_response(self._archive, request, asker, "meta-delete")
