"""From a request to the Caller its bearer token proves (RFC 6750, section 2.1 only)."""

from starlette.requests import Request

from fhirmedia.access.caller import Caller
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.session import RequestNote
from fhirmedia.interactions.archive import Asker
from fhirmedia.issuer.trusted import TrustedIssuers
from fhirmedia.web.unauthenticated import UnauthenticatedCount


class Callers:
    """Finds out who asks; refusals that nobody can be named for are counted."""

    def __init__(self, issuers: TrustedIssuers, refused: UnauthenticatedCount, *, clock: Clock) -> None:
        self._issuers = issuers
        self._clock = clock
        self._refused = refused

    def asker(self, request: Request) -> Asker:
        """Who asks. Raises UNAUTHENTICATED; INVALID for a token outside the Authorization header."""
        try:
            caller = self._caller(request)
        except Failure as failure:
            self._refused.count(request, failure)
            raise
        request.state.client = caller.client
        address = request.client.host if request.client else None
        return Asker(caller, RequestNote(request.state.request_id, address, request.scope["query_string"]))

    def _caller(self, request: Request) -> Caller:
        if b"access_token=" in request.scope["query_string"]:
            raise Failure(Category.INVALID, "A token belongs into the Authorization header.")
        given = request.headers.getlist("authorization")
        if len(given) != 1:
            raise Failure(Category.UNAUTHENTICATED, "A bearer token is needed.", code="login")
        scheme, _, token = given[0].partition(" ")
        if scheme.lower() != "bearer":
            raise Failure(Category.UNAUTHENTICATED, "A bearer token is needed.", code="login")
        judged = self._issuers.judge(token.strip(), now_s=self._clock() // 1000)
        if isinstance(judged, Caller):
            return judged
        request.state.check = judged.name
        text = "The access token has expired." if judged.code == "expired" else "The access token is not accepted."
        raise Failure(Category.UNAUTHENTICATED, text, code=judged.code)
