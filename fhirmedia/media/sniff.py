"""What content really is, from its first bytes, and whether that agrees with what it was declared to be.

The signatures follow the WHATWG MIME Sniffing Standard and the formats' own definitions. A format without a signature
(text, CSV, JSON) is only contradicted by bytes that are some other format or no text at all.
"""

import re
from collections.abc import Mapping

HEAD_BYTES = 1024
"""How many leading bytes `recognise` wants to see (fewer for shorter content)."""

_CONTENT_TYPE = re.compile(
    r"(?P<essence>[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,80})"
    r"(?:[ \t]*;[ \t]*[a-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&'*+.^_`|~:/-]+|\"[^\"\\\x00-\x1f\x7f]*\"))*\Z",
    re.IGNORECASE,
)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"OggS", "application/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-elf"),
)

_TIFF = (b"II*\x00", b"MM\x00*")
"""What the preamble of a DICOM file may announce, if it is not zeros (PS3.10, 7.1); no program may hide there."""

_RIFF = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}
_FTYP = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
}

_KNOWN = frozenset(
    {form for _, form in _SIGNATURES} | set(_RIFF.values()) | set(_FTYP.values()) | {"video/mp4", "application/dicom"}
)

_SAME: Mapping[str, str] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/heif": "image/heic",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "text/rtf": "application/rtf",
    "audio/ogg": "application/ogg",
    "video/ogg": "application/ogg",
    "audio/webm": "video/webm",
    "video/x-matroska": "video/webm",
    "video/3gpp": "video/mp4",
    "audio/mp4": "video/mp4",
    "audio/m4a": "video/mp4",
    "audio/x-m4a": "video/mp4",
    "video/quicktime": "video/mp4",
    "audio/mp3": "audio/mpeg",
    "application/x-gzip": "application/gzip",
    "text/xml": "application/xml",
}

_ZIPPED = re.compile(r"application/(zip|x-zip-compressed|epub\+zip|vnd\.(openxmlformats|oasis)[a-z0-9.-]+)\Z")

INERT = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/heic",
        "image/avif",
        "image/bmp",
        "image/tiff",
        "video/mp4",
        "video/webm",
        "video/mpeg",
        "audio/wav",
        "audio/mpeg",
        "audio/flac",
        "application/ogg",
    }
)
"""Formats a browser may show in place: none of them can carry script."""


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_content_type(text: str) -> bool:
    """Whether the text is a media type as RFC 9110 writes one, short enough to be kept."""
    return len(text) <= 255 and _CONTENT_TYPE.match(text) is not None


def recognise(head: bytes) -> str | None:
    """The format the first bytes announce; `text/html` or `image/svg+xml` for what a browser would run; else None."""
    if head[128:132] == b"DICM" and (not any(head[:4]) or head[:4] in _TIFF):
        return "application/dicom"
    for signature, format in _SIGNATURES:
        if head.startswith(signature) and _plausible(format, head):
            return format
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], "video/mp4")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6):
        return "audio/mpeg"
    return _markup(head)


def agrees(declared: str, head: bytes) -> bool:
    """Whether content that starts with `head` may be called `declared`."""
    stated = _SAME.get(essence(declared), essence(declared))
    found = recognise(head)
    if found is None:
        return stated not in _KNOWN and (not stated.startswith("text/") or b"\x00" not in head)
    found = _SAME.get(found, found)
    if found == stated or stated == "application/octet-stream":
        return True
    if found == "application/zip":
        return _ZIPPED.match(stated) is not None
    if found in ("text/html", "image/svg+xml", "application/xml"):
        return stated == "text/plain" or stated.endswith(("+xml", "/xml", "/html"))
    return False


def is_inert(content_type: str) -> bool:
    """Whether content stored under this type may be shown in place rather than only saved."""
    return _SAME.get(essence(content_type), essence(content_type)) in INERT


def _plausible(format: str, head: bytes) -> bool:
    if format == "image/bmp":
        return len(head) >= 14 and head[6:10] == b"\x00\x00\x00\x00"
    if format == "application/x-msdownload":
        return len(head) >= 64 and b"\x00" in head[:64]
    return True


def _markup(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<script", b"<body", b"<head", b"<iframe")):
        return "text/html"
    if b"<svg" in text and text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")):
        return "image/svg+xml"
    return "application/xml" if text.startswith(b"<?xml") else None
