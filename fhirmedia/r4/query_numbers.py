"""Values of number and quantity parameters become tests (FHIR R4, search, number and quantity)."""

import re
from decimal import Decimal

from fhirmedia.r4.dates import split_prefix
from fhirmedia.r4.query import NumberTest, QuantityTest, Test
from fhirmedia.r4.query_asked import Piece, SearchContext
from fhirmedia.r4.query_string import split_unescaped, unescape
from fhirmedia.r4.ucum import UCUM, canonical_unit, in_canonical

_FORM = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)


def parse_number(text: str) -> NumberTest | None:
    """The prefix, and what the digits stand for; None if malformed.

    For `eq` and `ne` half a unit of the last digit written to either side (`1e2` is 50 to 150); for `ap` a tenth of
    the number; for the others the number itself.
    """
    prefix, digits = split_prefix(text)
    if _FORM.fullmatch(digits) is None:
        return None
    number = Decimal(digits)
    margin = Decimal(0)
    if prefix in ("eq", "ne"):
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        margin = Decimal(1).scaleb(exponent) / 2
    elif prefix == "ap":
        margin = abs(number) / 10
    return NumberTest(prefix, float(number - margin), float(number + margin))


def number_tests(piece: Piece, _context: SearchContext) -> tuple[Test, ...]:
    """A prefix and a number."""
    return (_number(piece, piece.text),)


def quantity_tests(piece: Piece, _context: SearchContext) -> tuple[Test, ...]:
    """`number`, `number|system|code` or `number||unit`."""
    number, *unit = split_unescaped(piece.text, "|")
    match [unescape(part) for part in unit]:
        case []:
            return (QuantityTest(_number(piece, number)),)
        case ["", str(either)] if either:
            return (QuantityTest(_number(piece, number), unit=either),)
        case [str(system), str(code)] if system and code:
            return (QuantityTest(_number(piece, number), system=system, code=code),)
        case _:
            raise piece.refuse("after the number stand a system and a code, or nothing and a unit, or nothing at all")


def in_canonical_unit(test: QuantityTest) -> QuantityTest | None:
    """The same in the canonical unit of its kind; None where the unit is none of UCUM's that is known here."""
    unit = canonical_unit(test.code) if test.system == UCUM and test.code is not None else None
    if unit is None:
        return None
    number = test.number
    told = NumberTest(number.prefix, in_canonical(number.lo, unit), in_canonical(number.hi, unit))
    return QuantityTest(told, UCUM, unit.code)


def _number(piece: Piece, text: str) -> NumberTest:
    test = parse_number(text)
    if test is None:
        raise piece.refuse("the value is not a number, with or without one of the nine prefixes")
    return test
