"""What links inside a transaction mean: entries, by their fullUrl, or what a search finds (R4, Bundle and http)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from fhirmedia.core.records import Key
from fhirmedia.r4.links import Rename
from fhirmedia.r4.references import is_conditional, parse_reference

_RESTFUL = re.compile(r"(https?://.+)/[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?").fullmatch
_RELATIVE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}").fullmatch
_HISTORY = "/_history/"


@dataclass(slots=True)
class BundleLinks:
    """The entries that are written, by fullUrl and by Key; what was met while links were renamed.

    `lost` are references to entries that are not there, `versioned` says that a link names a version of an entry.
    """

    base_url: str
    by_url: dict[str, Key] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    versioned: bool = False

    def renaming(self, full_url: str | None, search_for: Callable[[str], Key]) -> Rename:
        """How the links of one entry are renamed; `search_for` gives the placeholder of a reference by search."""
        root = root_of(full_url)

        def rename(text: str, is_reference: bool) -> str | None:  # noqa: FBT001  # the form of every Rename
            return self._rename(text, root, search_for if is_reference else None)

        return rename

    def _rename(self, text: str, root: str | None, search_for: Callable[[str], Key] | None) -> str | None:
        key = self.by_url.get(text)
        if key is not None:
            return str(key)
        head, mark, version = text.partition(_HISTORY)
        key = self.by_url.get(head) if mark else None
        if key is None and root is not None and _RELATIVE(head):
            key = self.by_url.get(f"{root}/{head}")
        if key is None and search_for is not None:
            if is_conditional(text):
                return str(search_for(text))
            if text.startswith(("urn:uuid:", "urn:oid:")):
                self.lost.add(text)
                return None
            if mark:
                named = parse_reference(text, base_url=self.base_url).key
                key = named if named in self.keys else None
        if key is None:
            return None
        self.versioned |= bool(mark)
        return f"{key}{mark}{version}"


def root_of(full_url: str | None) -> str | None:
    """The base of the server that a fullUrl names, against which relative references of its entry are read."""
    found = _RESTFUL(full_url) if full_url is not None else None
    return found[1] if found is not None else None
