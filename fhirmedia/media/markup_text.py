"""The text of XML, CDA and HTML: what stands between tags. Runs only inside the sandbox's processes.

Nothing is resolved or fetched: an XML document that declares entities is refused. Of a CDA document it is the titles
and the narrative of its sections (HL7 CDA R2, 4.3.5); of HTML whatever a browser would show.
"""

import html
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Final
from xml.parsers import expat

from fhirmedia.media.plain_text import decoded
from fhirmedia.media.text_formats import UNDECLARED, UNKNOWN
from fhirmedia.media.text_unread import Unread

DOCUMENT: Final = "urn:hl7-org:v3 ClinicalDocument"
_SECTION, _TITLE, _NARRATIVE = (f"urn:hl7-org:v3 {name}" for name in ("section", "title", "text"))
_INLINE_CDA = frozenset({"urn:hl7-org:v3 content", "urn:hl7-org:v3 sub", "urn:hl7-org:v3 sup"})
_INLINE_HTML = frozenset(
    "a abbr b bdi bdo cite code dfn em font i kbd mark q s samp small span strong u var wbr".split()
)
_UNSHOWN = frozenset({"script", "style", "template"})
_META = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([A-Za-z0-9_:-]{1,40})""", re.IGNORECASE)
_AT_ONCE = 1 << 18


def xml_pieces(content: bytes, encoding: str) -> Iterator[str]:
    """The character data, or that of the sections of a CDA document. Raises Unread broken, undecodable."""
    reader = _XmlReader()
    yield from parsed(reader.parser(encoding), (content[at : at + _AT_ONCE] for at in range(0, len(content), _AT_ONCE)))


def parsed(parser: "TextParser", chunks: Iterator[bytes]) -> Iterator[str]:
    """What a parser finds in chunks of a document. Raises Unread broken."""
    try:
        for chunk in chunks:
            parser.feed(chunk)
            yield from parser.taken()
        parser.end()
        yield from parser.taken()
    except expat.ExpatError:
        raise Unread("broken") from None


class TextParser:
    """An expat parser that refuses declarations of entities, and the text its handlers put aside."""

    def __init__(
        self,
        *,
        start: Callable[[str], str],
        end: Callable[[str], str],
        said: Callable[[str], str],
        encoding: str | None = None,
    ) -> None:
        self._found: list[str] = []
        self._parser = parser = expat.ParserCreate(encoding, namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, _attributes: self._found.append(start(name))
        parser.EndElementHandler = lambda name: self._found.append(end(name))
        parser.CharacterDataHandler = lambda text: self._found.append(said(text))
        parser.EntityDeclHandler = _refuse_entity
        parser.SkippedEntityHandler = lambda name, _is_parameter: self._found.append(said(html.unescape(f"&{name};")))

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._parser.Parse(chunk, False)

    def end(self) -> None:
        """There are no more."""
        self._parser.Parse(b"", True)

    def taken(self) -> list[str]:
        """What was found since the last time."""
        taken, self._found = self._found, []
        return taken


def _refuse_entity(*_declaration: object) -> None:
    raise Unread("broken")


class _XmlReader:
    """Where in a document the parser is, as far as it matters."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._sections = 0
        self._wanted = 0
        self._is_cda = False

    def parser(self, encoding: str) -> TextParser:
        if encoding == UNKNOWN:
            raise Unread("undecodable")
        declared = None if encoding == UNDECLARED else encoding
        return TextParser(start=self._start, end=self._end, said=self._said, encoding=declared)

    def _start(self, name: str) -> str:
        if not self._path:
            self._is_cda = name == DOCUMENT
        elif self._wanted or self._begins(name):
            self._wanted += 1
        self._sections += name == _SECTION
        self._path.append(name)
        return self._gap(name)

    def _end(self, name: str) -> str:
        self._path.pop()
        self._wanted -= self._wanted > 0
        self._sections -= name == _SECTION
        return self._gap(name)

    def _begins(self, name: str) -> bool:
        """Whether an element is one whose text is wanted with all it holds."""
        if name == _TITLE and len(self._path) == 1:
            return True
        return self._sections > 0 and name in (_TITLE, _NARRATIVE) and self._path[-1] == _SECTION

    def _gap(self, name: str) -> str:
        return "" if self._is_cda and name in _INLINE_CDA else "\n"

    def _said(self, text: str) -> str:
        return text if self._wanted or not self._is_cda else ""


def html_text(content: bytes, encoding: str, *, is_cut: bool = False) -> str:
    """What a page says, scripts and styles left out. Raises Unread undecodable."""
    reader = _HtmlReader()
    reader.feed(_html(content, encoding, is_cut=is_cut))
    reader.close()
    return "".join(reader.found)


def _html(content: bytes, encoding: str, *, is_cut: bool) -> str:
    if encoding == UNDECLARED:
        stated = _META.search(content[:1024])
        name = stated[1].decode("ascii") if stated else UNDECLARED
        try:
            return decoded(content, name, is_cut=is_cut)
        except (Unread, LookupError):
            return content.decode("cp1252", "replace")  # as browsers do (HTML, 13.2.3.2)
    return decoded(content, encoding, is_cut=is_cut)


class _HtmlReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unshown += tag in _UNSHOWN
        self.found.append("" if tag in _INLINE_HTML else "\n")

    def handle_endtag(self, tag: str) -> None:
        self._unshown -= tag in _UNSHOWN and self._unshown > 0
        self.found.append("" if tag in _INLINE_HTML else "\n")

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self.found.append(data)
