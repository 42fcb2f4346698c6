"""JSON in: bytes a client sent become an object, or are refused before anything else looks at them.

Stricter than RFC 8259 where two readers could understand two things: no duplicate names, no byte order mark, no lone
surrogates, no numbers that are not numbers. Decimals keep their digits.
"""

import json
import re
from decimal import Decimal
from typing import NoReturn

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.json_types import Json, JsonArray, JsonObject

DEPTH_MAX = 50
"""Objects and arrays inside each other."""

_BOM = b"\xef\xbb\xbf"
_NUL = re.compile(r"\\u0000").search
_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
).search


def parse_json(content: bytes) -> JsonObject:
    """The object in `content` (UTF-8), members in order, numbers with a fraction or exponent as Decimal.

    Raises Failure(INVALID) with code `structure` or `value`; no text repeats what was sent.
    """
    value = _parsed(content)
    if type(value) is not dict:
        raise _refused("The JSON text must hold one object")
    return value


def parse_json_array(content: bytes) -> JsonArray:
    """The array in `content`, read as `parse_json` reads an object. Raises the same."""
    value = _parsed(content)
    if type(value) is not list:
        raise _refused("The JSON text must hold one array")
    return value


def is_deeper(root: Json, limit: int) -> bool:
    """Whether objects and arrays lie inside each other more than `limit` times; depth costs no stack."""
    level: list[Json] = [root]
    for _ in range(limit):
        below: list[Json] = []
        for node in level:
            values = node.values() if type(node) is dict else node if type(node) is list else ()
            below.extend(value for value in values if type(value) is dict or type(value) is list)
        if not below:
            return False
        level = below
    return True


def _parsed(content: bytes) -> Json:
    if content[:3] == _BOM:
        raise _refused("The JSON text must not begin with a byte order mark")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("The JSON text must be UTF-8") from None
    if "\\u" in text:
        _check_escapes(text.replace("\\\\", "__"))
    value = _decoded(text)
    if text.count("{") + text.count("[") > DEPTH_MAX and is_deeper(value, DEPTH_MAX):
        raise _refused(f"The JSON text must not be nested deeper than {DEPTH_MAX}")
    return value


def _decoded(text: str) -> Json:
    try:
        value: Json = _DECODER.decode(text)
    except RecursionError:
        raise _refused(f"The JSON text must not be nested deeper than {DEPTH_MAX}") from None
    except json.JSONDecodeError as broken:
        raise _refused(f"The JSON text is broken at line {broken.lineno}, column {broken.colno}") from None
    except (ValueError, ArithmeticError):
        raise _refused("A number in the JSON text is too long", code="value") from None
    return value


def _check_escapes(text: str) -> None:
    """`text` has its escaped backslashes replaced, so that every `\\u` in it begins an escape."""
    if _NUL(text):
        raise _refused("The JSON text must not hold the character NUL", code="value")
    if _LONE_SURROGATE(text):
        raise _refused("The JSON text must not hold half of a surrogate pair", code="value")


def _members(pairs: list[tuple[str, Json]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _refused("An object in the JSON text names a member twice")
    return members


def _not_a_number(_: str) -> NoReturn:
    raise _refused("A number in the JSON text must be finite", code="value")


def _refused(text: str, *, code: str = "structure") -> Failure:
    return Failure(Category.INVALID, text, code=code)


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=Decimal, parse_constant=_not_a_number)
