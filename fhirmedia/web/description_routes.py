"""Routes that describe the API to people and programs: `/openapi.json` and `/docs`; no token, no patient data."""

import gzip
from collections.abc import Callable, Sequence
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.archive import Archive
from fhirmedia.r4.codec import dump
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.calls import Call, calls
from fhirmedia.web.docs.page import CONTENT_SECURITY_POLICY, page
from fhirmedia.web.headers import accepted
from fhirmedia.web.openapi import openapi
from fhirmedia.web.routing import PublicRoute


class DescriptionRoutes:
    """Made when first asked for and then kept, until what is served changes."""

    def __init__(self, archive: Archive, asked: Sequence[AskedRoute], *, version: str) -> None:
        self._archive = archive
        self._asked = asked
        self._version = version
        self._kept: dict[str, tuple[object, bytes]] = {}

    def routes(self) -> list[PublicRoute]:
        """For anybody."""
        return [
            PublicRoute("/openapi.json", self.openapi, methods=["GET"]),
            PublicRoute("/docs", self.docs, methods=["GET"]),
        ]

    async def openapi(self, request: Request) -> Response:
        return _packed(request, self._packed("openapi", self._document), {"Content-Type": "application/json"})

    async def docs(self, request: Request) -> Response:
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "no-referrer",
        }
        return _packed(request, self._packed("docs", self._page), headers)

    @cached_property
    def _calls(self) -> list[Call]:
        return calls(self._archive.registry, self._asked)

    def _document(self) -> bytes:
        archive = self._archive
        return dump(openapi(archive.registry, self._calls, base_url=archive.base_url, version=self._version))

    def _page(self) -> bytes:
        archive = self._archive
        return page(archive.registry, self._calls, base_url=archive.base_url, version=self._version).encode()

    def _packed(self, name: str, made: Callable[[], bytes]) -> bytes:
        edition = self._archive.registry.added
        kept = self._kept.get(name)
        if kept is None or kept[0] is not edition:
            kept = self._kept[name] = (edition, gzip.compress(made(), mtime=0))
        return kept[1]


def _packed(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" not in accepted(request.headers.get("accept-encoding", "")):
        return Response(gzip.decompress(content), 200, headers)
    return Response(content, 200, {**headers, "Content-Encoding": "gzip"})
