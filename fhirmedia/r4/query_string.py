"""The text of a search taken apart: percent-decoding into pairs, separators, escapes (FHIR R4, search, escaping).

The order is fixed: pairs are decoded, then split on `,` (or), `$` (composite), `|` (token, quantity), then unescaped.
"""

import re
from urllib.parse import quote, unquote_to_bytes

from fhirmedia.core.errors import Category, Failure

MAX_BYTES = 256 * 1024
MAX_PARAMETERS = 100
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_SPEAKABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}")


def decode_query(raw: bytes | str) -> list[tuple[str, str]]:
    """The pairs of a query or form body (application/x-www-form-urlencoded) in order, repeats included.

    Raises Failure INVALID for a broken percent sign, bytes that are not UTF-8, NUL or a pair without a name; TOO_LARGE
    above 256 KiB; TOO_COSTLY above 100 pairs.
    """
    try:
        encoded = raw.encode() if isinstance(raw, str) else raw
    except UnicodeEncodeError as error:
        raise Failure(Category.INVALID, "the query is not valid UTF-8") from error
    if len(encoded) > MAX_BYTES:
        raise Failure(Category.TOO_LARGE, "the query is longer than 256 KiB")
    pairs = [pair for pair in encoded.split(b"&") if pair]
    if len(pairs) > MAX_PARAMETERS:
        raise Failure(Category.TOO_COSTLY, "a search takes at most 100 parameters")
    decoded = []
    for position, pair in enumerate(pairs, 1):
        name, _, value = pair.partition(b"=")
        if not name:
            raise Failure(Category.INVALID, f"parameter {position} of the query has no name")
        decoded.append((_decode(name, position), _decode(value, position)))
    return decoded


def encode_query(pairs: tuple[tuple[str, str], ...]) -> str:
    """The pairs as a query that `decode_query` reads back; separators of search stay readable."""
    return "&".join(f"{quote(name, safe=':')}={quote(value, safe=':/,$')}" for name, value in pairs)


def split_unescaped(text: str, separator: str) -> list[str]:
    """The pieces between separators that no backslash escapes; escapes stay in the pieces."""
    if "\\" not in text:
        return text.split(separator)
    pieces, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            pieces.append(text[start:at])
            start = at + 1
        at += 1
    return [*pieces, text[start:]]


def unescape(text: str) -> str | None:
    r"""The piece without its escapes `\,` `\$` `\|` `\\`; None if a backslash stands before anything else."""
    if any(escaped not in ("\\", ",", "$", "|") for escaped in _ESCAPE.findall(text)):
        return None
    return _ESCAPE.sub(r"\1", text)


def speakable(name: str) -> str:
    """A parameter's name as it may stand in a message: what does not look like a name is not repeated."""
    return f"'{name}'" if _SPEAKABLE.fullmatch(name) else "(not a name)"


def _decode(part: bytes, position: int) -> str:
    if _BROKEN_PERCENT.search(part):
        raise Failure(Category.INVALID, f"parameter {position} of the query has a broken percent encoding")
    try:
        text = unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise Failure(Category.INVALID, f"parameter {position} of the query is not valid UTF-8") from error
    if "\0" in text:
        raise Failure(Category.INVALID, f"parameter {position} of the query contains NUL")
    return text
