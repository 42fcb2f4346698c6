"""Around every request: its id, limits on what precedes the body, one log line, one count. Pure ASGI."""

import time
from random import getrandbits

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirmedia.core.errors import Category, Failure
from fhirmedia.web.errors import failure_response, note_issue
from fhirmedia.web.metrics import Metrics
from fhirmedia.web.negotiation import settle_for_json
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
        request_id, refusal = _looked_at(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status, sent, ended, is_broken = 0, 0, False, False

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
            if refusal is not None:
                settle_for_json(scope)
                await failure_response(refusal, scope)(scope, receive, note)
            else:
                await self._app(scope, receive, note)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 (it was answered further in; the server would print its text)
            if not ended:  # the server closes the connection of an answer that was not completed
                is_broken = True
                note_issue(scope, error)
        finally:
            seconds = time.perf_counter() - started
            route, method = template_of(scope), method_of(scope)
            self._metrics.answered(route, method, status=status, seconds=seconds)
            self._log.answered(
                route, method, scope["state"], status=status, seconds=seconds, sent=sent, is_broken=is_broken
            )


def _looked_at(scope: Scope) -> tuple[str, Failure | None]:
    """The id of the request, the client's if it gave a fit one; and the limit its address or its headers are over."""
    request_id, size = None, 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name == REQUEST_ID and request_id is None and 0 < len(value) <= 64 and _ID_BYTES.issuperset(value):
            request_id = value.decode()
    if request_id is None:
        request_id = f"{getrandbits(128):032x}"
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL_MAX_BYTES:
        return request_id, Failure(Category.URI_TOO_LONG, "The URL is over 16 kB; send the search as POST _search.")
    if size > HEADERS_MAX_BYTES:
        return request_id, Failure(Category.HEADERS_TOO_LARGE, "The headers are over 64 kB.")
    return request_id, None
