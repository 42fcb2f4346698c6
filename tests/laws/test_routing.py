"""A request reaches the same route, with the same parameters, by segments as by the route's regular expression."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from fhirmedia.web.routing import Shortcut, TemplatedRoute

TEMPLATES = (
    ("GET", "/fhir/{type}/{id}"),
    ("PUT", "/fhir/{type}/{id}"),
    ("GET", "/fhir"),
    ("GET", "/fhir/"),
    ("GET", "/fhir/{type}"),
    ("POST", "/fhir/{type}/_search"),
    ("GET", "/fhir/{type}/{id}/_history"),
    ("GET", "/fhir/{type}/{id}/_history/{version}"),
    ("GET", "/fhir/{compartment}/{id}/{type}"),
    ("POST", "/fhir/{type}/{id}/$validate"),
)
SEGMENTS = st.sampled_from(("fhir", "Media", "m-1", "_history", "_search", "$validate", "1", "", "*", "å", "a\n", "."))
PATHS = st.lists(SEGMENTS, max_size=6).map(lambda segments: "/" + "/".join(segments))
BASE = "/fhir/"
METHODS = st.sampled_from(("GET", "HEAD", "PUT", "POST", "DELETE", "BREW"))


async def answer(_request: Request) -> Response:
    return Response()


ROUTES = [TemplatedRoute(path, answer, methods=[method]) for method, path in TEMPLATES]
Reached = tuple[str, dict[str, str]] | None


def by_expression(routes: Sequence[TemplatedRoute], scope: Scope) -> Reached:
    path = scope["path"]
    if path.count("/") > BASE.count("/") and path.endswith("/"):
        path = path[:-1]  # one slash at the end is taken off below the base
    for route in routes:
        match, child = route.matches({**scope, "path": path})
        if match is Match.FULL:
            return route.path, child["path_params"]
    return None


def by_segments(routes: Sequence[TemplatedRoute], scope: Scope) -> Reached:
    taken = dict(scope)
    left = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        left.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        pass

    asyncio.run(Shortcut(routes, elsewhere)(taken, receive, send))
    return None if left else (taken["route"].path, taken["path_params"])


@settings(deadline=None)
@given(METHODS, PATHS)
@example("GET", "/fhir/Media/m-1")
@example("HEAD", "/fhir/Media/m-1")
@example("GET", "/fhir/Media/_history")
@example("GET", "/fhir/Media/")
@example("POST", "/fhir/Media/_search")
@example("GET", "//Media/m-1")
def test_both_ways_lead_to_the_same_route(method: str, path: str) -> None:
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": [], "state": {}, "query_string": b""}
    assert by_segments(ROUTES, scope) == by_expression(ROUTES, scope)


@pytest.mark.parametrize(("method", "path"), TEMPLATES)
def test_each_route_is_reached(method: str, path: str) -> None:
    asked = path.replace("{type}", "Media").replace("{compartment}", "Patient").replace("{id}", "1")
    asked = asked.replace("{version}", "3")
    scope: Scope = {"type": "http", "method": method, "path": asked, "headers": [], "state": {}, "query_string": b""}
    reached = by_segments(ROUTES, scope)
    assert reached is not None
    assert reached[0] == path
