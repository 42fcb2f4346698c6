"""The text of DOCX (ISO/IEC 29500) and ODT (ISO/IEC 26300) documents. Runs only inside the sandbox's processes.

Both are archives of XML. What a reader sees is text: the body, notes, headers and footers; comments, deleted passages,
field codes and properties are not. So many bytes are unpacked and no more, whatever the archive announces.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from fhirmedia.media.markup_text import TextParser, parsed
from fhirmedia.media.text_unread import Unread

UNPACKED_MAX_BYTES: Final = 32 * 2**20
_AT_ONCE = 1 << 18
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How an encrypted DOCX begins: it is no archive any more (MS-OFFCRYPTO 2.3)."""

_WORD = tuple(
    f"{name} "
    for name in (
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    )
)
_DOCX_PARTS = re.compile(r"word/(document\d*|footnotes|endnotes|header\d*|footer\d*)\.xml")
_DOCX_ORDER = ("d", "h", "f", "e")
_DOCX_GAPS = frozenset({"p", "tab", "br", "cr", "tc", "tr"})

_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
_ODT_LEFT_OUT = frozenset({_OFFICE + "annotation", _TEXT + "tracked-changes", _OFFICE + "scripts"})
_ODT_INLINE = frozenset({_TEXT + name for name in ("span", "a", "bookmark", "bookmark-start", "bookmark-end")})

_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, KeyError)


class Unpacking:
    """Parts of one archive, within one bound on what is unpacked."""

    def __init__(self, content: bytes) -> None:
        if content.startswith(_OLE):
            raise Unread("encrypted")
        self.cut = False
        """Whether the bound was reached."""
        self._room = UNPACKED_MAX_BYTES
        try:
            self._archive = zipfile.ZipFile(BytesIO(content))
            self.names: Sequence[str] = self._archive.namelist()
        except _BROKEN:
            raise Unread("broken") from None

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a part, fewer where the bound is reached. Raises Unread broken, encrypted."""
        try:
            with self._archive.open(name) as part:
                while chunk := part.read(_AT_ONCE):
                    self._room -= len(chunk)
                    if self._room < 0:
                        self.cut = True
                        return
                    yield chunk
        except RuntimeError:  # how the library says that a part is encrypted
            raise Unread("encrypted") from None
        except _BROKEN:
            raise Unread("broken") from None


def docx_pieces(content: bytes) -> Iterator[str]:
    """Body, headers, footers and notes. Raises Unread broken, encrypted, too-costly (where nothing ends in bounds)."""
    unpacking = Unpacking(content)
    parts = [name for name in unpacking.names if _DOCX_PARTS.fullmatch(name)]
    if not parts:
        raise Unread("broken")
    for name in sorted(dict.fromkeys(parts), key=lambda name: (_DOCX_ORDER.index(name[5]), name)):
        yield from _bounded(unpacking, _Docx().parser(), name)


def odt_pieces(content: bytes) -> Iterator[str]:
    """The body, notes in their places. Raises as `docx_pieces`."""
    unpacking = Unpacking(content)
    if "content.xml" not in unpacking.names:
        raise Unread("broken")
    manifest = "META-INF/manifest.xml"
    if manifest in unpacking.names and b":encryption-data" in b"".join(unpacking.chunks(manifest)):
        raise Unread("encrypted")
    yield from _bounded(unpacking, _Odt().parser(), "content.xml")


def _bounded(unpacking: Unpacking, parser: TextParser, name: str) -> Iterator[str]:
    try:
        yield from parsed(parser, unpacking.chunks(name))
    except Unread:
        if unpacking.cut:
            raise Unread("too-costly") from None
        raise
    yield "\n"


class _Docx:
    """Only text in runs is text; deleted text and field codes have elements of their own."""

    def __init__(self) -> None:
        self._in_text = 0

    def parser(self) -> TextParser:
        return TextParser(start=self._start, end=self._end, said=lambda text: text if self._in_text else "")

    def _start(self, name: str) -> str:
        local = _local(name)
        self._in_text += local == "t"
        return "\n" if local in _DOCX_GAPS else ""

    def _end(self, name: str) -> str:
        local = _local(name)
        self._in_text -= local == "t"
        return "\n" if local in _DOCX_GAPS else ""


def _local(name: str) -> str:
    """The name of an element of WordprocessingML; empty for any other."""
    return name.partition(" ")[2] if name.startswith(_WORD) else ""


class _Odt:
    def __init__(self) -> None:
        self._left_out = 0

    def parser(self) -> TextParser:
        return TextParser(start=self._start, end=self._end, said=lambda text: "" if self._left_out else text)

    def _start(self, name: str) -> str:
        self._left_out += name in _ODT_LEFT_OUT
        return "" if name in _ODT_INLINE else "\n"

    def _end(self, name: str) -> str:
        self._left_out -= name in _ODT_LEFT_OUT
        return "" if name in _ODT_INLINE else "\n"
