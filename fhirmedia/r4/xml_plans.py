"""Element tables as FHIR XML sees them: which JSON name is an attribute, a value, a resource, and in which order.

R4's XML page: elements stand in the order of their definition; `id` of anything but a resource and `Extension.url` are
attributes; a primitive carries its value in the attribute `value`; a narrative keeps its XHTML as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from fhirmedia.r4.elements import Element, ElementTable, element_table, table, type_names

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


class Form(Enum):
    """What an element is in XML."""

    VALUE = auto()
    OBJECT = auto()
    RESOURCE = auto()
    XHTML = auto()
    ATTRIBUTE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One JSON name: its place among the elements of its owner, its label in FHIRPath, its datatype.

    `inner` is the plan of what lies inside; for a primitive that is what may stand beside its value.
    """

    name: str
    label: str
    position: int
    is_array: bool
    form: Form
    kind: str
    inner: "XmlPlan | None"


class XmlPlan:
    """A table, compiled when it is first asked for its slots: tables refer to each other in circles."""

    __slots__ = ("_attributes", "_slots", "is_resource", "owner")

    def __init__(self, owner: ElementTable) -> None:
        self.owner = owner
        self.is_resource = owner.is_resource
        self._slots: Mapping[str, Slot] | None = None
        self._attributes: frozenset[str] = frozenset()

    @property
    def slots(self) -> Mapping[str, Slot]:
        """By JSON name, those of extended primitives (`_name`) included."""
        return self._slots or self._compiled()

    @property
    def attributes(self) -> frozenset[str]:
        """The names that XML writes as attributes."""
        if self._slots is None:
            self._compiled()
        return self._attributes

    def _compiled(self) -> Mapping[str, Slot]:
        slots: dict[str, Slot] = {}
        for position, element in enumerate(self.owner.elements.values()):
            slot = _slot(element, position, is_resource=self.is_resource)
            slots[slot.name] = slot
            if slot.form is Form.VALUE:
                slots["_" + slot.name] = slot
        self._attributes = frozenset(name for name, slot in slots.items() if slot.form is Form.ATTRIBUTE)
        self._slots = slots
        return slots


@cache
def plan_of_type(name: str) -> XmlPlan:
    """The plan of a resource type or datatype; raises LookupError for a name R4 does not have."""
    return _plan(table(name))


@cache
def _plan(owner: ElementTable) -> XmlPlan:
    return XmlPlan(owner)


def _slot(element: Element, position: int, *, is_resource: bool) -> Slot:
    kind = element.types[0]
    form = _form(element, is_resource=is_resource)
    inner = element_table(element) if form is Form.OBJECT else table("Element") if form is Form.VALUE else None
    return Slot(
        name=element.name,
        label=element.choice_base or element.name,
        position=position,
        is_array=element.is_array,
        form=form,
        kind=kind,
        inner=None if inner is None else _plan(inner),
    )


def _form(element: Element, *, is_resource: bool) -> Form:
    kind = element.types[0]
    if (element.name == "id" and not is_resource) or element.path == "Extension.url":
        return Form.ATTRIBUTE
    if kind == "xhtml":
        return Form.XHTML
    if kind in type_names()["primitive"]:
        return Form.VALUE
    return Form.RESOURCE if kind == "Resource" else Form.OBJECT
