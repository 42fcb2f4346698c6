"""What the address and the headers of a request name: a type, a Key, a query, a content type."""

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.query_string import decode_query
from fhirmedia.web.negotiation import FHIR_XML, JSON_TYPES, media_type
from fhirmedia.web.request_log import note


def type_of(request: Request) -> str:
    """The type the address names, as it stands; the log learns it only if R4 has it."""
    kind: str = request.path_params["type"]
    note(request.scope, "resource_type", kind if kind in resource_types() else None)
    return kind


def key_of(request: Request) -> Key:
    """The Key the address names. Raises NOT_FOUND if it cannot be one."""
    identity = request.path_params["id"]
    if not FHIR_ID.match(identity):
        raise Failure(Category.NOT_FOUND, "There is no such resource.")
    return Key(type_of(request), identity)


def query_of(request: Request) -> list[tuple[str, str]]:
    """The decoded pairs of the address, in their order."""
    return decode_query(request.scope["query_string"])


def is_resource(request: Request) -> bool:
    """Whether the body of a Binary is announced as the resource; other XML than FHIR's is content."""
    announced = media_type(request.headers.get("content-type", "")).name
    return announced in JSON_TYPES or announced == FHIR_XML


def content_type_of(request: Request) -> str:
    """The announced media type, as it stands. Raises UNSUPPORTED_MEDIA without one."""
    declared = request.headers.get("content-type")
    if declared is None:
        raise Failure(Category.UNSUPPORTED_MEDIA, "The content must be announced with its media type.")
    return declared
