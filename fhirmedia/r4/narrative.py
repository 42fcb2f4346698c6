"""The XHTML a narrative may hold: looked at, refused when it holds anything else, never cleaned.

R4 narrative page: the elements and attributes below are those of its invariant txt-1. Nothing that could run or load
by itself gets in: no document type, entity, processing instruction, comment or CDATA, no scheme but those listed.
"""

import re
from xml.parsers import expat

_NAMESPACE = "http://www.w3.org/1999/xhtml"
_XML = "http://www.w3.org/XML/1998/namespace"
_DEPTH_MAX = 100

_ELEMENTS = frozenset(
    "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img"
    " li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var".split()
)
_ATTRIBUTES = frozenset(
    "abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset"
    " cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel"
    " rev rowspan rules scope shape span src start style summary tabindex title type valign value vspace width".split()
)
_ADDRESSES = frozenset(("href", "src", "cite", "longdesc"))
_SCHEMES = frozenset(("http", "https", "ftp", "mailto", "tel", "urn"))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_PICTURE_TEXT = r"data: ?image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=]*"
_PICTURE = re.compile(_PICTURE_TEXT, re.IGNORECASE).fullmatch
_STYLE_PICTURE = re.compile(rf"url\({_PICTURE_TEXT}\)", re.IGNORECASE).sub
_STYLE_ODD = re.compile(r"url|expression|import|behavior|binding|javascript|[\\@<]|/\*", re.IGNORECASE).search


class _RefusedError(Exception):
    """Leaves the parser through its handlers with the rule that was broken."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(rule)


def narrative_fault(div: str) -> str | None:
    """The rule that the text of `Narrative.div` breaks, as the end of a sentence; None if it is fit to be stored."""
    if "<!" in div or "<?" in div:
        return "must hold no document type, comment, CDATA section or processing instruction"
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(div.encode("utf-8"), True)
    except _RefusedError as refused:
        return refused.rule
    except expat.ExpatError:
        return "must be well-formed XHTML without named HTML entities"
    except UnicodeEncodeError:
        return "must be Unicode text"
    return None if reader.has_content else "must have text or a picture"


class _Reader:
    """What the parser tells; raises _RefusedError at the first thing that has no place in a narrative."""

    def __init__(self) -> None:
        self.depth = 0
        self.has_content = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if self.depth == 0 and (namespace, local) != (_NAMESPACE, "div"):
            raise _RefusedError("must be a div of the XHTML namespace")
        if namespace != _NAMESPACE or local not in _ELEMENTS:
            raise _RefusedError("holds an element that R4 does not allow in a narrative")
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise _RefusedError(f"must not be nested deeper than {_DEPTH_MAX}")
        for key, value in attributes.items():
            _check_attribute(key, value)
        if local == "img" and "src" in attributes:
            self.has_content = True

    def end(self, _: str) -> None:
        self.depth -= 1

    def text(self, data: str) -> None:
        if not self.has_content and not data.isspace():
            self.has_content = True


def _check_attribute(key: str, value: str) -> None:
    namespace, _, local = key.rpartition(" ")
    if namespace == _XML and local in {"lang", "id", "space"}:
        return
    if namespace or local not in _ATTRIBUTES:
        raise _RefusedError("holds an attribute that R4 does not allow in a narrative")
    if local in _ADDRESSES and not _is_harmless(value):
        raise _RefusedError("holds an address that is neither relative nor of a permitted scheme")
    if local == "style" and _STYLE_ODD(_STYLE_PICTURE("", value)):
        raise _RefusedError("holds a style that could load or run something")


def _is_harmless(address: str) -> bool:
    """Browsers drop white space and control characters before they look for a scheme, so it is done here as well."""
    bare = "".join(c for c in address if c > " " and c != "\x7f")
    scheme = _SCHEME(bare)
    return not scheme or scheme[1].lower() in _SCHEMES or _PICTURE(bare) is not None
