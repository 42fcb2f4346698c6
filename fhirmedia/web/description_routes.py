"""Routes that describe the API to people and programs: `/openapi.json` and `/docs`; no token, no patient data."""

import gzip
from collections.abc import Sequence
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
    """Made when first asked for and then kept: neither changes while the program runs."""

    def __init__(self, archive: Archive, asked: Sequence[AskedRoute], *, version: str) -> None:
        self._archive = archive
        self._asked = asked
        self._version = version

    def routes(self) -> list[PublicRoute]:
        """For anybody."""
        return [
            PublicRoute("/openapi.json", self.openapi, methods=["GET"]),
            PublicRoute("/docs", self.docs, methods=["GET"]),
        ]

    async def openapi(self, request: Request) -> Response:
        return _packed(request, self._openapi, {"Content-Type": "application/json"})

    async def docs(self, request: Request) -> Response:
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "no-referrer",
        }
        return _packed(request, self._docs, headers)

    @cached_property
    def _calls(self) -> list[Call]:
        return calls(self._archive.registry, self._asked)

    @cached_property
    def _openapi(self) -> bytes:
        archive = self._archive
        document = openapi(archive.registry, self._calls, base_url=archive.base_url, version=self._version)
        return gzip.compress(dump(document), mtime=0)

    @cached_property
    def _docs(self) -> bytes:
        archive = self._archive
        text = page(archive.registry, self._calls, base_url=archive.base_url, version=self._version)
        return gzip.compress(text.encode(), mtime=0)


def _packed(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" not in accepted(request.headers.get("accept-encoding", "")):
        return Response(gzip.decompress(content), 200, headers)
    return Response(content, 200, {**headers, "Content-Encoding": "gzip"})
