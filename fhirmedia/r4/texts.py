"""The words of a resource, by field: its narrative, all it says, and what a search parameter of words is made of.

The values of a field are kept apart by `word_tests.BREAK`.
"""

import html
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from fhirmedia.r4.elements import ElementTable, element_table, resource_types, table
from fhirmedia.r4.expressions import Run, Whole, collect
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
    found: list[str] = []
    _collect(resource, table(type), found)
    return BREAK.join(found)


def worded(type: str) -> Run | None:
    """A Run that collects what values of the type say for a parameter of words; None for a type that says nothing."""
    return collect if type in _SPOKEN else printed(type)


def printed(type: str) -> Run | None:
    """A Run that collects what is printed beside codes of the type; None for a type that prints nothing.

    Of an Identifier that is what its type prints.
    """
    return _PRINTED.get(type)


def _print_coding(coding: Any, _root: Whole, found: list[Any]) -> None:
    if isinstance(coding, dict) and isinstance(display := coding.get("display"), str):
        found.append(display)


def _print_concept(concept: Any, root: Whole, found: list[Any]) -> None:
    if isinstance(text := concept.get("text"), str):
        found.append(text)
    for coding in concept.get("coding", ()):
        _print_coding(coding, root, found)


def _print_identifier(identifier: Any, root: Whole, found: list[Any]) -> None:
    if "type" in identifier:
        _print_concept(identifier["type"], root, found)


_PRINTED: Mapping[str, Run] = {
    "CodeableConcept": _print_concept,
    "Coding": _print_coding,
    "Identifier": _print_identifier,
}

CODED = frozenset(_PRINTED)
"""Types that print words beside their codes."""


def _collect(node: JsonObject, owner: ElementTable, found: list[str]) -> None:
    known = _kinds(owner)
    for name, value in node.items():
        inside = known.get(name)
        if inside is None:
            continue
        for one in value if type(value) is list else (value,):
            if type(one) is str:
                if inside == "spoken":
                    found.append(one)
                elif inside == "narrative":
                    found.append(_spoken_of(one))
            elif type(one) is dict:
                if type(inside) is ElementTable:
                    _collect(one, inside, found)
                elif inside == "contained" and (kind := one.get("resourceType")) in resource_types():
                    _collect(one, table(str(kind)), found)


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
