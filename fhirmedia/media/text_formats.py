"""Which content has text that is searched, and what is kept of it. Nothing is read here.

Pictures, films and sounds have none. A format names how the bytes are read, with the character encoding that was
declared for them: `pdf`, `plain/iso8859-1`, `plain/-` where none was declared.
"""

import codecs
import re
from collections.abc import Mapping
from typing import Final

from fhirmedia.media.sniff import essence

RECIPE: Final = 1
"""Raised whenever the same bytes would give other words; what was read by an older one is then read again."""

SOURCE_MAX_BYTES: Final = 128 * 2**20
"""Of content larger than this nothing is read, or its beginning where that makes sense by itself."""

ENCODINGS: Final = (
    "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be ascii cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258"
    " cp437 cp850 cp874 cp932 cp936 cp949 cp950 cp1361 mac_roman koi8-r koi8-u euc_jp euc_kr shift_jis gb18030 big5"
    " iso2022_jp iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10"
    " iso8859-13 iso8859-14 iso8859-15 iso8859-16"
).split()
"""Character encodings that are read, by Python's names; a declared one that is not listed cannot be decoded."""

UNDECLARED, UNKNOWN = "-", "unknown"
"""In place of an encoding: none was declared; none that is read."""

_FORMATS: Mapping[str, str] = {
    "text/plain": "plain",
    "text/csv": "plain",
    "text/tab-separated-values": "plain",
    "text/markdown": "plain",
    "text/rtf": "rtf",
    "application/rtf": "rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.oasis.opendocument.text": "odt",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/xml": "xml",
    "application/xml": "xml",
    "application/pdf": "pdf",
    "application/dicom": "dicom",
}
_OTHER_XML = re.compile(r"application/[a-z0-9.+-]+\+xml")
_ENCODED = frozenset({"plain", "html", "xml"})
_BY_ITS_BEGINNING = frozenset({"plain", "html", "dicom"})
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([A-Za-z0-9._:-]{1,40})"?', re.IGNORECASE)
_READ = frozenset(codecs.lookup(name).name for name in ENCODINGS)


def text_format(content_type: str) -> str | None:
    """How content of this type is read; None for what has no text."""
    kind = essence(content_type)
    format = _FORMATS.get(kind) or ("xml" if _OTHER_XML.fullmatch(kind) else None)
    if format not in _ENCODED:
        return format
    declared = _CHARSET.search(content_type)
    return f"{format}/{UNDECLARED if declared is None else _encoding(declared[1])}"


def bytes_read(format: str, size: int) -> int:
    """How many of `size` bytes are read; 0 where there are too many and a part says nothing."""
    if size <= SOURCE_MAX_BYTES:
        return size
    return SOURCE_MAX_BYTES if format.partition("/")[0] in _BY_ITS_BEGINNING else 0


def _encoding(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return UNKNOWN
    return name if name in _READ else UNKNOWN
