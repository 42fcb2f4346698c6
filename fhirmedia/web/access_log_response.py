"""$access-log over HTTP."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.interactions.access_log import access_log
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import key_of, query_of
from fhirmedia.web.negotiation import require_answer_format


async def access_log_response(archive: Archive, request: Request, asker: Asker) -> Response:
    """200 with Parameters, their sentences in the first language of Accept-Language that is spoken here."""
    require_answer_format(request)
    wanted = request.headers.get("accept-language", "")
    language = wanted.partition(",")[0].partition(";")[0].strip().partition("-")[0].lower()
    language = "nb" if language in ("no", "nn") else language
    return fhir_response(
        request, await access_log(archive, asker, key_of(request), query_of(request), language=language)
    )
