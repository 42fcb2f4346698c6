"""JSON Schemas of resources and datatypes (draft 2020-12), made from the element tables, for those who make clients.

A schema says what the strict checker says, as far as a schema can: elements, JSON types, formats, required code lists,
what is mandatory. Of a choice it cannot say that only one may be there, nor of invariants what they mean.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fhirmedia.r4.code_lists import listed_codes
from fhirmedia.r4.elements import Element, ElementTable, element_table, table, type_names
from fhirmedia.r4.primitives import STRING_MAX

Schema = dict[str, Any]

ANY_RESOURCE = "AnyResource"
"""The name of the schema that any resource fits."""

_PLACE = "#/components/schemas/"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_MONTH, _DAY = "(0[1-9]|1[0-2])", "(0[1-9]|[12][0-9]|3[01])"
_DATE = f"{_YEAR}(-{_MONTH}(-{_DAY})?)?"
_MOMENT = f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}"
_WHOLE = 2**31 - 1
_SIGN = r"([A-Za-z0-9+/]\s*)"

_PRIMITIVES: Mapping[str, Schema] = MappingProxyType({
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -_WHOLE - 1, "maximum": _WHOLE},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": _WHOLE},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": _WHOLE},
    "decimal": {"type": "number"},
    "string": {"type": "string", "minLength": 1, "maxLength": STRING_MAX, "pattern": r"^[ \r\n\t\S]+$"},
    "markdown": {"type": "string", "minLength": 1, "maxLength": STRING_MAX, "pattern": r"^[ \r\n\t\S]+$"},
    "xhtml": {"type": "string", "minLength": 1, "description": "A div of the XHTML namespace, as R4 limits it."},
    "code": {"type": "string", "pattern": r"^[^\s]+( [^\s]+)*$"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "uri": {"type": "string", "pattern": r"^\S+$"},
    "url": {"type": "string", "pattern": r"^\S+$"},
    "canonical": {"type": "string", "pattern": r"^\S+$"},
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"},
    "uuid": {"type": "string", "pattern": "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    "date": {"type": "string", "pattern": f"^{_DATE}$"},
    "dateTime": {"type": "string", "pattern": f"^({_DATE}|{_MOMENT})$"},
    "instant": {"type": "string", "pattern": f"^{_MOMENT}$"},
    "time": {"type": "string", "pattern": f"^{_TIME}$"},
    "base64Binary": {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": rf"^\s*({_SIGN}{{4}}\s*)*({_SIGN}{{4}}|{_SIGN}{{3}}=|{_SIGN}{{2}}==)\s*$",
    },
})  # fmt: skip


def schemas(resources: Iterable[str]) -> dict[str, Schema]:
    """The schemas of these resource types and of everything they are made of, by name, each referring to others."""
    made: dict[str, Schema] = {ANY_RESOURCE: _any_resource()}
    waiting = [table("Element"), *(table(name) for name in resources)]
    while waiting:
        owner = waiting.pop()
        name = schema_name(owner)
        if name not in made:
            made[name] = _object(owner)
            waiting.extend(_inside(owner))
    return dict(sorted(made.items()))


def schema_name(owner: ElementTable) -> str:
    """`Media`, `HumanName`; of the backbone `Patient.contact` it is `PatientContact`."""
    return "".join(part[0].upper() + part[1:] for part in owner.type.split("."))


def reference_to(name: str) -> Schema:
    """What refers to a schema by its name."""
    return {"$ref": _PLACE + name}


def primitive(kind: str) -> Schema:
    """The schema of a primitive type of R4."""
    return dict(_PRIMITIVES[kind])


def _object(owner: ElementTable) -> Schema:
    properties: dict[str, Schema] = {}
    required = ["resourceType"] if owner.is_resource else []
    if owner.is_resource:
        properties["resourceType"] = {"type": "string", "const": owner.type}
    for element in owner.elements.values():
        properties[element.name] = _many(element, _of(element))
        if element.min and element.choice_base is None:
            required.append(element.name)
        if _may_be_extended(element, owner):
            beside = reference_to("Element")
            nulls = {"anyOf": [beside, {"type": "null"}]} if element.is_array else beside
            properties["_" + element.name] = _many(element, nulls)
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made["required"] = required
    return made


def _of(element: Element) -> Schema:
    kind = element.types[0]
    if kind in type_names()["primitive"]:
        codes = listed_codes(element.binding) if element.binding and kind == "code" else None
        return {"type": "string", "enum": list(codes)} if codes else primitive(kind)
    if kind == "Resource":
        return reference_to(ANY_RESOURCE)
    inner = element_table(element)
    assert inner is not None, element.path
    return reference_to(schema_name(inner))


def _many(element: Element, one: Schema) -> Schema:
    told = {"description": f"Refers to {', '.join(element.targets)}."} if element.targets else {}
    if element.is_array:
        return {"type": "array", "items": one, "minItems": 1, **told}
    return {**one, **told}


def _may_be_extended(element: Element, owner: ElementTable) -> bool:
    kind = element.types[0]
    is_attribute = element.name == "id" or (owner.type == "Extension" and element.name == "url")
    return kind in type_names()["primitive"] and kind != "xhtml" and not is_attribute


def _inside(owner: ElementTable) -> Iterator[ElementTable]:
    for element in owner.elements.values():
        inner = element_table(element)
        if inner is not None:
            yield inner


def _any_resource() -> Schema:
    return {
        "type": "object",
        "description": "A resource of any type of FHIR R4.",
        "properties": {"resourceType": {"type": "string"}, "id": primitive("id")},
        "required": ["resourceType"],
        "additionalProperties": True,
    }
