"""XML in: bytes a client sent become the object that the same resource is in JSON, or are refused (R4, XML).

Nothing is resolved, expanded or fetched: a document type, an entity or a processing instruction ends the reading. The
JSON codec's promises hold here, too: decimals keep their digits, and what is told about a refusal holds no value.
"""

import re
from decimal import Decimal
from typing import NoReturn
from xml.parsers import expat

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_in import DEPTH_MAX
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.paths import Path, sayable, written
from fhirmedia.r4.xml_narrative import XhtmlSource
from fhirmedia.r4.xml_plans import FHIR, XHTML, Form, Slot, XmlPlan, plan_of_type

ATTRIBUTES_MAX = 1000
"""Between one `<` and the next; more than a narrative's text could ever look like by accident."""
_SMALL_BYTES = 64 * 1024
"""A document of this size cannot hold a harmful number of attributes."""
_ATTRIBUTE = re.compile(rb"""=[ \t\r\n]*["']""")
_PREFIX = FHIR + " "
_DIV = f"{XHTML} div"
_SCHEMA_LOCATION = "http://www.w3.org/2001/XMLSchema-instance schemaLocation"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?").fullmatch
_NUMBER_MAX = 500
_BLANKS = " \t\r\n"


def parse_xml(content: bytes) -> JsonObject:
    """The resource in `content` (UTF-8) as the JSON object it also is, `resourceType` first.

    Raises Failure(INVALID) with code `structure` or `value` and the path of the element; no text repeats what was sent.
    """
    if len(content) > _SMALL_BYTES:
        _check_attributes(content)
    reader = _Reader(content)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as broken:
        told = f"The XML text is broken at line {broken.lineno}, column {broken.offset + 1}"
        raise _refused(told) from None
    if reader.root is None:
        raise _refused("The XML text must hold one resource")
    return reader.root


class _Frame:
    """One open element: `members` is the object it fills, `value` what its attribute of that name said.

    `plan` is None for an element that holds one resource and nothing else. `level` counts objects and arrays of the
    JSON form, `position` is the place of the last child in the order of the standard.
    """

    __slots__ = ("has_beside", "level", "members", "owner", "path", "plan", "position", "slot", "value")

    def __init__(
        self, plan: XmlPlan | None, members: JsonObject, path: Path, *, level: int, slot: Slot | None, owner: JsonObject
    ) -> None:
        self.plan = plan
        self.members = members
        self.path = path
        self.level = level
        self.slot = slot
        self.owner = owner
        self.position = -1
        self.value: Json = None
        self.has_beside = False


class _Reader:
    """What the parser tells, put together; raises Failure INVALID at the first thing that has no place."""

    def __init__(self, content: bytes) -> None:
        self.root: JsonObject | None = None
        self._open: list[_Frame] = []
        self._xhtml = XhtmlSource(content)
        self.parser = parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.XmlDeclHandler = self._declaration
        parser.StartNamespaceDeclHandler = self._xhtml.declare
        parser.EndNamespaceDeclHandler = self._xhtml.forget
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction

    def _start(self, name: str, attributes: list[str]) -> None:
        if self._xhtml.is_open:
            self._xhtml.enter()
            return
        local = name[len(_PREFIX) :] if name.startswith(_PREFIX) else None
        if not self._open:
            self.root = {}
            self._start_resource(local, self.root, attributes, path=None, level=1)
            return
        frame = self._open[-1]
        if frame.plan is None:
            if frame.position >= 0:
                _refuse("must hold one resource", frame.path)
            frame.position = 0
            resource: JsonObject = {}
            _attach(frame.slot, frame.owner, resource)
            self._start_resource(local, resource, attributes, path=frame.path, level=frame.level)
            return
        slot = frame.plan.slots.get("div" if name == _DIV else local or "")
        is_div = slot is not None and slot.form is Form.XHTML
        if slot is None or is_div != (name == _DIV) or slot.form is Form.ATTRIBUTE or slot.name != (local or "div"):
            _refuse_unknown(name, local, frame)
        if slot.position <= frame.position:
            _check_order(slot, frame)
        frame.position = slot.position
        if is_div:
            self._xhtml.begin(self.parser.CurrentByteIndex)
            return
        path: Path = (frame.path, slot.label, _count(frame.members, slot) if slot.is_array else None)
        self._start_member(slot, frame, attributes, path)

    def _start_resource(
        self, name: str | None, members: JsonObject, attributes: list[str], *, path: "Path | None", level: int
    ) -> None:
        if name is None or name not in resource_types():
            rule = "must be a resource of FHIR R4 in the namespace of FHIR"
            raise _refused(f"{written(path) if path else 'The root element'} {rule}", path=path)
        where: Path = (None, name, None) if path is None else path
        members["resourceType"] = name
        for attribute in attributes[::2]:
            if attribute != _SCHEMA_LOCATION:
                _refuse("has an attribute that FHIR XML does not have there", where)
        self._push(_Frame(plan_of_type(name), members, where, level=level, slot=None, owner=members), level)

    def _start_member(self, slot: Slot, above: _Frame, attributes: list[str], path: Path) -> None:
        level = above.level + (2 if slot.is_array else 1)
        members: JsonObject = {}
        frame = _Frame(slot.inner, members, path, level=level, slot=slot, owner=above.members)
        if slot.form is Form.OBJECT:
            _attach(slot, above.members, members)
        known = slot.inner.attributes if slot.inner is not None else ()
        for index in range(0, len(attributes), 2):
            name = attributes[index]
            if name == "value" and slot.form is Form.VALUE:
                frame.value = _read(slot.kind, attributes[index + 1], path)
            elif name in known:
                members[name] = attributes[index + 1]
            else:
                _refuse("has an attribute that FHIR XML does not have there", path)
        self._push(frame, level - 1 if slot.form is Form.VALUE and not members else level)

    def _push(self, frame: _Frame, level: int) -> None:
        if level > DEPTH_MAX:
            raise _refused(f"The XML text must not be nested deeper than {DEPTH_MAX}")
        self._open.append(frame)

    def _end(self, _: str) -> None:
        if self._xhtml.is_open:
            div = self._xhtml.leave(self.parser.CurrentByteIndex)
            if div is not None:
                self._open[-1].members["div"] = div
            return
        frame = self._open.pop()
        slot = frame.slot
        if frame.plan is None:
            if frame.position < 0:
                _refuse("must hold one resource", frame.path)
            return
        if frame.has_beside:
            _settle(frame.members)
        if slot is not None and slot.form is Form.VALUE:
            if frame.value is None and not frame.members:
                _refuse("must have a value or children (ele-1)", frame.path)
            _attach_value(slot, self._open[-1], frame.value, frame.members)

    def _text(self, data: str) -> None:
        if not self._xhtml.is_open and data.strip(_BLANKS):
            where = self._open[-1].path
            _refuse("must not hold text: values stand in attributes", where)

    def _declaration(self, version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0":
            raise _refused("The XML text must be XML 1.0")
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
            raise _refused("The XML text must be UTF-8")

    def _doctype(self, *_: object) -> None:
        raise _refused("The XML text must not have a document type, nor entities of its own")

    def _instruction(self, *_: object) -> None:
        raise _refused("The XML text must not hold a processing instruction")


def _attach(slot: Slot | None, owner: JsonObject, value: JsonObject) -> None:
    assert slot is not None
    if not slot.is_array:
        owner[slot.name] = value
        return
    items = owner.setdefault(slot.name, [])
    assert isinstance(items, list)
    items.append(value)


def _attach_value(slot: Slot, above: _Frame, value: Json, beside: JsonObject) -> None:
    """A primitive and, as `_name`, its id and extensions; arrays get their nulls when the owner ends."""
    owner, name = above.members, slot.name
    if not slot.is_array:
        if value is not None:
            owner[name] = value
        if beside:
            owner["_" + name] = beside
        return
    values = owner.setdefault(name, [])
    assert isinstance(values, list)
    values.append(value)
    if beside:
        others = owner.setdefault("_" + name, [])
        assert isinstance(others, list)
        others.extend([None] * (len(values) - 1 - len(others)))
        others.append(beside)
        above.has_beside = True


def _settle(members: JsonObject) -> None:
    """Arrays of values and of extensions become equally long; one of nulls only is left out."""
    for name in [name for name in members if name[0] == "_"]:
        values, beside = members.get(name[1:]), members[name]
        if isinstance(values, list) and isinstance(beside, list):
            beside.extend([None] * (len(values) - len(beside)))
            if all(value is None for value in values):
                del members[name[1:]]


def _count(members: JsonObject, slot: Slot) -> int:
    items = members.get(slot.name)
    return len(items) if isinstance(items, list) else 0


def _read(kind: str, text: str, path: Path) -> Json:
    """The JSON value of an attribute's text; what looks wrong beyond its JSON type is left to the checker."""
    if kind == "boolean":
        if text not in ("true", "false"):
            _refuse("must be true or false", path, code="value")
        return text == "true"
    if kind not in _NUMBERS:
        return text
    number = _NUMBER(text) if len(text) <= _NUMBER_MAX else None
    if number is None:
        _refuse("must be a number", path, code="value")
    if number[1] is None and number[2] is None:
        return int(text)
    if kind != "decimal":
        _refuse("must be a whole number", path, code="value")
    return Decimal(text)


_NUMBERS = frozenset({"decimal", "integer", "unsignedInt", "positiveInt"})


def _check_order(slot: Slot, frame: _Frame) -> None:
    if slot.position == frame.position:
        if not slot.is_array:
            _refuse("must not be repeated", (frame.path, slot.label, None))
        return
    _refuse(
        "must stand before what precedes it: FHIR XML has the order of the standard", (frame.path, slot.label, None)
    )


def _refuse_unknown(name: str, local: str | None, frame: _Frame) -> NoReturn:
    told = sayable(local or name.rpartition(" ")[2])
    if local == "div":
        rule = "must be in the namespace of XHTML"
    elif local is None:
        rule = "is not in the namespace of FHIR"
    else:
        owner = frame.plan.owner.type if frame.plan is not None else "resource"
        rule = f"is not an element of R4 {owner}"
    if told is None:
        _refuse("has a child that FHIR XML does not have there", frame.path)
    _refuse(rule, (frame.path, told, None))


def _check_attributes(content: bytes) -> None:
    """Counted before parsing: the parser would gather all attributes of an element before it says so."""
    start = 0
    while start < len(content):
        stop = content.find(b"<", start + 1)
        stop = len(content) if stop < 0 else stop
        if stop - start > 2 * ATTRIBUTES_MAX:
            found = _ATTRIBUTE.finditer(content, start, stop)
            if sum(1 for _ in zip(found, range(ATTRIBUTES_MAX + 1), strict=False)) > ATTRIBUTES_MAX:
                raise _refused("An element of the XML text has too many attributes")
        start = stop


def _refuse(rule: str, path: Path, *, code: str = "structure") -> NoReturn:
    raise _refused(f"{written(path)} {rule}", path=path, code=code)


def _refused(text: str, *, path: "Path | None" = None, code: str = "structure") -> Failure:
    return Failure(Category.INVALID, text, code=code, expression=None if path is None else written(path))
