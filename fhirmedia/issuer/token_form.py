"""The outer form of a compact JWS (RFC 7515), read with suspicion before any key is touched.

Bounded length, canonical base64url, JSON objects without duplicate names or deep nesting: what passes here cannot make
a parser misbehave, and two readers cannot understand it differently.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from fhirmedia.r4.json_types import Json, JsonObject

TOKEN_MAX_BYTES = 16 * 1024
HEADER_MAX_BYTES = 4 * 1024
BRACKETS_MAX = 200

_UNSUPPORTED_HEADERS = ("crit", "b64", "zip", "enc")


@dataclass(frozen=True, slots=True)
class Opened:
    """A token of good form about which nothing is proven yet."""

    header: JsonObject
    claims: JsonObject


def open_token(token: str) -> Opened | None:
    """Header and claims of a compact JWS, unverified; None if its form is not one we read."""
    header, payload = split(token)
    if header is None:
        return None
    read_header, claims = read_object(header), read_object(payload)
    if read_header is None or claims is None or any(name in read_header for name in _UNSUPPORTED_HEADERS):
        return None
    return Opened(read_header, claims)


def split(token: str) -> tuple[bytes | None, bytes]:
    """Header and payload bytes; None for the header if the text is no bounded, canonical compact JWS."""
    if len(token) > TOKEN_MAX_BYTES or not token.isascii():
        return None, b""
    parts = [_decode(part) for part in token.split(".", 3)]
    if len(parts) != 3:
        return None, b""
    header, payload, signature = parts
    if not header or payload is None or not signature or len(header) > HEADER_MAX_BYTES:
        return None, b""
    return header, payload


def read_object(content: bytes) -> JsonObject | None:
    """A JSON object as `read_json` reads it, with at most 200 brackets; None for anything else."""
    try:
        value = read_json(content, brackets_max=BRACKETS_MAX)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_json(content: bytes, *, brackets_max: int) -> Json:
    """JSON in UTF-8; raises ValueError for duplicate names, NaN, lone surrogates, too many or too deep brackets."""
    if content.count(b"[") + content.count(b"{") > brackets_max:
        raise ValueError("too many brackets")
    try:
        value: Json = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _decode(part: str) -> bytes | None:
    """Base64url without padding, in the one spelling its bytes have (RFC 4648, 3.5)."""
    try:
        content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if base64.urlsafe_b64encode(content).rstrip(b"=") == part.encode() else None


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _refuse(_constant: str) -> Json:
    raise ValueError("not JSON")
