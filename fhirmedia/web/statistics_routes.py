"""Routes of operations that take the parameters of a search: $media-stats and $explain-search, wherever searches go."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions import explain_search as explaining
from fhirmedia.interactions import media_stats as counting
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import Where
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import type_of
from fhirmedia.web.callers import AskedEndpoint, AskedRoute
from fhirmedia.web.headers import preference
from fhirmedia.web.search_routes import searched


class StatisticsRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """By address or by form, as searches are."""
        places: tuple[tuple[str, Callable[[Request], Where]], ...] = (
            ("/fhir", lambda _request: Where()),
            ("/fhir/{type}", lambda request: Where(type_of(request))),
            ("/fhir/{compartment}/{id}", _in_compartment),
        )
        return [
            AskedRoute(method, f"{path}/${name}", name, self._endpoint(name, where))
            for name in _OPERATIONS
            for path, where in places
            for method in ("GET", "POST")
        ]

    def _endpoint(self, name: str, where: Callable[[Request], Where]) -> AskedEndpoint:
        run = _OPERATIONS[name]

        async def endpoint(request: Request, asker: Asker) -> Response:
            place = where(request)
            asker, parameters = await searched(request, asker)
            lenient = preference(request).lenient
            return fhir_response(request, await run(self._archive, asker, place, parameters, lenient=lenient))

        return endpoint


def _in_compartment(request: Request) -> Where:
    return Where(None, (request.path_params["compartment"], request.path_params["id"]))


_OPERATIONS: dict[str, Callable[..., Awaitable[bytes]]] = {
    counting.OPERATION: counting.media_stats,
    explaining.OPERATION: explaining.explain_search,
}
