"""The formats of R4's primitive types: one function per type that says what is wrong with a JSON value, or nothing.

Datatypes page of R4, "Primitive Types". The standard's regular expressions are kept in meaning, not in letter: where
one of them can be made to backtrack (base64Binary) or lets through what the text forbids (a code with two spaces, the
31st of June), the rule of the text is what counts here.
"""

import binascii
import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from decimal import Decimal

from fhirmedia.r4.json_types import Json

Test = Callable[[Json], str | None]
"""Takes a JSON value and returns the rule it breaks, as the end of a sentence that begins with the element; or None."""

STRING_MAX = 1024 * 1024
"""R4: strings shall not exceed this number of characters."""
_INTEGER_MAX = 2**31 - 1
_DECIMAL_DIGITS_MAX = 64
_DECIMAL_EXPONENT_MAX = 400

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").search
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,20})?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DAY = r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_YEAR = r"[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?"
_WHOLE_DATE = re.compile(_DAY).fullmatch
_PART_DATE = re.compile(_YEAR).fullmatch
_MOMENT = re.compile(f"{_DAY}T{_TIME}{_ZONE}").fullmatch
_CLOCK = re.compile(_TIME).fullmatch
_BASE64_ODD = re.compile(r"[^0-9A-Za-z+/=\s]", re.ASCII).search

_MUST_EXIST = "must be a calendar day that exists"


def _boolean(value: Json) -> str | None:
    return None if value is True or value is False else "must be true or false, without quotes"


def _integer_in(low: int, high: int) -> Test:
    rule = f"must be a whole number from {low} to {high}, without quotes"

    def test(value: Json) -> str | None:
        return None if type(value) is int and low <= value <= high else rule

    return test


def _decimal(value: Json) -> str | None:
    if type(value) is int:
        return None if -(10**_DECIMAL_DIGITS_MAX) < value < 10**_DECIMAL_DIGITS_MAX else _DECIMAL_RULE
    if type(value) is not Decimal:
        return "must be a number, without quotes"
    digits = value.as_tuple()
    if not isinstance(digits.exponent, int):
        return "must be a number"
    fits = len(digits.digits) <= _DECIMAL_DIGITS_MAX and abs(digits.exponent) <= _DECIMAL_EXPONENT_MAX
    return None if fits else _DECIMAL_RULE


_DECIMAL_RULE = f"must have at most {_DECIMAL_DIGITS_MAX} digits and an exponent within {_DECIMAL_EXPONENT_MAX}"


def _text(value: Json) -> str | None:
    if type(value) is not str:
        return "must be a string"
    if not value:
        return "must not be empty"
    if not value.isprintable() and _UNWRITABLE(value):
        return "must not hold control characters or other characters XML cannot carry"
    return None


def _string(value: Json) -> str | None:
    too_long = type(value) is str and len(value) > STRING_MAX
    return f"must not exceed {STRING_MAX} characters" if too_long else _text(value)


def _matching(pattern: str, rule: str) -> Test:
    fits = re.compile(pattern, re.ASCII).fullmatch

    def test(value: Json) -> str | None:
        if type(value) is not str:
            return "must be a string"
        return None if fits(value) else rule

    return test


def _is_day(year: str, month: str, day: str) -> bool:
    if year == "0000":
        return False
    return day <= "28" or int(day) <= monthrange(int(year), int(month))[1]


def _date(value: Json) -> str | None:
    if type(value) is not str:
        return "must be a string"
    whole = _WHOLE_DATE(value)
    if whole:
        return None if _is_day(*whole.groups()) else _MUST_EXIST
    if _PART_DATE(value) and not value.startswith("0000"):
        return None
    return "must be a date: YYYY, YYYY-MM or YYYY-MM-DD"


def _instant(value: Json) -> str | None:
    if type(value) is not str:
        return "must be a string"
    moment = _MOMENT(value)
    if not moment:
        return "must be an instant: YYYY-MM-DDThh:mm:ss with optional fraction and a time zone"
    return None if _is_day(*moment.groups()) else _MUST_EXIST


def _date_time(value: Json) -> str | None:
    if type(value) is not str:
        return "must be a string"
    if "T" in value:
        moment = _MOMENT(value)
        if moment:
            return None if _is_day(*moment.groups()) else _MUST_EXIST
    elif _date(value) is None:
        return None
    elif _WHOLE_DATE(value):
        return _MUST_EXIST
    return "must be a dateTime: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone"


def _time(value: Json) -> str | None:
    if type(value) is not str:
        return "must be a string"
    return None if _CLOCK(value) else "must be a time: hh:mm:ss with optional fraction and no time zone"


def _base64(value: Json) -> str | None:
    """Linear in the length, whatever it holds; white space between groups is allowed."""
    if type(value) is not str:
        return "must be a string"
    rule = "must be base64"
    if not value or _BASE64_ODD(value):
        return rule
    try:
        packed = value.encode("ascii")
        if not value.isalnum() and any(blank in packed for blank in b" \t\r\n"):
            packed = b"".join(packed.split())
        return None if packed and binascii.a2b_base64(packed, strict_mode=True) is not None else rule
    except (binascii.Error, UnicodeEncodeError):
        return rule


_URI = _matching(r"[^\s\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+", "must be a URI without white space")

TESTS: Mapping[str, Test] = {
    "boolean": _boolean,
    "integer": _integer_in(-_INTEGER_MAX - 1, _INTEGER_MAX),
    "unsignedInt": _integer_in(0, _INTEGER_MAX),
    "positiveInt": _integer_in(1, _INTEGER_MAX),
    "decimal": _decimal,
    "string": _string,
    "markdown": _string,
    "xhtml": _text,
    "code": _matching(
        r"(?u:[^\s\x00-\x1f\ud800-\udfff\ufffe\uffff]+(?: [^\s\x00-\x1f\ud800-\udfff\ufffe\uffff]+)*)",
        "must be a code: no white space but single spaces inside",
    ),
    "id": _matching(r"[A-Za-z0-9\-.]{1,64}", "must be an id: 1 to 64 of letters, digits, '-' and '.'"),
    "uri": _URI,
    "url": _URI,
    "canonical": _URI,
    "oid": _matching(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "must be an OID as urn:oid:…"),
    "uuid": _matching(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "must be a UUID in lower case as urn:uuid:…",
    ),
    "date": _date,
    "dateTime": _date_time,
    "instant": _instant,
    "time": _time,
    "base64Binary": _base64,
}
"""By the name of the primitive type; `xhtml` is only a string here, `fhirmedia.r4.narrative` looks inside."""
