"""Digests a client declares of the body it sends: Repr-Digest and Content-Digest (RFC 9530).

A body comes here without a content encoding and whole, so that both fields speak of the same bytes (section 3.1).
"""

import binascii
import hashlib
import re
from base64 import b64decode
from dataclasses import dataclass

from starlette.requests import Request

from fhirmedia.core.errors import Category, Failure

FIELDS = ("repr-digest", "content-digest")
ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
"""The active ones (section 7.2) and how Python names them. Others are ignored, as sections 2 and 3 leave free."""

_MEMBER = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*)?[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class Declared:
    """What one member of a field says: an algorithm, and the digest it gives."""

    algorithm: str
    digest: bytes


class BodyCheck:
    """Takes the runs of a body, then says whether they are what was declared; costs nothing where nothing was."""

    def __init__(self, request: Request) -> None:
        """Read the fields. Raises Failure INVALID if one is not a dictionary of byte sequences."""
        self._declared = [each for name in FIELDS for each in _declared(request.headers.getlist(name))]
        self._hashes = {each.algorithm: hashlib.new(ALGORITHMS[each.algorithm]) for each in self._declared}

    def take(self, run: bytes) -> None:
        """The next run of the body."""
        for each in self._hashes.values():
            each.update(run)

    def finish(self) -> None:
        """Raise Failure INVALID if the body is another than the one declared."""
        if any(self._hashes[each.algorithm].digest() != each.digest for each in self._declared):
            raise Failure(Category.INVALID, "The body is not what its declared digest says.", code="value")


def _declared(lines: list[str]) -> list[Declared]:
    members = [part for line in lines for part in line.split(",") if line.strip()]
    matches = [_MEMBER.match(each) for each in members]
    digests = {}  # of members with the same name the last one counts (RFC 8941, section 3.2)
    for match in matches:
        if match is None:
            raise _malformed()
        algorithm, text = match.groups()
        try:
            digest = b64decode(text, validate=True)
        except binascii.Error:
            raise _malformed() from None
        if algorithm in ALGORITHMS:
            if len(digest) != hashlib.new(ALGORITHMS[algorithm]).digest_size:
                raise _malformed()
            digests[algorithm] = digest
    return [Declared(algorithm, digest) for algorithm, digest in digests.items()]


def _malformed() -> Failure:
    return Failure(Category.INVALID, "Repr-Digest and Content-Digest must be as sha-256=:base64:.", code="value")
