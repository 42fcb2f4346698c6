"""Token modifiers that look things up: `:in`, `:below`, `:above`, `:of-type` (FHIR R4, search 3.1.1.4.10).

Lists and hierarchies are resolved while the search is read, so engines see codes only.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from fhirmedia.r4.query import TokenTest
from fhirmedia.r4.query_asked import Piece, SearchContext
from fhirmedia.r4.query_string import split_unescaped, unescape
from fhirmedia.r4.query_values import plain_text
from fhirmedia.r4.terminology import Coded, terminology
from fhirmedia.r4.tokens import code_readings, token_value

MEDIA_TYPES = "urn:ietf:bcp:13"
"""The system of media types, whose hierarchy is in their spelling."""

_MEDIA_TYPE = re.compile(r"[a-z]+(/[a-z0-9!#$&^_.+-]+)?", re.IGNORECASE)
_WITH_PARAMETERS = re.compile(rf"{_MEDIA_TYPE.pattern}(;[^;]*){{0,8}}", re.IGNORECASE)


def in_set_tests(piece: Piece, _context: SearchContext) -> tuple[TokenTest, ...]:
    """`:in` (and `:not-in`): every code of a ValueSet this server holds."""
    members = terminology().set_of(plain_text(piece))
    if members is None:
        raise piece.refuse("the value is not a ValueSet this server holds")
    return _tests(members)


def below_tests(piece: Piece, _context: SearchContext) -> tuple[TokenTest, ...]:
    """`:below`: the code and what lies below it; of a media type, what begins with it."""
    system, code = _coded(piece)
    found = terminology().below(code, system=system)
    if found:
        return _tests(found)
    if _has_media_types(piece, system) and _MEDIA_TYPE.fullmatch(code):
        return (TokenTest(token_value(None, code).code, below=True),)
    raise piece.refuse("the code stands in no hierarchy this server holds")


def above_tests(piece: Piece, _context: SearchContext) -> tuple[TokenTest, ...]:
    """`:above`: the code and what lies above it; of a media type, what it begins with, down to its top level."""
    system, code = _coded(piece)
    found = terminology().above(code, system=system)
    if found:
        return _tests(found)
    if _has_media_types(piece, system) and _WITH_PARAMETERS.fullmatch(code):
        cuts = [len(code), *(at for at, sign in enumerate(code) if sign == ";"), code.find("/")]
        return tuple(TokenTest(token_value(None, code[:cut]).code) for cut in cuts if cut > 0)
    raise piece.refuse("the code stands in no hierarchy this server holds")


def of_type_tests(piece: Piece, context: SearchContext) -> tuple[TokenTest, ...]:
    """`:of-type=system|code|value`: one identifier has this type and this value."""
    parts = [unescape(part) for part in split_unescaped(piece.text, "|")]
    if len(parts) != 3 or not all(parts):
        raise piece.refuse("with ':of-type' the value is system|code|value")
    system, code, value = (part or "" for part in parts)
    kind = token_value(system, code)
    today = datetime.fromtimestamp(context.now / 1000, UTC).date()
    forms = dict.fromkeys(form for _, form in code_readings(value, today=today))
    return tuple(TokenTest(f"{kind.code}|{form}", kind.system) for form in forms)


def _has_media_types(piece: Piece, system: str | None) -> bool:
    """Whether the parameter has codes of that system that are media types, or codes nobody says the system of."""
    asked = piece.asked
    unsaid = asked.element_types <= {"string"} and not asked.code_systems
    return system in (None, MEDIA_TYPES) and (unsaid or MEDIA_TYPES in asked.code_systems)


def _coded(piece: Piece) -> tuple[str | None, str]:
    parts = [unescape(part) for part in split_unescaped(piece.text, "|")]
    if len(parts) > 2 or not all(parts):
        raise piece.refuse("the value is a code, or a system and a code with a bar between them")
    *system, code = (part or "" for part in parts)
    return (system[0] if system else None), code


@lru_cache(maxsize=256)
def _tests(coded: tuple[Coded, ...]) -> tuple[TokenTest, ...]:
    values = (token_value(system, code) for system, code in coded)
    return tuple(TokenTest(value.code, value.system) for value in values)
