"""What request headers ask for: format, version, preference, validators (RFC 9110, RFC 7240, FHIR R4 http)."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.proposal import Expected
from fhirmedia.r4.query_string import decode_query
from fhirmedia.web.negotiation import list_parts

OF_EVERY_REQUEST = frozenset({"_format", "_pretty"})
_VERSION = re.compile(r'\s*(?:W/)?"?([0-9]{1,10})"?\s*\Z')

Return = Literal["minimal", "representation", "OperationOutcome"]
_RETURNS: dict[str, Return] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


@dataclass(frozen=True, slots=True)
class Preference:
    """`Prefer`: what a write answers with, whether a search forgives, and whether it may not be behind."""

    returns: Return = "representation"
    lenient: bool = False
    stated: bool = False
    """Whether the client said what a write is to answer with."""
    strong: bool = False


def preference(request: Request) -> Preference:
    """Unknown preferences are ignored, as RFC 7240 wants."""
    given = request.headers.get("prefer")
    if given is None:
        return Preference()
    wishes = {
        name.strip().lower(): value.strip().strip('"').lower()
        for name, _, value in (part.partition("=") for part in re.split("[,;]", given))
    }
    returns = _RETURNS.get(wishes.get("return", ""))
    lenient, strong = wishes.get("handling") == "lenient", wishes.get("x-consistency") == "strong"
    return Preference(returns or "representation", lenient, returns is not None, strong)


def require_no_parameters(request: Request) -> None:
    """Raise INVALID if the address carries a parameter; only `_format` and `_pretty` go with what is no search."""
    given = request.scope["query_string"]
    if given and any(name not in OF_EVERY_REQUEST for name, _ in decode_query(given)):
        raise Failure(Category.INVALID, "A parameter is not one of this interaction.", code="not-supported")


def accepted(header: str) -> list[str]:
    """What an Accept or Accept-Encoding header names, without parameters, most wanted first; q=0 left out."""
    weighed = []
    for part in list_parts(header):
        media, *parameters = part.split(";")
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if quality > 0:
            weighed.append((quality, media.strip().lower()))
    return [media for _, media in sorted(weighed, key=lambda each: -each[0])]


def if_match(request: Request) -> int | None:
    """The version an If-Match names; None without the header or for `*`. Raises INVALID for anything else."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    version = _VERSION.match(given)
    if version is None:
        raise Failure(Category.INVALID, 'If-Match must be a version as W/"3".', code="value")
    return int(version.group(1))


def names_version(tags: str, version: int) -> bool:
    """Whether a list of entity tags, or `*`, holds this version."""
    versions = (_VERSION.match(tag) for tag in tags.split(","))
    return tags.strip() == "*" or any(match is not None and int(match.group(1)) == version for match in versions)


def expected_of(request: Request) -> Expected:
    """What a PUT expects to be there: by If-Match a version or anything, by `If-None-Match: *` nothing.

    Raises INVALID for a header of another form, and for both at once.
    """
    matching, ruled_out = request.headers.get("if-match"), request.headers.get("if-none-match")
    if ruled_out is None:
        return "any" if matching is not None and matching.strip() == "*" else if_match(request)
    if matching is not None or ruled_out.strip() != "*":
        raise Failure(Category.INVALID, "A write takes either If-Match, or If-None-Match with *.", code="value")
    return "none"


def has_tag(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this entity tag, or any."""
    given = request.headers.get("if-none-match")
    return given is not None and (given.strip() == "*" or tag in [each.strip() for each in given.split(",")])


def not_modified(request: Request, *, version: int, changed_at: int) -> bool:
    """Whether If-None-Match or (without it) If-Modified-Since says that the client has this version."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return names_version(tags, version)
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return changed_at // 1000 <= parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False
