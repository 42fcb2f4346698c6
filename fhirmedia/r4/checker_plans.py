"""Element tables turned into plans, and the walk of a plan over JSON: names, shapes, cardinality, formats, codes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from fhirmedia.r4.checker_findings import Findings
from fhirmedia.r4.checker_rules import Visit, concept_visit, extension_visit, reference_visit, resource_visit
from fhirmedia.r4.code_lists import code_test
from fhirmedia.r4.elements import Element, ElementTable, element_table, table
from fhirmedia.r4.invariants import Invariant, invariants_on
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.narrative import narrative_fault
from fhirmedia.r4.other_releases import element_hint
from fhirmedia.r4.paths import Path, sayable
from fhirmedia.r4.primitives import TESTS, Test


@dataclass(frozen=True, slots=True)
class _Slot:
    """One JSON name of a plan: `test` for a primitive, `visit` for everything else."""

    name: str
    label: str
    is_array: bool
    is_choice: bool
    test: Test | None
    visit: Visit
    codes: Callable[[Json], bool] | None
    binding: str | None
    may_be_extended: bool
    """Whether `_name` may stand beside it: a primitive that is no attribute in XML."""


class _Plan:
    """A table, compiled when it is first walked (tables refer to each other in circles)."""

    __slots__ = ("_slots", "invariants", "is_element", "owner", "required")

    def __init__(self, owner: ElementTable) -> None:
        self.owner = owner
        self.is_element = not owner.is_resource
        self.required: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self.invariants: tuple[Invariant, ...] = ()
        self._slots: dict[str, _Slot] | None = None

    def _compiled(self) -> dict[str, _Slot]:
        required: dict[str, tuple[str, ...]] = {}
        slots: dict[str, _Slot] = {}
        for element in self.owner.elements.values():
            slot = slots[element.name] = _slot(element)
            if element.min:
                names = (slot.name, "_" + slot.name) if slot.may_be_extended else (slot.name,)
                required[slot.label] = required.get(slot.label, ()) + names
        if self.owner.is_resource:
            slots["resourceType"] = _resource_type_slot(self.owner.type)
        self.required = tuple(required.items())
        self.invariants = invariants_on(self.owner)
        self._slots = slots
        return slots

    def visit(self, value: Json, path: Path, findings: Findings) -> None:
        """Walk one object of this table's type."""
        if type(value) is not dict:
            findings.add("structure", "must be an object", path)
            return
        slots = self._slots or self._compiled()
        told = len(findings.issues)
        chosen: dict[str, str] | None = None
        for name, member in value.items():
            slot = slots.get(name)
            if slot is None:
                slot = self._check_odd_name(name, member, value, path, findings)
                if slot is None:
                    continue
            elif slot.is_array:
                _check_array(slot, member, value, path, findings)
            elif slot.test is None:
                slot.visit(member, (path, slot.label, None), findings)
            elif slot.codes is None or not slot.codes(member):
                _check_primitive(slot, member, (path, slot.label, None), findings)
            if slot.is_choice:
                if chosen is None:
                    chosen = {slot.label: slot.name}
                elif chosen.setdefault(slot.label, slot.name) != slot.name:
                    findings.add("structure", "must have only one of its types", (path, slot.label, None))
        self._check_whole(value, path, findings)
        if self.invariants and len(findings.issues) == told:
            self._check_invariants(value, path, findings)

    def visit_beside_value(self, value: Json, path: Path, findings: Findings) -> None:
        """Walk what stands beside a primitive that has a value: an id alone will do (ele-1)."""
        if type(value) is dict and value.keys() == {"id"}:
            _check_primitive((self._slots or self._compiled())["id"], value["id"], (path, "id", None), findings)
        else:
            self.visit(value, path, findings)

    def _check_whole(self, value: JsonObject, path: Path, findings: Findings) -> None:
        for label, names in self.required:
            for name in names:
                if name in value:
                    break
            else:
                findings.add("required", "is required", (path, label, None))
        if self.is_element and len(value) < 2 and (not value or "id" in value):
            findings.add("invariant", "must have a value or children (ele-1)", path)

    def _check_invariants(self, value: JsonObject, path: Path, findings: Findings) -> None:
        """R4's constraints, once everything they look at is known to be in shape."""
        root = findings.resource
        for invariant in self.invariants:
            member = invariant.member
            if member is None:
                if not invariant.holds(value, root):
                    findings.add("invariant", invariant.rule, path)
                continue
            found = value.get(member, ())
            for index, one in enumerate(found if type(found) is list else (found,)):
                if type(one) is dict and not invariant.holds(one, root):
                    findings.add("invariant", invariant.rule, (path, member, index if type(found) is list else None))

    def _check_odd_name(
        self, name: str, member: Json, owner: JsonObject, path: Path, findings: Findings
    ) -> _Slot | None:
        """`_name` beside a primitive gives back the slot of `name`; anything else is unknown."""
        slot = (self._slots or {}).get(name[1:]) if name[:1] == "_" else None
        if slot is not None and slot.may_be_extended:
            _check_sibling(slot, member, owner, path, findings)
            return slot
        told = sayable(name)
        if told is None:
            findings.add("structure", f"has a member that is not an element of R4 {self.owner.type}", path)
        else:
            hint = element_hint(self.owner.type, name)
            findings.add("structure", f"is not an element of R4 {self.owner.type}{hint}", (path, told, None))
        return None


@cache
def _plan(owner: ElementTable) -> _Plan:
    return _Plan(owner)


def visit_of_type(name: str) -> Visit:
    """The walk of a type's table; raises LookupError for a name R4 does not have."""
    return _plan(table(name)).visit


def _slot(element: Element) -> _Slot:
    kind = element.types[0]
    test = TESTS.get(kind)
    if kind == "xhtml":
        test = _xhtml
    return _Slot(
        name=element.name,
        label=element.choice_base or element.name,
        is_array=element.is_array,
        is_choice=element.choice_base is not None,
        test=test,
        visit=_never if test else _visit_of(element),
        codes=code_test(element.binding) if test and element.binding else None,
        binding=element.binding,
        may_be_extended=bool(test) and kind != "xhtml" and element.name != "id" and element.path != "Extension.url",
    )


def _visit_of(element: Element) -> Visit:
    kind = element.types[0]
    if kind == "Resource":
        return resource_visit(visit_of_type, is_contained=element.name == "contained")
    inner = element_table(element)
    assert inner is not None, element.path
    plain = _plan(inner).visit
    if kind == "Reference":
        return reference_visit(plain, element.targets)
    if kind == "Extension":
        return extension_visit(plain, is_modifier=element.is_modifier)
    if kind == "CodeableConcept" and element.binding:
        return concept_visit(plain, element.binding)
    return plain


def _never(value: Json, path: Path, findings: Findings) -> None:
    raise AssertionError("a primitive has a test, not a visit")


def _xhtml(value: Json) -> str | None:
    return TESTS["xhtml"](value) or narrative_fault(str(value))


def _resource_type_slot(name: str) -> _Slot:
    def test(value: Json) -> str | None:
        return None if value == name else f"must be {name}"

    return _Slot(
        name="resourceType",
        label="resourceType",
        is_array=False,
        is_choice=False,
        test=test,
        visit=_never,
        codes=None,
        binding=None,
        may_be_extended=False,
    )


def _check_primitive(slot: _Slot, value: Json, path: Path, findings: Findings) -> None:
    if value is None:
        findings.add("structure", "must not be null", path)
    elif type(value) is list:
        findings.add("structure", "must be a single value, not an array", path)
    elif type(value) is dict:
        findings.add("structure", "must be a primitive value, not an object", path)
    elif slot.test is not None and (fault := slot.test(value)):
        findings.add("value", fault, path)
    elif slot.codes is not None and not slot.codes(value):
        findings.add("code-invalid", f"must be a code of the required list {slot.binding}", path)


def _check_array(slot: _Slot, value: Json, owner: JsonObject, path: Path, findings: Findings) -> None:
    if type(value) is not list:
        findings.add("structure", "must be an array", (path, slot.label, None))
    elif not value:
        findings.add("structure", "must not be an empty array", (path, slot.label, None))
    elif slot.test is None:
        for index, item in enumerate(value):
            slot.visit(item, (path, slot.label, index), findings)
    else:
        beside = owner.get("_" + slot.name)
        for index, item in enumerate(value):
            if item is None and type(beside) is list and index < len(beside) and beside[index] is not None:
                continue
            _check_primitive(slot, item, (path, slot.label, index), findings)


def _check_sibling(slot: _Slot, value: Json, owner: JsonObject, path: Path, findings: Findings) -> None:
    """`_name` holds id and extensions of a primitive; beside an array it is an array of the same length, with nulls."""
    element = _plan(table("Element"))
    if not slot.is_array:
        visit = element.visit if owner.get(slot.name) is None else element.visit_beside_value
        visit(value, (path, slot.label, None), findings)
        return
    where: Path = (path, slot.label, None)
    if type(value) is not list:
        findings.add("structure", "must have its extensions in an array", where)
        return
    if not any(item is not None for item in value):
        findings.add("structure", "must not have an array of extensions that is empty or all null", where)
    values = owner.get(slot.name)
    if type(values) is list and len(values) != len(value):
        findings.add("structure", "must have as many extensions as values, null where there is none", where)
    for index, item in enumerate(value):
        if item is not None:
            has_value = type(values) is list and index < len(values) and values[index] is not None
            visit = element.visit_beside_value if has_value else element.visit
            visit(item, (path, slot.label, index), findings)
        elif type(values) is not list:
            findings.add("structure", "must not be null", (path, slot.label, index))
