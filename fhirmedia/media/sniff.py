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

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"\x7fELF", "application/x-elf"),
    (128, b"DICM", "application/dicom"),
)

_RIFF = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}
_FTYP = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif", b"qt  ": "video/quicktime", b"M4A ": "audio/mp4"}

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
    for offset, signature, format in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature and _plausible(format, head):
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
        known = {form for _, _, form in _SIGNATURES} | set(_RIFF.values()) | set(_FTYP.values()) | {"video/mp4"}
        return stated not in known and (not stated.startswith("text/") or b"\x00" not in head)
    found = _SAME.get(found, found)
    if found == stated or stated == "application/octet-stream":
        return True
    if found == "application/zip":
        return _ZIPPED.match(stated) is not None
    if found == "application/dicom":
        return False
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
