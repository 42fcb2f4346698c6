"""What request headers ask for: format, version, preference, validators (RFC 9110, RFC 7240, FHIR R4 http)."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.query_string import decode_query

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json", "json"})
XML_TYPES = frozenset({"application/fhir+xml", "xml"})
"""What can only mean FHIR XML; `text/xml` may be content of a Binary."""
_ANY = frozenset({"*/*", "application/*", ""})
_OF_EVERY_REQUEST = frozenset({"_format", "_pretty"})
_VERSION = re.compile(r'\s*(?:W/)?"?([0-9]{1,10})"?\s*\Z')
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)

Return = Literal["minimal", "representation", "OperationOutcome"]
_RETURNS: dict[str, Return] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}


@dataclass(frozen=True, slots=True)
class Preference:
    """`Prefer`: what a write answers with, and whether a search forgives."""

    returns: Return = "representation"
    lenient: bool = False


def preference(request: Request) -> Preference:
    """Unknown preferences are ignored, as RFC 7240 wants."""
    given = request.headers.get("prefer")
    if given is None:
        return Preference()
    wishes = {
        name.strip().lower(): value.strip().strip('"').lower()
        for name, _, value in (part.partition("=") for part in re.split("[,;]", given))
    }
    returns = _RETURNS.get(wishes.get("return", ""), "representation")
    return Preference(returns, wishes.get("handling") == "lenient")


def require_no_parameters(request: Request) -> None:
    """Raise INVALID if the address carries a parameter; only `_format` and `_pretty` go with what is no search."""
    given = request.scope["query_string"]
    if given and any(name not in _OF_EVERY_REQUEST for name, _ in decode_query(given)):
        raise Failure(Category.INVALID, "A parameter is not one of this interaction.", code="not-supported")


def require_unconditional(request: Request) -> None:
    """Raise INVALID for a create that depends on a search: done unconditionally it could make a duplicate."""
    if "if-none-exist" in request.headers:
        raise Failure(Category.INVALID, "Conditional create (If-None-Exist) is not supported.", code="not-supported")


def require_json_answer(request: Request) -> None:
    """Raise NOT_ACCEPTABLE unless FHIR JSON will do; `_format` wins over Accept."""
    wanted = request.query_params.get("_format") if b"_format" in request.scope["query_string"] else None
    if wanted is None:
        accept = request.headers.get("accept")
        if accept is None or any(media in JSON_TYPES or media in _ANY for media in accepted(accept)):
            return
    elif wanted.partition(";")[0].strip().replace(" ", "+").lower() in JSON_TYPES:
        return
    raise Failure(Category.NOT_ACCEPTABLE, "This server answers in FHIR JSON (application/fhir+json).")


def accepted(header: str) -> list[str]:
    """What an Accept or Accept-Encoding header names, without parameters, most wanted first; q=0 left out."""
    weighed = []
    for part in header.split(","):
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


def require_json_body(request: Request) -> None:
    """Raise UNSUPPORTED_MEDIA unless the body is announced as FHIR JSON in UTF-8."""
    declared = request.headers.get("content-type", "")
    if declared.partition(";")[0].strip().lower() not in JSON_TYPES:
        raise Failure(Category.UNSUPPORTED_MEDIA, "The body must be FHIR JSON (application/fhir+json).")
    charset = _CHARSET.search(declared)
    if charset is not None and charset.group(1).lower() not in ("utf-8", "utf8"):
        raise Failure(Category.UNSUPPORTED_MEDIA, "FHIR JSON is written in UTF-8.")


def if_match(request: Request) -> int | None:
    """The version an If-Match names; None without the header or for `*`. Raises INVALID for anything else."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    version = _VERSION.match(given)
    if version is None:
        raise Failure(Category.INVALID, 'If-Match must be a version as W/"3".', code="value")
    return int(version.group(1))


def not_modified(request: Request, *, version: int, changed_at: int) -> bool:
    """Whether If-None-Match or (without it) If-Modified-Since says that the client has this version."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        versions = (_VERSION.match(tag) for tag in tags.split(","))
        return tags.strip() == "*" or any(match is not None and int(match.group(1)) == version for match in versions)
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return changed_at // 1000 <= parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False
