"""Narratives in an XML document: their source as it stands, with the namespaces they borrow from outside."""

import re

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.xml_plans import XHTML

PREFIXES_MAX = 32
"""Prefixes that may be declared at once around a narrative."""
NAMESPACE_MAX = 256
"""Characters of a namespace that such a prefix stands for."""
_TAG = re.compile(r"""(<[^\s/>]+)((?:[^"'>]|"[^"]*"|'[^']*')*)>""").match
_DECLARED = re.compile(r"\sxmlns(?::([^\s=]+))?\s*=").findall


class XhtmlSource:
    """Follows the parser through one document; positions are byte offsets into `content` (UTF-8)."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._declared: list[tuple[str | None, str | None]] = []
        self._depth = 0
        self._begin = 0
        self._added = 0

    @property
    def is_open(self) -> bool:
        """Whether the parser is inside a narrative."""
        return self._depth > 0

    def declare(self, prefix: str | None, uri: str | None) -> None:
        """A namespace declaration, told before its element begins.

        Raises INVALID for more than narratives could sensibly borrow: each gets a copy of what it uses.
        """
        if prefix is not None and not self.is_open:
            if sum(1 for other, _ in self._declared if other is not None) >= PREFIXES_MAX:
                raise _refused(f"must not declare more than {PREFIXES_MAX} prefixes at one place")
            if uri is not None and len(uri) > NAMESPACE_MAX:
                raise _refused(f"must not declare a namespace of more than {NAMESPACE_MAX} characters")
        self._declared.append((prefix, uri))

    def forget(self, _: str | None) -> None:
        """The end of a declaration, told after its element ended."""
        self._declared.pop()

    def begin(self, position: int) -> None:
        """The narrative's div begins at this offset."""
        self._begin, self._depth = position, 1

    def enter(self) -> None:
        """An element inside begins."""
        self._depth += 1

    def leave(self, position: int) -> str | None:
        """An element ends, its end tag at this offset; the text of the whole div if it was that."""
        self._depth -= 1
        if self._depth:
            return None
        stop = self._content.find(b">", position) + 1
        # Line breaks as XML reads them (XML 1.0, section 2.11).
        text = self._content[self._begin : stop].decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        return self._completed(text)

    def _completed(self, text: str) -> str:
        """The div with declarations of its own for the names it uses and does not declare.

        Raises INVALID where all that is added would be longer than the document itself.
        """
        tag = _TAG(text)
        if tag is None:
            return text
        own = {prefix or None for prefix in _DECLARED(tag[2])}
        added = ""
        for prefix, uri in dict(self._declared).items():
            if prefix in own or not uri:
                continue
            if prefix is None:
                added += f' xmlns="{uri}"' if uri == XHTML and ":" not in tag[1] else ""
            elif f"{prefix}:" in text:
                added += f' xmlns:{prefix}="{uri}"'
        self._added += len(added)
        if self._added > len(self._content):
            raise _refused("must declare the namespaces of its narratives in each of them")
        return tag[1] + added + text[tag.end(1) :]


def _refused(rule: str) -> Failure:
    return Failure(Category.INVALID, f"The XML text {rule}", code="structure")
