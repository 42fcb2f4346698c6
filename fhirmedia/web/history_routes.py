"""Routes of history (FHIR R4, http 3.1.0.12)."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.history import Of, history
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import key_of, query_of, type_of
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.negotiation import require_answer_format


class HistoryRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """The versions of one resource, of a type, and of everything."""
        return [
            AskedRoute("GET", "/fhir/{type}/{id}/_history", "history-instance", self.of_resource),
            AskedRoute("GET", "/fhir/{type}/_history", "history-type", self.of_type),
            AskedRoute("GET", "/fhir/_history", "history-system", self.of_system),
        ]

    async def of_resource(self, request: Request, asker: Asker) -> Response:
        return await self._history(request, asker, key_of(request))

    async def of_type(self, request: Request, asker: Asker) -> Response:
        return await self._history(request, asker, type_of(request))

    async def of_system(self, request: Request, asker: Asker) -> Response:
        return await self._history(request, asker, None)

    async def _history(self, request: Request, asker: Asker, of: Of) -> Response:
        require_answer_format(request)
        return fhir_response(request, await history(self._archive, asker, of, query_of(request)))
