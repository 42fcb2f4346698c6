"""Routes that answer Failures themselves and leave their template in the scope, so that logs never need the path."""

import re
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fhirmedia.core.errors import Category, Failure
from fhirmedia.web.errors import ROUTES, answer_crash, answer_failure
from fhirmedia.web.exchange import Exchange

Endpoint = Callable[[Request], Awaitable[Response]]

PUBLIC = frozenset({"/fhir/metadata", "/openapi.json", "/docs", "/healthz", "/readyz", "/metrics"})
"""What is answered without a token: this and nothing else."""

_BASE_SEGMENTS = len("/fhir/".split("/"))

_OF_FHIR = "_$"
"""No parameter takes a segment that begins as FHIR's own words do (`_search`, `$validate`)."""
_ANY_SEGMENT, _NAME = "[^/]+", f"[^/{_OF_FHIR}][^/]*"


class TemplatedRoute(Route):
    """A Starlette route of one endpoint, called without the layers Starlette puts around a plain function.

    `types` tells the resource types it is served for, where its path has a type; None for any.
    """

    def __init__(
        self, path: str, endpoint: Endpoint, *, methods: list[str], types: Callable[[], frozenset[str]] | None = None
    ) -> None:
        super().__init__(path, endpoint, methods=methods)
        self._types = types
        self.path_regex = re.compile(self.path_regex.pattern.replace(_ANY_SEGMENT, _NAME))
        self.app = _direct(endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is not Match.NONE:
            child["route"] = self
        return match, child

    def is_served(self, scope: Scope) -> bool:
        """Whether the address is one of this route, with a type that it is served for; whatever the method."""
        match, child = super().matches(scope)
        if match is Match.NONE:
            return False
        return self._types is None or child["path_params"].get("type") in self._types()


class PublicRoute(TemplatedRoute):
    """A route for anybody. Raises Failure INTERNAL for a path that is not on the list."""

    def __init__(self, path: str, endpoint: Endpoint, *, methods: list[str]) -> None:
        if path not in PUBLIC:
            raise Failure(Category.INTERNAL, "A route is open to anybody without being on the list of public ones.")
        super().__init__(path, endpoint, methods=methods)


class Shortcut:
    """Takes requests straight to our routes; the application, which has them too, gets what none of them takes.

    Its own layers would cost a fifth of a read and add nothing: our routes answer every exception themselves.
    """

    def __init__(self, routes: Sequence[TemplatedRoute], app: ASGIApp) -> None:
        self._routes = routes
        self._app = app
        self._templates: dict[tuple[str, int], list[_Template]] = {}
        for route in routes:
            template = _Template(route)
            for method in route.methods or ():
                self._templates.setdefault((method, len(template.segments)), []).append(template)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[ROUTES] = self._routes
            segments = scope["path"].split("/")
            if len(segments) > _BASE_SEGMENTS and not segments[-1]:
                # The address of a type may end with a slash (FHIR R4, http 3.1.0.1.2).
                segments.pop()
                scope["path"] = scope["path"][:-1]
            for template in self._templates.get((scope["method"], len(segments)), ()):
                named = template.match(segments)
                if named is not None:
                    scope["path_params"] = named
                    scope["route"] = template.route
                    await template.route.app(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class _Template:
    """The path of a route taken apart: compared segment by segment, which costs less than its regular expression."""

    def __init__(self, route: TemplatedRoute) -> None:
        self.route = route
        self.segments = route.path.split("/")
        self._words = [(at, each) for at, each in enumerate(self.segments) if not each.startswith("{")]
        self._names = [(at, each[1:-1]) for at, each in enumerate(self.segments) if each.startswith("{")]

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The parameters in a path of as many segments; None if it is another's."""
        for at, word in self._words:
            if segments[at] != word:
                return None
        named = {}
        for at, name in self._names:
            value = segments[at]
            if not value or value[0] in _OF_FHIR:
                return None
            named[name] = value
        return named


def _direct(endpoint: Endpoint) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Exchange(scope, receive, send)
        try:
            response = await endpoint(request)
        except Failure as failure:
            response = await answer_failure(request, failure)
        except Exception as crash:  # noqa: BLE001 (the one place that answers what nobody foresaw)
            response = await answer_crash(request, crash)
        await response(scope, receive, send)

    return app
