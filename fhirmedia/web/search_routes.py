"""Routes of search on a type, in a compartment, on the system; by address or by form (FHIR R4, http 3.1.0.10)."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import Where, search
from fhirmedia.interactions.search_lines import search_lines
from fhirmedia.r4.query_string import decode_query
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import query_of, type_of
from fhirmedia.web.bodies import FORM_MAX_BYTES, whole_body
from fhirmedia.web.callers import AskedRoute, require_no_token
from fhirmedia.web.headers import preference
from fhirmedia.web.negotiation import require_answer_format

FORM = "application/x-www-form-urlencoded"
NDJSON = "application/fhir+ndjson"
LAG = "FHIRMedia-Index-Lag"
"""By how many seconds an answer may be behind; only where an index beside the database is set."""
IN_COMPARTMENT = "/fhir/{compartment}/{id}/{type}"


class SearchRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[AskedRoute]:
        """In the order of how often they are asked."""
        return [
            AskedRoute("GET", "/fhir/{type}", "search-type", self.search_type),
            AskedRoute("GET", "/fhir", "search-system", self.search_system),
            AskedRoute("GET", "/fhir/", "search-system", self.search_system),
            AskedRoute("GET", IN_COMPARTMENT, "search-type", self.search_compartment),
            AskedRoute("POST", "/fhir/{type}/_search", "search-type", self.search_type),
            AskedRoute("POST", "/fhir/_search", "search-system", self.search_system),
            AskedRoute("POST", IN_COMPARTMENT + "/_search", "search-type", self.search_compartment),
        ]

    async def search_system(self, request: Request, asker: Asker) -> Response:
        return await self._search(request, asker, Where())

    async def search_type(self, request: Request, asker: Asker) -> Response:
        return await self._search(request, asker, Where(type_of(request)))

    async def search_compartment(self, request: Request, asker: Asker) -> Response:
        parameters = request.path_params
        kind = None if parameters["type"] == "*" else type_of(request)
        return await self._search(request, asker, Where(kind, (parameters["compartment"], parameters["id"])))

    async def _search(self, request: Request, asker: Asker, where: Where) -> Response:
        asker, parameters = await searched(request, asker)
        lenient = preference(request).lenient
        if wants_lines(request):
            lines = await search_lines(self._archive, asker, where, parameters, lenient=lenient)
            return StreamingResponse(lines, headers={"Content-Type": NDJSON, "Vary": "Accept, Authorization, Origin"})
        strong = preference(request).strong
        found = await search(self._archive, asker, where, parameters, lenient=lenient, strong=strong)
        headers = None if found.lag_ms is None else {LAG: f"{found.lag_ms / 1000:.3f}"}
        return fhir_response(request, found.bundle, headers=headers)


async def searched(request: Request, asker: Asker) -> tuple[Asker, list[tuple[str, str]]]:
    """The parameters of a search, those of a posted form behind those of the address, and the asker noting both.

    Raises Failure UNSUPPORTED_MEDIA, NOT_ACCEPTABLE, TOO_LARGE, INVALID.
    """
    parameters = query_of(request)
    if request.method != "POST":
        _settle_format(request, None)
        return asker, parameters
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Failure(Category.UNSUPPORTED_MEDIA, f"A search is posted as {FORM}.")
    form = await whole_body(request, limit=FORM_MAX_BYTES)
    require_no_token(form)
    posted = decode_query(form)
    _settle_format(request, posted)
    raw = b"&".join(part for part in (asker.note.raw_query, form) if part)
    return replace(asker, note=replace(asker.note, raw_query=raw)), [*parameters, *posted]


def wants_lines(request: Request) -> bool:
    """Whether Accept names NDJSON, and nothing beside it."""
    return request.headers.get("accept", "").strip().lower() == NDJSON


def _settle_format(request: Request, form: list[tuple[str, str]] | None) -> None:
    if not wants_lines(request):
        require_answer_format(request, form=form)
