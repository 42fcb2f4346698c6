"""The answer to $rendition: a picture no browser keeps or runs, or 304 for who has it."""

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.rendition import draw, rendition
from fhirmedia.web.asked import key_of, query_of


async def rendition_response(archive: Archive, request: Request, asker: Asker) -> Response:
    """200 with the picture, or 304; whether the client has it is asked after it is known that it may."""
    permitted = await rendition(archive, asker, key_of(request), width=_width(request))
    headers = {
        "ETag": permitted.tag,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": "inline",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    given = request.headers.get("if-none-match", "")
    if given.strip() == "*" or permitted.tag in [each.strip() for each in given.split(",")]:
        return Response(status_code=304, headers=headers)
    picture = await draw(archive, permitted)
    return Response(picture.content, headers=headers, media_type=picture.content_type)


def _width(request: Request) -> int:
    """The one parameter of the operation. Raises INVALID."""
    match query_of(request):
        case [("width", text)] if text.isascii() and text.isdecimal() and len(text) <= 5:
            return int(text)
    raise Failure(Category.INVALID, "The operation takes one parameter, width, a number of pixels.", code="required")
