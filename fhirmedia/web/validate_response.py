"""$validate over HTTP: what is asked stands in the address, in Parameters, or is the resource itself."""

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.validate import Mode, Validation, require_right, validate
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.meta_change import PARAMETERS
from fhirmedia.r4.outcome import all_ok, operation_outcome
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.asked import key_of, query_of, type_of
from fhirmedia.web.bodies import resource_body
from fhirmedia.web.headers import OF_EVERY_REQUEST
from fhirmedia.web.negotiation import require_answer_format

_PROFILE_VALUES = ("valueUri", "valueCanonical", "valueString")
_MODES: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}


async def validate_response(archive: Archive, request: Request, asker: Asker) -> Response:
    """200 with an OperationOutcome, whatever it says of the resource.

    Raises Failure FORBIDDEN before the body is read, INVALID for parameters the operation does not have.
    """
    require_answer_format(request)
    kind = type_of(request)
    key: Key | None = key_of(request) if "id" in request.path_params else None
    archive.registry.require_operation(kind, "validate")
    mode, profiles = _asked_in_address(request)
    has_body = request.method == "POST" and "content-type" in request.headers
    require_right(archive, asker, kind, Validation({} if has_body and mode != "delete" else None, None, ()))
    resource: JsonObject | None = None
    if has_body:
        resource = await resource_body(request)
        if resource.get("resourceType") == PARAMETERS:
            resource, posted_mode, posted_profiles = _asked_in_parameters(resource)
            if mode is not None and posted_mode is not None:
                raise _odd("mode is given twice")
            mode, profiles = mode or posted_mode, [*profiles, *posted_profiles]
    issues = await validate(archive, asker, kind, Validation(resource, mode, profiles), key=key)
    outcome = operation_outcome(issues) if issues else all_ok("The resource is valid.")
    return fhir_response(request, dump(outcome))


def _asked_in_address(request: Request) -> tuple[Mode | None, list[str]]:
    mode: Mode | None = None
    profiles = []
    for name, value in query_of(request):
        if name == "profile":
            profiles.append(value)
        elif name == "mode" and mode is None:
            mode = _mode(value)
        elif name not in OF_EVERY_REQUEST:
            raise Failure(Category.INVALID, "A parameter is not one of this operation.", code="not-supported")
    return mode, profiles


def _asked_in_parameters(parameters: JsonObject) -> tuple[JsonObject | None, Mode | None, list[str]]:
    """By hand: what is wrong with the resource inside is an answer, not a refusal."""
    resource: JsonObject | None = None
    mode: Mode | None = None
    profiles: list[str] = []
    listed = parameters.get("parameter", [])
    for part in listed if isinstance(listed, list) else [None]:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(part, dict) or name not in ("resource", "mode", "profile"):
            raise _odd("has a parameter other than resource, mode and profile")
        if name == "resource":
            held = part.get("resource")
            if resource is not None or not isinstance(held, dict):
                raise _odd("must have one resource as resource")
            resource = held
        elif name == "mode":
            if mode is not None:
                raise _odd("gives mode twice")
            mode = _mode(part.get("valueCode"))
        else:
            stated = [part[each] for each in _PROFILE_VALUES if each in part]
            if len(stated) != 1 or not isinstance(stated[0], str):
                raise _odd("must state a profile as valueUri or valueCanonical")
            profiles.append(stated[0])
    return resource, mode, profiles


def _mode(value: object) -> Mode:
    found = _MODES.get(value) if isinstance(value, str) else None
    if found is None:
        raise Failure(Category.INVALID, f"mode is one of {', '.join(_MODES)}.", code="value")
    return found


def _odd(what: str) -> Failure:
    return Failure(Category.INVALID, f"The request {what}.", expression=f"{PARAMETERS}.parameter")
