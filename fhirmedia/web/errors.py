"""The one table from categories to HTTP, and failures as OperationOutcome answers."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fhirmedia.core.errors import Category, Failure, places_of
from fhirmedia.r4.codec import dump
from fhirmedia.r4.outcome import operation_outcome
from fhirmedia.r4.xml_out import to_xml
from fhirmedia.web.negotiation import FHIR_JSON, FHIR_XML, answer_format, settle_for_failure
from fhirmedia.web.request_log import note

if TYPE_CHECKING:
    from fhirmedia.web.routing import TemplatedRoute

STATUS = {
    Category.INVALID: 400,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.NOT_ALLOWED: 405,
    Category.NOT_ACCEPTABLE: 406,
    Category.CONFLICT: 409,
    Category.GONE: 410,
    Category.PRECONDITION: 412,
    Category.TOO_LARGE: 413,
    Category.URI_TOO_LONG: 414,
    Category.UNSUPPORTED_MEDIA: 415,
    Category.RANGE: 416,
    Category.UNPROCESSABLE: 422,
    Category.PRECONDITION_REQUIRED: 428,
    Category.THROTTLED: 429,
    Category.HEADERS_TOO_LARGE: 431,
    Category.TOO_COSTLY: 400,
    Category.INTERNAL: 500,
    Category.NOT_IMPLEMENTED: 501,
    Category.CORRUPT: 502,
    Category.UNAVAILABLE: 503,
    Category.DISK_FULL: 507,
}
_OF_STATUS = {status: category for category, status in STATUS.items() if category is not Category.TOO_COSTLY}
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}

ROUTES = "fhirmedia.routes"
"""Where a scope holds all routes there are, for the Allow header."""
log = logging.getLogger("fhirmedia")


def failure_response(failure: Failure, scope: Scope) -> Response:
    """The OperationOutcome of a Failure, in the form the request wants, with the headers its category wants."""
    headers = {}
    if failure.category is Category.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="fhirmedia", error="invalid_token"'
    elif failure.category is Category.FORBIDDEN:
        headers["WWW-Authenticate"] = 'Bearer realm="fhirmedia", error="insufficient_scope"'
    if failure.retry_after_s is not None:
        headers["Retry-After"] = str(failure.retry_after_s)
    outcome = operation_outcome(failure.issues)
    settle_for_failure(scope)
    if answer_format(scope) == "xml":
        return Response(to_xml(outcome), STATUS[failure.category], headers, media_type=FHIR_XML)
    return Response(dump(outcome), STATUS[failure.category], headers, media_type=FHIR_JSON)


def note_issue(scope: Scope, error: Exception) -> None:
    """Leave for the request log what went wrong, by its issue code."""
    note(scope, "issue", error.issues[0].code if isinstance(error, Failure) else Category.INTERNAL.code)


async def answer_failure(request: Request, error: Exception) -> Response:
    """Exception handler for Failure."""
    assert isinstance(error, Failure)
    note_issue(request.scope, error)
    response = failure_response(error, request.scope)
    if error.category is Category.NOT_ALLOWED:
        response.headers["Allow"] = _other_methods(request)
    return response


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for what the router itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    category = _OF_STATUS.get(error.status_code, Category.INVALID)
    sentence = _SENTENCES.get(error.status_code, "The request cannot be read.")
    response = failure_response(Failure(category, sentence), request.scope)
    if category is Category.NOT_ALLOWED:
        response.headers["Allow"] = _other_methods(request)
    return response


def _other_methods(request: Request) -> str:
    """The methods that this address takes, for the type it names, but the one refused (RFC 9110, section 15.5.6)."""
    routes: Sequence[TemplatedRoute] = request.scope.get(ROUTES, ())
    served = (route for route in routes if route.is_served(request.scope))
    methods = {method for route in served for method in route.methods or ()}
    return ", ".join(sorted(methods - {request.method} - ({"HEAD"} if request.method == "GET" else set())))


async def answer_crash(request: Request, error: Exception) -> Response:
    """Exception handler for what nobody foresaw: the place goes to the log, never the text."""
    log.error("unexpected %s at %s", type(error).__name__, places_of(error.__traceback__))
    failure = Failure(Category.INTERNAL, "The server met a condition it did not expect.")
    return failure_response(failure, request.scope)
