"""The FHIR REST API: the groups of routes joined, each route behind the question who asks."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from itertools import chain

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive
from fhirmedia.r4.capability import capability_statement
from fhirmedia.r4.codec import dump
from fhirmedia.r4.registry import Registry
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.bundle_routes import BundleRoutes
from fhirmedia.web.callers import AskedRoute, Callers
from fhirmedia.web.calls import calls
from fhirmedia.web.conditional_routes import ConditionalRoutes
from fhirmedia.web.description_routes import DescriptionRoutes
from fhirmedia.web.headers import has_tag
from fhirmedia.web.history_routes import HistoryRoutes
from fhirmedia.web.negotiation import require_answer_format
from fhirmedia.web.operation_routes import OperationRoutes
from fhirmedia.web.resource_routes import ResourceRoutes
from fhirmedia.web.routing import PublicRoute, TemplatedRoute
from fhirmedia.web.search_routes import SearchRoutes
from fhirmedia.web.statistics_routes import StatisticsRoutes


class _Served:
    """For which types each route is served; worked out when that is first asked, which is not at a start."""

    def __init__(self, registry: Registry, asked: list[AskedRoute]) -> None:
        self._registry = registry
        self._asked = asked

    def types(self, route: AskedRoute) -> Callable[[], frozenset[str]] | None:
        """What tells the types of a route whose path has one; None where it has none, or a compartment bounds them."""
        if "{type}" not in route.path or "{compartment}" in route.path:
            return None
        return lambda: self._by_route.get((route.method, route.path), frozenset())

    @cached_property
    def _by_route(self) -> dict[tuple[str, str], frozenset[str]]:
        found: dict[tuple[str, str], frozenset[str]] = {}
        for call in calls(self._registry, self._asked):
            if call.type is not None:
                at = (call.method, call.template)
                found[at] = found.get(at, frozenset()) | {call.type}
        return found


class FhirRoutes:
    """All routes over one Archive. None is entered, and no byte of a body read, before it is known who asks."""

    def __init__(self, archive: Archive, callers: Callers, *, version: str) -> None:
        self._archive = archive
        self._callers = callers
        self._version = version
        self._since = archive.clock()

    def routes(self) -> list[TemplatedRoute]:
        """What is asked most comes first; no two routes take the same address and method."""
        groups = (
            ResourceRoutes(self._archive),
            SearchRoutes(self._archive),
            HistoryRoutes(self._archive),
            OperationRoutes(self._archive),
            ConditionalRoutes(self._archive),
            BundleRoutes(self._archive),
            StatisticsRoutes(self._archive),
        )
        asked = list(chain.from_iterable(group.routes() for group in groups))
        served = _Served(self._archive.registry, asked)
        return [
            PublicRoute("/fhir/metadata", self.capabilities, methods=["GET"]),
            *DescriptionRoutes(self._archive, asked, version=self._version).routes(),
            *(
                TemplatedRoute(
                    each.path,
                    self._callers.known(each.interaction, each.endpoint),
                    methods=[each.method],
                    types=served.types(each),
                )
                for each in asked
            ),
        ]

    async def capabilities(self, request: Request) -> Response:
        require_answer_format(request)
        statement = capability_statement(
            self._archive.registry,
            base_url=self._archive.base_url,
            software_version=self._version,
            now_ms=self._since,
        )
        body = dump(statement)
        tag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'
        if has_tag(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        return fhir_response(request, body, headers={"ETag": tag})
