"""The name of immutable bytes. Never in a URL, never a capability."""

import hashlib
import re
from typing import NewType

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hexadecimal digits."""

_FORM = re.compile(r"sha256:[0-9a-f]{64}\Z")


def digest_of(content: bytes) -> Digest:
    """The Digest of bytes held in memory."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def parse_digest(text: str) -> Digest:
    """The text as a Digest; raises ValueError if it is not one."""
    if not _FORM.match(text):
        raise ValueError("not a sha256 digest")
    return Digest(text)


def sha256_hex(digest: Digest) -> str:
    """The 64 hexadecimal digits without their prefix."""
    return digest[7:]
