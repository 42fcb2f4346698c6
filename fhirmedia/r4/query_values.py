"""One value of a search parameter becomes tests: the forms of FHIR R4, search, by parameter type.

Every function takes a Piece and gives the tests of which one must hold; a value that does not have the form of its
type raises Failure INVALID that names parameter and position. Nothing malformed is ever read as something close to it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from itertools import product
from types import MappingProxyType
from typing import Literal

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.r4.dates import query_date
from fhirmedia.r4.fold import bounded, indexed_exact, indexed_forms, plain
from fhirmedia.r4.query import CompositeTest, ReferenceTest, StringTest, Test, TokenTest, UriTest
from fhirmedia.r4.query_asked import Asked, Piece, SearchContext
from fhirmedia.r4.query_numbers import number_tests, quantity_tests
from fhirmedia.r4.query_string import split_unescaped, unescape
from fhirmedia.r4.references import parse_reference
from fhirmedia.r4.registry import Kind
from fhirmedia.r4.tokens import DICOM_UID, code_readings, normal_code, normal_uid, token_value
from fhirmedia.r4.value_tests import below_versions

Tests = tuple[Test, ...]
Reader = Callable[[Piece, SearchContext], Tests]

_SYSTEM_TYPES = frozenset({"Coding", "CodeableConcept", "Identifier", "Reference"})
"""What states the system of its code; a Reference in its logical identifier."""
_NO_SYSTEM_TYPES = frozenset({"ContactPoint", "uri", "url", "canonical", "oid", "uuid", "boolean", "string"})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_MIN_CONTAINED = 3


def plain_text(piece: Piece) -> str:
    """The piece without its escapes."""
    text = unescape(piece.text)
    if text is None:
        raise piece.refuse("a backslash may only stand before a comma, a dollar sign, a bar or a backslash")
    if not text:
        raise piece.refuse("the value is empty")
    return text


def token_tests(piece: Piece, context: SearchContext) -> tuple[TokenTest, ...]:
    """`code`, `system|code`, `system|`, `|code`."""
    parts = split_unescaped(piece.text, "|")
    if len(parts) == 1:
        return _code_tests(plain_text(piece), piece.asked, context)
    if len(parts) > 2:
        raise piece.refuse("a token has at most one bar that is not escaped")
    if piece.asked.code == "_id" or (piece.asked.element_types and piece.asked.element_types <= _NO_SYSTEM_TYPES):
        raise piece.refuse("this parameter has no systems, so the value takes no bar")
    system, code = (unescape(part) for part in parts)
    if system is None or code is None:
        raise piece.refuse("a backslash may only stand before a comma, a dollar sign, a bar or a backslash")
    if not system and not code:
        raise piece.refuse("neither a system nor a code is given")
    if not system:
        return _systemless(code, piece.asked)
    value = token_value(system, None)
    if not code:
        return (TokenTest(system=value.system),)
    code = normal_code(system, code, today=_today(context))
    stated = TokenTest(code, value.system)
    return (stated, TokenTest(code, no_system=True)) if piece.asked.is_uid and system == DICOM_UID else (stated,)


def _code_tests(code: str, asked: Asked, context: SearchContext) -> tuple[TokenTest, ...]:
    if asked.code == "_id":
        return (TokenTest(bounded(code)),)
    if asked.is_uid:
        code = normal_uid(code)
    if asked.element_types and not asked.element_types & _SYSTEM_TYPES:
        return (TokenTest(normal_code(None, code)),)
    return tuple(TokenTest(form, system) for system, form in code_readings(code, today=_today(context)))


def _systemless(code: str, asked: Asked) -> tuple[TokenTest, ...]:
    """Elements of type `code` state no system, though they are kept with the one they imply."""
    form = normal_code(None, code)
    return TokenTest(form, no_system=True), *(TokenTest(form, system) for system in asked.code_systems)


def date_tests(piece: Piece, context: SearchContext) -> Tests:
    """A prefix and a date of any precision."""
    test = query_date(plain_text(piece), zone=context.zone, now=context.now)
    if test is None:
        raise piece.refuse("the value is not a date or time, with or without one of the nine prefixes")
    return (test,)


def reference_tests(piece: Piece, context: SearchContext) -> Tests:
    """`Type/id`, `Type/id/_history/n`, a bare id (of the parameter's target types), or an absolute URL."""
    text = plain_text(piece)
    target = parse_reference(text, base_url=context.base_url.rstrip("/"))
    if target.key is not None and (target.version is not None or "/_history/" not in text):
        return (ReferenceTest(key=target.key, version=target.version),)
    if FHIR_ID.match(text):
        targets = piece.asked.targets or tuple(context.registry.types)
        return tuple(ReferenceTest(key=Key(name, text), untyped=len(targets) > 1) for name in targets)
    if target.url is not None and _ABSOLUTE.fullmatch(text):
        return (ReferenceTest(url=bounded(text)),)
    raise piece.refuse("the value is not a reference: an id, a type of FHIR R4 and an id, or an absolute URL")


def typed_reference_tests(piece: Piece, *, type: str) -> Tests:
    """`:Type` with an id, or with that type and an id."""
    identity = plain_text(piece).removeprefix(f"{type}/")
    if not FHIR_ID.match(identity):
        raise piece.refuse("with a type as modifier the value is an id")
    return (ReferenceTest(key=Key(type, identity)),)


def canonical_below_tests(piece: Piece, context: SearchContext) -> Tests:
    """`:below` of a canonical: the version it names and those under it, or all versions (R4, search 3.1.1.4.13)."""
    text = plain_text(piece)
    _, bar, version = text.partition("|")
    if not _ABSOLUTE.fullmatch(text) or (bar and not version):
        raise piece.refuse("with ':below' the value is an absolute URL, with or without a bar and a version")
    if not bar:
        return reference_tests(piece, context)
    return (ReferenceTest(url=bounded(text), below=True),)


def identifier_tests(piece: Piece, context: SearchContext) -> Tests:
    """`:identifier`: a token that the logical identifier of a reference meets."""
    return tuple(ReferenceTest(identifier=test) for test in token_tests(piece, context))


def string_tests(piece: Piece, _context: SearchContext) -> Tests:
    """What some spelling of some value starts with."""
    return tuple(StringTest("starts", form) for form in _forms(piece))


def contains_tests(piece: Piece, _context: SearchContext) -> Tests:
    """What some spelling of some value contains; shorter than three letters it is too costly."""
    forms = _forms(piece)
    if min(map(len, forms)) < _MIN_CONTAINED:
        raise Failure(Category.TOO_COSTLY, f"parameter '{piece.asked.code}': ':contains' takes at least three letters")
    return tuple(StringTest("contains", form) for form in forms)


def exact_tests(piece: Piece, _context: SearchContext) -> Tests:
    """The text itself, case and accents included."""
    return (StringTest("exact", indexed_exact(plain_text(piece))),)


def _forms(piece: Piece) -> tuple[str, ...]:
    text = plain_text(piece)
    if not plain(text):
        raise piece.refuse("the value has neither letters nor digits")
    return indexed_forms(text)


def uri_tests(piece: Piece, _context: SearchContext) -> Tests:
    """The very same URI."""
    return (UriTest("exact", bounded(plain_text(piece))),)


def hierarchical_uri_tests(piece: Piece, *, mode: Literal["below", "above"]) -> Tests:
    """The URI, or those under it, or those over it, by whole segments; a `urn:` has no segments.

    Under a canonical are its business versions, too, and under one of these whatever is divided off it (R4, search
    3.1.1.4.13).
    """
    text = plain_text(piece)
    if mode == "below" and piece.asked.is_canonical:
        canonical, bar, version = text.partition("|")
        if bar and not (canonical and version):
            raise piece.refuse("before a bar stands an address, and behind it a version")
        if bar:
            return UriTest("exact", bounded(text)), *(UriTest("begins", each) for each in below_versions(text))
        if text.casefold().startswith("urn:"):
            return UriTest("exact", bounded(text)), UriTest("begins", f"{text}|")
        return UriTest("below", bounded(text)), UriTest("begins", f"{text}|")
    if text.casefold().startswith("urn:"):
        raise piece.refuse("a urn has neither above nor below")
    return (UriTest(mode, bounded(text)),)


def composite_tests(piece: Piece, context: SearchContext) -> Tests:
    """`a$b`: one test for each part, of which each may have several readings."""
    parts = split_unescaped(piece.text, "$")
    components = piece.asked.components
    if len(parts) != len(components):
        raise piece.refuse(f"the value has {len(components)} parts with '$' between them")
    readings = []
    for part, component in zip(parts, components, strict=True):
        asked = Asked(code=piece.asked.code, kind=component.kind)
        readings.append([
            (component.parameter, test) for test in READERS[component.kind](Piece(asked, part, piece.position), context)
        ])  # fmt: skip
    return tuple(CompositeTest(combination) for combination in product(*readings))


def _today(context: SearchContext) -> date:
    return datetime.fromtimestamp(context.now / 1000, UTC).date()


READERS: Mapping[Kind, Reader] = MappingProxyType({
    "token": token_tests,
    "date": date_tests,
    "reference": reference_tests,
    "string": string_tests,
    "uri": uri_tests,
    "number": number_tests,
    "quantity": quantity_tests,
    "composite": composite_tests,
})  # fmt: skip
"""How an unmodified value of each kind is read; `special` has no reader."""
