"""Renditions: which pictures are made of which content, and the validator of one. Nothing is decoded here.

A rendition is a small copy for the screen: upright, without any metadata but a colour profile, never larger than its
source. It is made anew for each request. A copy kept on disk would be patient data of its own, to be checked, backed up
and erased with its source, and would save some tens of milliseconds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fhirmedia.core.digests import Digest
from fhirmedia.media.sniff import essence

WIDTHS = (256, 1024)
"""Pixels; no other width is made, so that nobody can make the server draw endless variants."""

RECIPE = 1
"""Raised whenever the same source would give another picture."""

SOURCE_MAX_BYTES = 256 * 2**20
"""Content larger than this is not drawn."""

DRAWN, TOO_LARGE, UNREADABLE = "drawn", "too-large", "unreadable"
"""What a process of the sandbox says."""

DRAWN_TYPES = ("image/jpeg", "image/png")

_FORMATS: Mapping[str, str] = {
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/pjpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished rendition: `image/jpeg`, or `image/png` where the source is transparent or has few colours."""

    content_type: str
    content: bytes


def drawn_format(content_type: str) -> str | None:
    """The decoder's name for content of this type, or None if no rendition is made of it."""
    return _FORMATS.get(essence(content_type))


def rendition_tag(digest: Digest, *, width: int, of: str) -> str:
    """The strong ETag of a rendition; `of` names the version it is shown with. The Digest cannot be read from it."""
    stated = f"rendition {RECIPE} {width} {of} {digest}"
    return f'"{hashlib.sha256(stated.encode()).hexdigest()[:40]}"'
