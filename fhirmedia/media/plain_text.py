"""The text of plain text, CSV, Markdown and RTF. Runs only inside the sandbox's processes."""

import codecs
import re
from collections.abc import Iterator

from striprtf.striprtf import rtf_to_text

from fhirmedia.media.text_formats import UNDECLARED, UNKNOWN
from fhirmedia.media.text_unread import Unread

_PIECE = 1 << 18
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_DUMP = re.compile(rb"[0-9a-fA-F\r\n]{512,}")
"""A picture in hexadecimal: no text, and most of the work."""
_KEPT_ASIDE = re.compile(r"\\(?:footnote|header[lrf]?|footer[lrf]?)(?![a-z])")
"""Destinations the library leaves out and that are text all the same."""


def plain_pieces(content: bytes, encoding: str, *, is_cut: bool = False) -> Iterator[str]:
    """The text in pieces that end with words. Raises as `decoded`."""
    text = decoded(content, encoding, is_cut=is_cut)
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            last = max(text.rfind("\n", start, end), text.rfind(" ", start, end))
            end = last + 1 if last > start else end
        yield text[start:end]
        start = end


def decoded(content: bytes, encoding: str, *, is_cut: bool = False) -> str:
    """Text by its byte order mark, else as declared, else as UTF-8; `is_cut`: the last character may lack its end.

    Raises Unread undecodable.
    """
    by_mark = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    try:
        if by_mark is None and encoding == UNKNOWN:
            raise Unread("undecodable")
        decoder = codecs.getincrementaldecoder(by_mark or (encoding if encoding != UNDECLARED else "utf-8"))()
        return decoder.decode(content, final=not is_cut)
    except UnicodeDecodeError:
        raise Unread("undecodable") from None


def rtf_text(content: bytes) -> str:
    """The text of an RTF document with headers and footnotes, without comments and properties. Raises Unread broken."""
    if not content.startswith(b"{\\rtf"):
        raise Unread("broken")
    stated = _CODE_PAGE.search(content)
    page = f"cp{stated[1].decode()}" if stated else "cp1252"
    try:
        codecs.lookup(page)
    except LookupError:
        page = "cp1252"
    source = _KEPT_ASIDE.sub(r"\\par ", _DUMP.sub(b"", content).decode(page, "replace"))
    text: str = rtf_to_text(source, encoding=page, errors="replace")  # type: ignore[no-untyped-call]  # it has no types
    # Characters beyond the first plane come as two halves.
    return text.replace("|", " ").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
