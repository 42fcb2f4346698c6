"""One parameter of a search, with its modifier and its values, becomes a condition: the table of modifiers."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.query import Any, Match, Missing, Not, QuantityTest, Query, Test
from fhirmedia.r4.query_asked import Asked, Piece, SearchContext
from fhirmedia.r4.query_numbers import in_canonical_unit
from fhirmedia.r4.query_string import split_unescaped
from fhirmedia.r4.query_terms import above_tests, below_tests, in_set_tests, of_type_tests
from fhirmedia.r4.query_values import (
    READERS,
    Reader,
    canonical_below_tests,
    contains_tests,
    exact_tests,
    hierarchical_uri_tests,
    identifier_tests,
    token_tests,
    typed_reference_tests,
)
from fhirmedia.r4.query_words import string_word_query, word_query
from fhirmedia.r4.registry import Kind
from fhirmedia.r4.texts import CODED, OF_CODED
from fhirmedia.r4.tokens import OF_TYPE
from fhirmedia.r4.ucum import CANONICAL

MAX_VALUES = 1000
MAX_COMBINATIONS = 2000
"""Of the readings of the parts of composites; a bare id has one for each type it may be of."""

_MODIFIED: Mapping[tuple[Kind, str], Reader] = MappingProxyType({
    ("token", "not"): token_tests,
    ("token", "in"): in_set_tests,
    ("token", "not-in"): in_set_tests,
    ("token", "below"): below_tests,
    ("token", "above"): above_tests,
    ("token", "of-type"): of_type_tests,
    ("string", "contains"): contains_tests,
    ("string", "exact"): exact_tests,
    ("reference", "identifier"): identifier_tests,
    ("reference", "below"): canonical_below_tests,
    ("uri", "below"): lambda piece, _context: hierarchical_uri_tests(piece, mode="below"),
    ("uri", "above"): lambda piece, _context: hierarchical_uri_tests(piece, mode="above"),
})  # fmt: skip


_NEGATING = frozenset({"not", "not-in"})


def condition(asked: Asked, modifier: str | None, *, text: str, context: SearchContext) -> Query:
    """What one `name:modifier=value,value` asks for.

    Raises Failure INVALID for a modifier the kind does not have here and for malformed values, TOO_COSTLY above 1000
    values, or 2000 combinations of what the parts of composites may mean.
    """
    if asked.kind == "special" and modifier is None:
        return word_query(asked.code, text, code=asked.code)
    if asked.kind == "token" and modifier == "text" and (not asked.element_types or asked.element_types & CODED):
        return word_query(asked.code + OF_CODED, text, code=asked.code, grammar=False)
    if asked.kind == "string" and modifier == "text":
        return string_word_query(asked, text)
    if modifier == "missing":
        return _missing(asked, text)
    values = split_unescaped(text, ",")
    if len(values) > MAX_VALUES:
        raise Failure(Category.TOO_COSTLY, f"parameter '{asked.code}': a parameter takes at most {MAX_VALUES} values")
    if asked.kind == "special":
        raise _unsupported(asked)
    read = _reader(asked, modifier)
    tests = [test for place, value in enumerate(values, 1) for test in read(Piece(asked, value, place), context)]
    if asked.kind == "quantity":
        return _quantities(asked.code, tests)
    if asked.kind == "composite" and len(tests) > MAX_COMBINATIONS:
        text = (
            f"parameter '{asked.code}': the values can be read in too many ways; say the types of what is referred to"
        )
        raise Failure(Category.TOO_COSTLY, text, expression=f"http.{asked.code}")
    field = asked.code + OF_TYPE if modifier == "of-type" else asked.code
    found = Match(field, tuple(dict.fromkeys(tests)))
    return Not(found) if modifier in _NEGATING else found


def _quantities(code: str, tests: Sequence[Test]) -> Query:
    """Those in units that can be told in others are asked of the values in canonical units."""
    told = {test: in_canonical_unit(test) for test in tests if isinstance(test, QuantityTest)}
    fields = {
        code: tuple(test for test, canonical in told.items() if canonical is None),
        code + CANONICAL: tuple(dict.fromkeys(each for each in told.values() if each is not None)),
    }
    asked = tuple(Match(field, several) for field, several in fields.items() if several)
    return asked[0] if len(asked) == 1 else Any(asked)


def _missing(asked: Asked, text: str) -> Query:
    if asked.kind in ("composite", "special"):
        raise _unsupported(asked)
    if text not in ("true", "false"):
        raise Piece(asked, text, 1).refuse("with ':missing' the value is true or false")
    return Missing(asked.code) if text == "true" else Not(Missing(asked.code))


def _reader(asked: Asked, modifier: str | None) -> Reader:
    if modifier is None:
        return READERS[asked.kind]
    read = _MODIFIED.get((asked.kind, modifier))
    if read is not None and _is_of_elements(asked, modifier):
        return read
    if asked.kind == "reference" and modifier in (asked.targets or resource_types()):
        typed = partial(typed_reference_tests, type=modifier)
        return lambda piece, _context: typed(piece)
    raise _unsupported(asked)


def _is_of_elements(asked: Asked, modifier: str) -> bool:
    """Whether the modifier is for such elements: of references, `:below` is for canonicals and for no hierarchy."""
    if modifier == "of-type":
        return not asked.element_types or "Identifier" in asked.element_types
    return (asked.kind, modifier) != ("reference", "below") or asked.is_canonical


def _unsupported(asked: Asked) -> Failure:
    """The modifier is the client's text, so it is not repeated."""
    return Failure(
        Category.INVALID,
        f"parameter '{asked.code}' does not support this modifier",
        code="not-supported",
        expression=f"http.{asked.code}",
    )
