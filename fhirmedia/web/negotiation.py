"""Which form an answer takes: FHIR JSON or FHIR XML, by `_format` or else by Accept (FHIR R4, http 3.1.0.1.11).

What is found out is left in the scope, so that whoever writes the answer does not look again.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.types import Scope

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.query_string import decode_query

Format = Literal["json", "xml"]

FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
JSON_TYPES = frozenset({FHIR_JSON, "application/json", "text/json", "json"})
XML_TYPES = frozenset({FHIR_XML, "application/xml", "text/xml", "xml"})
FHIR_VERSION = "4.0"

_FORMAT = "fhirmedia.format"
_PRETTY = "fhirmedia.pretty"
_JSON_AT_ONCE = frozenset({b"*/*", b"application/fhir+json", b"application/json", b"application/json, */*;q=0.5"})
"""What clients send when they want what they get anyway."""
_UTF_8 = frozenset({"utf-8", "utf8"})
_LIST_MAX_BYTES = 2048
_LIST_MAX_PARTS = 32
"""How much of a list in a header is looked at: it is read before anybody knows who sent it."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range with its parameters, names and values in lower case, values without quotes."""

    name: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        """How much it is wanted, from 0 to 1; 0 for a weight that is none."""
        try:
            return min(max(float(self.parameters.get("q", "1")), 0.0), 1.0)
        except ValueError:
            return 0.0

    @property
    def is_ours(self) -> bool:
        """Whether its parameters ask for nothing but R4 in UTF-8."""
        version = self.parameters.get("fhirversion", FHIR_VERSION)
        return version == FHIR_VERSION and self.parameters.get("charset", "utf-8") in _UTF_8


def media_type(text: str) -> MediaType:
    """One media type as a header or `_format` writes it; a blank in the name is a plus that was not encoded."""
    name, *given = text.split(";")
    parameters = {}
    for each in given:
        key, _, value = each.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"').lower()
    return MediaType(name.strip().replace(" ", "+").lower(), parameters)


def list_parts(header: str) -> list[str]:
    """The parts of a list in a header, of its first 2 kB at most 32; one that is cut short is left out."""
    parts = header[:_LIST_MAX_BYTES].split(",", _LIST_MAX_PARTS)
    return parts[:-1] if len(header) > _LIST_MAX_BYTES or len(parts) > _LIST_MAX_PARTS else parts


def require_answer_format(request: Request, *, form: Iterable[tuple[str, str]] | None = None) -> None:
    """Settle the form of the answer. Raises NOT_ACCEPTABLE where the client wants neither FHIR JSON nor FHIR XML of R4.

    `form` are the parameters of a posted search, whose `_format` and `_pretty` count like those of the address.
    """
    scope = request.scope
    parameters = _stated(scope, form)
    if parameters is None:
        accept = _accept(scope)
        if accept is None or accept in _JSON_AT_ONCE:
            return
    wanted = _wanted(scope, parameters)
    if wanted is None:
        text = f"This server answers in {FHIR_JSON} and {FHIR_XML}, of FHIR {FHIR_VERSION}."
        raise Failure(Category.NOT_ACCEPTABLE, text)
    scope[_FORMAT] = wanted
    scope[_PRETTY] = ("_pretty", "true") in (parameters or ())


def answer_format(scope: Scope) -> Format:
    """The form settled on, JSON where none was; a request that failed before that is looked at now."""
    settled: Format = scope.get(_FORMAT, "json")
    return settled


def settle_for_json(scope: Scope) -> None:
    """Answer in JSON, whatever the request asks for: one whose address or headers are too long to be looked at."""
    scope[_FORMAT] = "json"


def settle_for_failure(scope: Scope) -> None:
    """Find out in which form a refusal is told, if nothing did so far; where neither is wanted it is JSON."""
    if _FORMAT not in scope:
        scope[_FORMAT] = "json"
        with suppress(Failure):
            scope[_FORMAT] = _wanted(scope, _stated(scope, None)) or "json"


def is_pretty(scope: Scope) -> bool:
    """Whether the answer is to be indented for a person to read."""
    return b"_pretty=true" in scope["query_string"] or scope.get(_PRETTY, False) is True


def binary_format(request: Request) -> Format | None:
    """The form in which a Binary is asked for as a resource; None where its bytes are.

    Only FHIR's own media types mean the resource in Accept: a Binary may well be some other JSON or XML. Raises
    NOT_ACCEPTABLE for another version of FHIR.
    """
    stated = _stated(request.scope, None)
    given = next((value for name, value in stated or () if name == "_format"), None)
    if given is not None:
        wanted = media_type(given)
        found = _format_of(wanted.name)
    else:
        accept = _accept(request.scope)
        if accept is None:
            return None
        ranges = map(media_type, list_parts(accept.decode("latin-1")))
        wanted = max(ranges, key=lambda each: each.quality, default=MediaType("", {}))
        found = _format_of(wanted.name) if wanted.name in (FHIR_JSON, FHIR_XML) else None
    if found is not None and not wanted.is_ours:
        raise Failure(Category.NOT_ACCEPTABLE, f"This server answers in FHIR {FHIR_VERSION}, written in UTF-8.")
    if found is not None:
        request.scope[_FORMAT] = found
    return found


def _stated(scope: Scope, form: Iterable[tuple[str, str]] | None) -> list[tuple[str, str]] | None:
    """Parameters among which `_format` or `_pretty` is; None without looking where there can be none."""
    query: bytes = scope["query_string"]
    found = [*decode_query(query)] if b"_format" in query or b"_pretty" in query else []
    found += form or ()
    return found or None


def _wanted(scope: Scope, parameters: list[tuple[str, str]] | None) -> Format | None:
    given = next((value for name, value in parameters or () if name == "_format"), None)
    if given is not None:
        stated = media_type(given)
        return _format_of(stated.name) if stated.is_ours else None
    accept = _accept(scope)
    return "json" if accept is None else _accepted(accept.decode("latin-1"))


def _accepted(header: str) -> Format | None:
    """By weight, then by how exactly it is named, then by the order of naming; JSON where all that is equal."""
    ranges = [media_type(part) for part in list_parts(header)]
    best: tuple[float, int, int] = (0.0, 0, 0)
    found: Format | None = None
    forms: tuple[Format, Format] = ("json", "xml")
    for form in forms:
        rank = _rank(ranges, form)
        if rank[0] > 0 and rank > best:
            best, found = rank, form
    return found


def _rank(ranges: list[MediaType], form: Format) -> tuple[float, int, int]:
    """Weight, exactness and earliness of the range that speaks most exactly of a form (RFC 9110, section 12.5.1)."""
    names = JSON_TYPES if form == "json" else XML_TYPES
    speaking = []
    for place, each in enumerate(ranges):
        exactness = 3 if each.name in names else _EXACTNESS.get(each.name, 0)
        if exactness and each.is_ours:
            speaking.append((exactness, each.quality, -place))
    if not speaking:
        return 0.0, 0, 0
    most = max(exactness for exactness, _, _ in speaking)
    return max((quality, exactness, place) for exactness, quality, place in speaking if exactness == most)


_EXACTNESS = {"application/*": 2, "*/*": 1, "": 1}


def _format_of(name: str) -> Format | None:
    return "json" if name in JSON_TYPES else "xml" if name in XML_TYPES else None


def _accept(scope: Scope) -> bytes | None:
    """The Accept header; several are one list, joined as far as a list is looked at."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"accept":
            found = value if found is None else found + b"," + value
            if len(found) > _LIST_MAX_BYTES:
                break
    return found
