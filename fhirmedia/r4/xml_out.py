"""XML out: a checked resource becomes FHIR XML (R4, XML representation), digit by digit and blank by blank."""

import re
from collections.abc import Iterable
from operator import attrgetter

from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.xml_plans import FHIR, Form, Slot, XmlPlan, plan_of_type

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

_SPECIAL = re.compile('[&<>"\t\n\r]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_position = attrgetter("position")


def to_xml(resource: JsonObject, *, pretty: bool = False) -> bytes:
    """The resource as a UTF-8 document, elements in the order of the standard.

    Line breaks and tabs in values are written as character references, which no parser turns into blanks. Narratives
    are written as they are, so they have to be checked ones. Raises TypeError or LookupError for what is no resource
    of R4.
    """
    lead = "\n" if pretty else ""
    parts: list[str] = [DECLARATION]
    _resource(resource, parts, lead)
    return "".join(parts).encode("utf-8")


def escaped(text: str) -> str:
    """Text fit for an attribute's value between double quotes."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text) if _SPECIAL.search(text) else text


def _resource(value: Json, parts: list[str], lead: str, *, is_root: bool = True) -> None:
    if type(value) is not dict or type(value.get("resourceType")) is not str:
        raise TypeError("only a checked resource can be written")
    name = str(value["resourceType"])
    attributes = f' xmlns="{FHIR}"' if is_root else ""
    _object(name, attributes, value, plan_of_type(name), parts, lead)


def _object(name: str, attributes: str, value: Json, plan: XmlPlan, parts: list[str], lead: str) -> None:
    """One element whose content is an object; ids and the url of an extension go into its tag."""
    if type(value) is not dict:
        raise TypeError("only a checked resource can be written")
    slots = plan.slots
    inside: list[Slot] = []
    for member in value:
        if member == "resourceType" and plan.is_resource:
            continue
        slot = slots[member]
        if slot.form is Form.ATTRIBUTE:
            attributes += f' {slot.name}="{escaped(str(value[slot.name]))}"'
        else:
            inside.append(slot)
    if not inside:
        parts.append(f"{lead}<{name}{attributes}/>")
        return
    parts.append(f"{lead}<{name}{attributes}>")
    deeper = lead + "  " if lead else ""
    inside.sort(key=_position)
    before: Slot | None = None
    for slot in inside:
        if slot is not before:
            _member(slot, value, parts, deeper)
        before = slot
    parts.append(f"{lead}</{name}>")


def _member(slot: Slot, owner: JsonObject, parts: list[str], lead: str) -> None:
    """All elements of one JSON name, the extensions beside its values included."""
    name, form = slot.name, slot.form
    value = owner.get(name)
    if form is Form.VALUE:
        beside = owner.get("_" + name)
        if not slot.is_array:
            _value(slot, value, beside, parts, lead)
            return
        for one, other in _paired(value, beside):
            _value(slot, one, other, parts, lead)
        return
    for one in _items(value) if slot.is_array else (value,):
        if form is Form.OBJECT and slot.inner is not None:
            _object(name, "", one, slot.inner, parts, lead)
        elif form is Form.RESOURCE:
            parts.append(f"{lead}<{name}>")
            _resource(one, parts, lead + "  " if lead else "", is_root=False)
            parts.append(f"{lead}</{name}>")
        else:
            parts.append(f"{lead}{one}")


def _value(slot: Slot, value: Json, beside: Json, parts: list[str], lead: str) -> None:
    if type(value) is str:
        stated = f' value="{escaped(value)}"'
    elif value is None:
        stated = ""
    elif type(value) is bool:
        stated = ' value="true"' if value else ' value="false"'
    else:
        stated = f' value="{value}"'
    if beside is None or slot.inner is None:
        parts.append(f"{lead}<{slot.name}{stated}/>")
    else:
        _object(slot.name, stated, beside, slot.inner, parts, lead)


def _paired(values: Json, beside: Json) -> Iterable[tuple[Json, Json]]:
    """Values and what stands beside them, either of which may be absent as a whole."""
    if beside is None:
        return ((one, None) for one in _items(values))
    others = _items(beside)
    return zip([None] * len(others) if values is None else _items(values), others, strict=True)


def _items(values: Json) -> list[Json]:
    if type(values) is not list:
        raise TypeError("only a checked resource can be written")
    return values
