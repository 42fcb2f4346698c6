"""Around every request: its id, limits on what precedes the body, one log line, one count. Pure ASGI."""

import time
from random import getrandbits

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirmedia.core.errors import Category, Failure
from fhirmedia.web.errors import failure_response
from fhirmedia.web.metrics import Metrics
from fhirmedia.web.request_log import RequestLog, method_of, template_of

HEADERS_MAX_BYTES = 64 * 1024
URL_MAX_BYTES = 16 * 1024
REQUEST_ID = b"x-request-id"
_EVERYWHERE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"private, no-store"))
_ID_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")


class Envelope:
    """Wraps the application; what it refuses never reaches a route."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: RequestLog) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

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
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id.encode()), *_EVERYWHERE]
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
            self._metrics.answered(template_of(scope), method_of(scope), status=status, seconds=seconds)
            self._log.answered(scope, status=status, seconds=seconds, sent=sent)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID and 0 < len(value) <= 64 and _ID_BYTES.issuperset(value):
            given: str = value.decode()
            return given
    return f"{getrandbits(128):032x}"


def _over_limits(scope: Scope) -> Failure | None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL_MAX_BYTES:
        return Failure(Category.URI_TOO_LONG, "The URL is over 16 kB; send the search as POST _search.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
        return Failure(Category.HEADERS_TOO_LARGE, "The headers are over 64 kB.")
    return None
