"""Cross-origin requests of web apps (Fetch standard, CORS protocol), for the origins that issuer rows name.

A preflight carries no token, so any origin of any row is told what may be sent. What the request itself answers can
be read only from an origin of the row its token belongs to; from elsewhere it is answered without CORS headers, which
keeps a browser from showing it. A request without a known caller tells every listed origin that it was refused. What
is public may be read from anywhere. Credentials a browser adds by itself are never asked for.
"""

from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLER_ORIGINS = "fhirmedia.origins"
"""Where a scope holds the origins of the caller, once one is known."""
PUBLIC_ORIGINS = frozenset({"/fhir/metadata", "/openapi.json"})
"""Addresses that any page may read."""

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Accept, Authorization, Content-Digest, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match,"
    " If-Range, Prefer, Range, Repr-Digest, X-Request-Id"
)
EXPOSED_HEADERS = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Location, Content-Range, ETag, Last-Modified, Location,"
    " Repr-Digest, Retry-After, WWW-Authenticate, X-Request-Id"
)
PREFLIGHT_S = 600
"""How long a browser may remember the answer to a preflight."""

_VARY = (b"vary", b"Origin")


class Cors:
    """Around the routes; a request without Origin passes through untouched."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = _header(scope, b"origin") if scope["type"] == "http" else None
        if origin is None:
            await self._app(scope, receive, send)
            return
        is_public = scope["path"] in PUBLIC_ORIGINS
        if _is_preflight(scope) and (is_public or origin.decode("latin-1") in self._origins):
            await _preflight("*" if is_public else origin.decode("latin-1"))(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._granted(scope, origin)]
            await send(message)

        await self._app(scope, receive, marked)

    def _granted(self, scope: Scope, origin: bytes) -> list[tuple[bytes, bytes]]:
        """The headers that let a page of this origin read the answer."""
        if scope["path"] in PUBLIC_ORIGINS:
            allowed = b"*"
        elif origin.decode("latin-1") in scope.get(CALLER_ORIGINS, self._origins):
            allowed = origin
        else:
            return [_VARY]
        return [
            _VARY,
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", EXPOSED_HEADERS.encode()),
        ]


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None


def _preflight(allowed: str) -> Response:
    headers = {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_S),
    }
    return Response(status_code=204, headers=headers)


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return None
