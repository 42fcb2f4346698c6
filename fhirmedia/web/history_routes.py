"""Routes of history (FHIR R4, http 3.1.0.9)."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.history import history
from fhirmedia.web.answers import json_response
from fhirmedia.web.asked import key_of, query_of
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.headers import require_json_answer


class HistoryRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """The versions of one resource."""
        return [AskedRoute("GET", "/fhir/{type}/{id}/_history", "history-instance", self.history)]

    async def history(self, request: Request, asker: Asker) -> Response:
        key = key_of(request)
        require_json_answer(request)
        return json_response(request, await history(self._archive, asker, key, query_of(request)))
