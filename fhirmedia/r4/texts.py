"""The words of a resource, by field: its narrative, all it says, and what a search parameter of words is made of.

The values of a field are kept apart by `word_tests.BREAK`.
"""

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from fhirmedia.r4.elements import ElementTable, element_table, resource_types, table
from fhirmedia.r4.expressions import Run
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.word_tests import BREAK

NARRATIVE, CONTENT = "_text", "_content"
"""The fields every resource has: words of its narrative, and of everything it says (FHIR R4, search 3.1.1.4.19)."""

OF_CODED = ":text"
"""Suffix of a token parameter's code for the words printed beside its codes."""

_SPOKEN = frozenset({"string", "markdown"})
_UNSPOKEN = frozenset(
    {("Reference", "reference"), ("Identifier", "value"), ("Coding", "version"), ("Meta", "versionId")}
)
"""Strings that name something for machines."""
_MARKUP = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)

_Inside = ElementTable | Literal["spoken", "narrative", "contained"]


def narrative_text(resource: JsonObject) -> str:
    """The narrative without its markup; empty without one."""
    narrative = resource.get("text")
    division = narrative.get("div") if isinstance(narrative, dict) else None
    return _spoken_of(division) if isinstance(division, str) else ""


def content_text(resource: JsonObject, type: str) -> str:
    """Every string and markdown a person wrote, and the narrative; no codes, ids, addresses or bytes."""
    return BREAK.join(_walk(resource, table(type)))


CODED = frozenset({"CodeableConcept", "Coding", "Identifier"})
"""Types that print words beside their codes."""


def printed_texts(node: Any, type: str) -> Iterator[str]:
    """What is printed beside the codes of one value: of a CodeableConcept, a Coding, or an Identifier's type."""
    if type == "Identifier":
        node, type = node.get("type", {}), "CodeableConcept"
    if type == "CodeableConcept" and isinstance(node.get("text"), str):
        yield node["text"]
    for coding in (node,) if type == "Coding" else node.get("coding", ()):
        if isinstance(coding, dict) and isinstance(coding.get("display"), str):
            yield coding["display"]


def worded(type: str) -> Run | None:
    """A Run that collects what values of the type say for a parameter of words; None for a type that says nothing."""
    if type in _SPOKEN:
        return lambda node, _root, found: found.append(node)
    return printed(type)


def printed(type: str) -> Run | None:
    """A Run that collects what is printed beside codes of the type; None for a type that prints nothing."""
    if type not in CODED:
        return None
    return lambda node, _root, found: found.extend(printed_texts(node, type))


def _walk(node: JsonObject, owner: ElementTable) -> Iterator[str]:
    known = _kinds(owner)
    for name, value in node.items():
        inside = known.get(name)
        if inside is None:
            continue
        for one in value if isinstance(value, list) else (value,):
            if inside == "spoken":
                if isinstance(one, str):
                    yield one
            elif inside == "narrative":
                if isinstance(one, str):
                    yield _spoken_of(one)
            elif isinstance(one, dict):
                if inside != "contained":
                    yield from _walk(one, inside)
                elif (kind := one.get("resourceType")) in resource_types():
                    yield from _walk(one, table(str(kind)))


def _spoken_of(division: str) -> str:
    return html.unescape(_MARKUP.sub(" ", division))


@cache
def _kinds(owner: ElementTable) -> dict[str, _Inside]:
    """What to do with each JSON name that can lead to words."""
    kinds: dict[str, _Inside] = {}
    for element in owner.elements.values():
        inner = element_table(element)
        if inner is not None:
            kinds[element.name] = inner
        elif element.name == "contained":
            kinds[element.name] = "contained"
        elif element.types[0] in _SPOKEN and (owner.type, element.name) not in _UNSPOKEN:
            kinds[element.name] = "spoken"
        elif element.types[0] == "xhtml":
            kinds[element.name] = "narrative"
    return kinds
