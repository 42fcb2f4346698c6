"""Around every request: its id, limits on what precedes the body, one log line, one count. Pure ASGI."""

import json
import os
import sys
import time
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirmedia.core.clock import Clock, instant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.web.errors import failure_response
from fhirmedia.web.metrics import Metrics

HEADERS_MAX_BYTES = 64 * 1024
URL_MAX_BYTES = 16 * 1024
REQUEST_ID = b"x-request-id"
_ID_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")


class Envelope:
    """Wraps the application; what it refuses never reaches a route."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status, sent, ended = 0, 0, False

        async def note(message: Message) -> None:
            nonlocal status, sent, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Request-Id"] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            else:
                sent += len(message.get("body", b""))
                ended = not message.get("more_body", False)
            await send(message)

        try:
            refusal = _over_limits(scope)
            if refusal is not None:
                await failure_response(refusal)(scope, receive, note)
            else:
                await self._app(scope, receive, note)
        except Exception:  # noqa: BLE001 (it was answered further in; the server would print its text)
            if not ended:
                raise ConnectionAbortedError from None
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "-")
            self._metrics.answered(route, scope["method"], status=status, seconds=seconds)
            _log(scope, request_id, route, at=self._clock(), status=status, seconds=seconds, sent=sent)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID and 0 < len(value) <= 64 and _ID_BYTES.issuperset(value):
            given: str = value.decode()
            return given
    return uuid4().hex


def _over_limits(scope: Scope) -> Failure | None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL_MAX_BYTES:
        return Failure(Category.URI_TOO_LONG, "The URL is over 16 kB; send the search as POST _search.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
        return Failure(Category.HEADERS_TOO_LARGE, "The headers are over 64 kB.")
    return None


def _log(scope: Scope, request_id: str, route: str, *, at: int, status: int, seconds: float, sent: int) -> None:
    state = scope["state"]
    line = {
        "time": instant(at),
        "level": "error" if status >= 500 else "info",
        "request": request_id,
        "method": scope["method"],
        "route": route,
        "type": state.get("resource_type"),
        "status": status,
        "issue": state.get("issue"),
        "check": state.get("check"),
        "ms": round(seconds * 1000, 2),
        "bytes": sent,
        "client": state.get("client"),
    }
    os.write(sys.stdout.fileno(), (json.dumps({name: v for name, v in line.items() if v is not None}) + "\n").encode())
