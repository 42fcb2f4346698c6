"""Routes of $media-stats, at every place a search can be sent to."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.media_stats import OPERATION, media_stats
from fhirmedia.interactions.search import Where
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import type_of
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.headers import preference
from fhirmedia.web.search_routes import searched


class StatisticsRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """By address or by form, as searches are."""
        places = (
            ("/fhir", self.of_everything),
            ("/fhir/{type}", self.of_type),
            ("/fhir/{compartment}/{id}", self.of_compartment),
        )
        return [
            AskedRoute(method, f"{place}/${OPERATION}", OPERATION, endpoint)
            for place, endpoint in places
            for method in ("GET", "POST")
        ]

    async def of_everything(self, request: Request, asker: Asker) -> Response:
        return await self._count(request, asker, Where())

    async def of_type(self, request: Request, asker: Asker) -> Response:
        return await self._count(request, asker, Where(type_of(request)))

    async def of_compartment(self, request: Request, asker: Asker) -> Response:
        named = request.path_params
        return await self._count(request, asker, Where(None, (named["compartment"], named["id"])))

    async def _count(self, request: Request, asker: Asker, where: Where) -> Response:
        asker, parameters = await searched(request, asker)
        lenient = preference(request).lenient
        return fhir_response(request, await media_stats(self._archive, asker, where, parameters, lenient=lenient))
