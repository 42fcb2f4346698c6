"""Links of a resource, found by type and put right: references, addresses, and those of the narrative.

FHIR R4, http 3.1.0.11.2: what a transaction gives a new identity is renamed in references, in elements of type uri,
url, oid and uuid, and in `<a href>` and `<img src>` of narratives. Elements of type canonical stay as they are.
"""

import html
import re
from collections.abc import Callable, Container, Mapping
from functools import cache
from typing import Literal

from fhirmedia.core.records import Key
from fhirmedia.r4.elements import ElementTable, element_table, resource_types, table
from fhirmedia.r4.json_types import Json, JsonObject

Rename = Callable[[str, bool], str | None]
"""From the text of a link, and whether it is a Reference, to what is to stand there; None to leave it."""

_ADDRESSES = frozenset({"uri", "url", "oid", "uuid"})
_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?").fullmatch
# No tag holds a `<`: so each search ends at the next one, and text that is no XHTML costs no more than its length.
_OF_NARRATIVE = re.compile(
    r"""(<(?:a\s(?:[^<>"']|"[^"]*"|'[^']*')*?\bhref|img\s(?:[^<>"']|"[^"]*"|'[^']*')*?\bsrc)\s*=\s*)("[^"]*"|'[^']*')"""
)

_Inside = ElementTable | Literal["reference", "address", "narrative", "contained"]


def relinked(resource: JsonObject, rename: Rename) -> JsonObject:
    """A checked resource with its links renamed, contained resources and extensions included; itself if none was."""
    return _object(resource, table(str(resource["resourceType"])), rename)


def renaming(names: Mapping[Key, Key], versions: Mapping[Key, int]) -> Rename:
    """Renames relative links to these Keys; a link that names a version gets the one that is listed for its Key."""

    def rename(text: str, _is_reference: bool) -> str | None:  # noqa: FBT001  # the form of every Rename
        local = _LOCAL(text)
        if local is None:
            return None
        key, version = Key(local[1], local[2]), local[3]
        meant = names.get(key, key)
        if version is not None:
            return f"{meant}/_history/{versions.get(meant, version)}"
        return None if meant == key else str(meant)

    return rename


def mentioned(resource: JsonObject, keys: Container[Key]) -> set[Key]:
    """Those of the Keys that relative links of a checked resource name."""
    found: set[Key] = set()

    def note(text: str, _is_reference: bool) -> None:  # noqa: FBT001  # the form of every Rename
        local = _LOCAL(text)
        if local is not None and Key(local[1], local[2]) in keys:
            found.add(Key(local[1], local[2]))

    relinked(resource, note)
    return found


def _object(node: JsonObject, owner: ElementTable, rename: Rename) -> JsonObject:
    kinds, changed = _kinds(owner), None
    for name, value in node.items():
        inside = kinds.get(name)
        if inside is None:
            continue
        if type(value) is list:
            several = [_value(one, inside, rename) for one in value]
            new: Json = several if any(a is not b for a, b in zip(several, value, strict=True)) else value
        else:
            new = _value(value, inside, rename)
        if new is not value:
            changed = changed if changed is not None else dict(node)
            changed[name] = new
    return node if changed is None else changed


def _value(value: Json, inside: _Inside, rename: Rename) -> Json:
    if isinstance(value, dict):
        if inside == "contained":
            kind = value.get("resourceType")
            return _object(value, table(kind), rename) if isinstance(kind, str) and kind in resource_types() else value
        return _object(value, inside, rename) if isinstance(inside, ElementTable) else value
    if isinstance(value, str):
        if inside == "narrative":
            return _narrative(value, rename)
        if inside == "reference" or inside == "address":
            new = rename(value, inside == "reference")
            return value if new is None else new
    return value


def _narrative(div: str, rename: Rename) -> str:
    def put(found: re.Match[str]) -> str:
        new = rename(html.unescape(found[2][1:-1]), False)
        return found[0] if new is None else f'{found[1]}"{html.escape(new)}"'

    if "href" not in div and "src" not in div:
        return div
    new = _OF_NARRATIVE.sub(put, div)
    return div if new == div else new


@cache
def _kinds(owner: ElementTable) -> dict[str, _Inside]:
    """What lies inside each JSON name, as far as it can hold a link; extensions of a primitive lie in `_name`."""
    kinds: dict[str, _Inside] = {}
    for element in owner.elements.values():
        kind, inner = element.types[0], element_table(element)
        if inner is not None:
            kinds[element.name] = inner
        elif element.name == "contained":
            kinds[element.name] = "contained"
        elif kind == "xhtml":
            kinds[element.name] = "narrative"
        elif kind in _ADDRESSES and (owner.type, element.name) != ("Extension", "url"):
            kinds[element.name] = "address"
        elif (owner.type, element.name) == ("Reference", "reference"):
            kinds[element.name] = "reference"
        if inner is None and element.name != "contained" and kind not in ("Resource", "xhtml"):
            kinds["_" + element.name] = table("Element")
    return kinds
