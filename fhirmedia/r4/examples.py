"""A small example of each type: what is mandatory, and whom it is about; sound by the checker's rules."""

from collections.abc import Mapping
from types import MappingProxyType

from fhirmedia.r4.code_lists import list_systems, listed_codes
from fhirmedia.r4.elements import Element, ElementTable, element_table, table, type_names
from fhirmedia.r4.json_types import Json, JsonObject

_PERSON = "Patient"  # type-name: whom clinical examples are about
EXAMPLE_ID = "example"

_PRIMITIVES: Mapping[str, Json] = MappingProxyType({
    "boolean": True,
    "integer": 1,
    "unsignedInt": 1,
    "positiveInt": 1,
    "decimal": 1,
    "id": EXAMPLE_ID,
    "uri": "https://example.org/example",
    "url": "https://example.org/example",
    "canonical": "https://example.org/example",
    "oid": "urn:oid:2.999.1",
    "uuid": "urn:uuid:00000000-0000-4000-8000-000000000000",
    "date": "2026-01-15",
    "dateTime": "2026-01-15T10:30:00+01:00",
    "instant": "2026-01-15T10:30:00+01:00",
    "time": "10:30:00",
    "base64Binary": "RXhhbXBsZQ==",
    "code": EXAMPLE_ID,
})  # fmt: skip
_DATATYPES: Mapping[str, JsonObject] = MappingProxyType({
    "Attachment": {"contentType": "text/plain", "title": "Example", "data": "RXhhbXBsZQ=="},
    "Identifier": {"system": "https://example.org/numbers", "value": "1"},
    "HumanName": {"family": "Example", "given": ["Eva"]},
    "Period": {"start": "2026-01-15"},
    "Quantity": {"value": 1, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"},
})  # fmt: skip
_FIRST = ("completed", "final", "current", "active", "finished", "available", "proposed")
"""Codes an example is best read with, where a list has one of them."""
_UNLISTED = {"mimetypes": "text/plain"}
"""A code for the lists that describe their codes instead of naming them."""
_ALSO = frozenset({"subject", "patient", "name", "data", "actor"})
"""What is not mandatory and belongs into an example all the same: whom it is about, what it is called."""


def example(type: str) -> JsonObject:
    """A resource of the type without an id; references lead to a Patient of the id `example` or are words."""
    return {"resourceType": type, **_members(table(type))}


def _members(owner: ElementTable) -> JsonObject:
    members: JsonObject = {}
    chosen: set[str] = set()
    for element in owner.elements.values():
        if not (element.min or element.name in _ALSO) or element.choice_base in chosen:
            continue
        if element.choice_base is not None:
            chosen.add(element.choice_base)
        value = _value(element)
        members[element.name] = [value] if element.is_array else value
    return members


def _value(element: Element) -> Json:
    kind = element.types[0]
    if kind == "Reference":
        return _reference(element)
    if kind == "CodeableConcept":
        return {"coding": [_coding(element.binding)]} if element.binding else {"text": "Example"}
    if kind == "Coding":
        return _coding(element.binding)
    if element.binding and kind == "code":
        return _code(element.binding)
    if kind in type_names()["primitive"]:
        return _PRIMITIVES.get(kind, "Example")
    if kind == "Resource":
        return {"resourceType": _PERSON}
    if kind in _DATATYPES:
        return dict(_DATATYPES[kind])
    inner = element_table(element)
    assert inner is not None, element.path
    return _members(inner) or {"text": "Example"}


def _reference(element: Element) -> JsonObject:
    if not element.targets or _PERSON in element.targets:
        return {"reference": f"{_PERSON}/{EXAMPLE_ID}"}
    return {"display": f"Example of {element.targets[0]}"}


def _code(binding: str) -> str:
    codes = listed_codes(binding) or (_UNLISTED.get(binding, "en"),)
    return next((code for code in _FIRST if code in codes), codes[0])


def _coding(binding: str | None) -> JsonObject:
    if binding is None:
        return {"system": "https://example.org/codes", "code": EXAMPLE_ID}
    return {"system": list_systems(binding)[0], "code": _code(binding)}
