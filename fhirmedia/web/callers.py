"""From a request to the Caller its bearer token proves (RFC 6750, section 2.1 only), before anything else is done."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.issuer.trusted import TrustedIssuers
from fhirmedia.web.cors import CALLER_ORIGINS
from fhirmedia.web.request_log import note
from fhirmedia.web.routing import Endpoint
from fhirmedia.web.unauthenticated import UnauthenticatedCount

AskedEndpoint = Callable[[Request, Asker], Awaitable[Response]]


class AskedRoute(NamedTuple):
    """A route for known callers: what a group of routes declares, and `Callers.known` opens."""

    method: str
    path: str
    interaction: str
    endpoint: AskedEndpoint


def require_no_token(parameters: bytes) -> None:
    """Raise INVALID if a token stands among form-encoded parameters, where logs and histories would keep it."""
    if b"access_token=" in parameters:
        raise Failure(Category.INVALID, "A token belongs into the Authorization header.")


class Callers:
    """Finds out who asks; refusals that nobody can be named for are counted, all others are written down."""

    def __init__(self, issuers: TrustedIssuers, refused: UnauthenticatedCount, archive: Archive) -> None:
        self._issuers = issuers
        self._refused = refused
        self._archive = archive

    def known(self, interaction: str, endpoint: AskedEndpoint) -> Endpoint:
        """The endpoint for known callers only: it is not entered by anybody else, and no refusal goes unrecorded.

        Raises UNAUTHENTICATED; INVALID for a token outside the Authorization header.
        """
        custodian = self._archive.custodian

        async def asked(request: Request) -> Response:
            asker = self._asker(request)
            try:
                return await endpoint(request, asker)
            except Exception as error:
                await custodian.refused(asker.caller, interaction, error, note=asker.note)
                raise

        return asked

    def _asker(self, request: Request) -> Asker:
        try:
            caller = self._caller(request)
        except Failure as failure:
            self._refused.count(request, failure)
            raise
        scope = request.scope
        note(scope, "client", caller.client)
        scope[CALLER_ORIGINS] = caller.origins
        client = scope.get("client")
        address = client[0] if client else None
        return Asker(
            caller, RequestNote(scope["state"]["request_id"], address, scope["query_string"], self._about(request))
        )

    def _about(self, request: Request) -> Key | None:
        """The resource the address names, if it can be one."""
        named = request.path_params
        kind, identity = named.get("compartment", named.get("type", "")), named.get("id", "")
        return Key(kind, identity) if kind in self._archive.registry.types and FHIR_ID.match(identity) else None

    def _caller(self, request: Request) -> Caller:
        require_no_token(request.scope["query_string"])
        given = [value for name, value in request.scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            raise Failure(Category.UNAUTHENTICATED, "A bearer token is needed.", code="login")
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Failure(Category.UNAUTHENTICATED, "A bearer token is needed.", code="login")
        judged = self._issuers.judge(token.strip(), now_s=self._archive.clock() // 1000)
        if isinstance(judged, Caller):
            return judged
        note(request.scope, "check", judged.name)
        text = "The access token has expired." if judged.code == "expired" else "The access token is not accepted."
        raise Failure(Category.UNAUTHENTICATED, text, code=judged.code)
