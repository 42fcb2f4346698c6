"""FHIRPath Patch (FHIR R4, fhirpatch): a Parameters resource of add, insert, delete, replace and move, all or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.checker import check
from fhirmedia.r4.elements import Element, ElementTable, element_table
from fhirmedia.r4.json_patch import OPERATIONS_MAX, copied
from fhirmedia.r4.json_types import Json, JsonArray, JsonObject
from fhirmedia.r4.patch_path import (
    At,
    Finder,
    Member,
    Place,
    Step,
    forms,
    inner_node,
    parse_path,
    place_table,
    unsupported,
)

PARAMETERS = "Parameters"  # type-name: the envelope a FHIRPath Patch comes in

_NEEDS: Mapping[str, frozenset[str]] = {
    "add": frozenset(("path", "name", "value")),
    "insert": frozenset(("path", "index", "value")),
    "delete": frozenset(("path",)),
    "replace": frozenset(("path", "value")),
    "move": frozenset(("path", "source", "destination")),
}
_KINDS: Mapping[str, type] = {"path": str, "name": str, "index": int, "source": int, "destination": int}


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation; `number` counts from 1, `parts` are the plain ones by name, `value` is the part as sent."""

    number: int
    name: str
    path: tuple[Step, ...]
    parts: Mapping[str, Any]
    value: JsonObject

    def refused(self, why: str) -> Failure:
        return Failure(Category.UNPROCESSABLE, f"Operation {self.number} ({self.name}) of the patch {why}.")


@dataclass(frozen=True, slots=True)
class FhirPathPatch:
    """A FHIRPath Patch of resources of one type, read."""

    type: str
    operations: tuple[_Operation, ...]

    def apply(self, resource: JsonObject) -> JsonObject:
        """The patched resource, which is the one given. Raises Failure UNPROCESSABLE, TOO_COSTLY."""
        finder = Finder(resource, self.type)
        for operation in self.operations:
            _PERFORM[operation.name](finder, operation)
        return resource


def read_fhirpath_patch(parameters: JsonObject, *, type: str) -> FhirPathPatch:
    """Raises Failure INVALID for what is no Parameters or no operation R4 knows, TOO_LARGE for too many operations.

    UNPROCESSABLE for a path outside the subset.
    """
    listed = parameters.get("parameter", [])
    if isinstance(listed, list) and len(listed) > OPERATIONS_MAX:
        raise Failure(Category.TOO_LARGE, f"A patch has at most {OPERATIONS_MAX} operations.")
    issues = check(parameters, type=PARAMETERS)
    if issues:
        raise Failure(Category.INVALID, issues=issues)
    stated = listed if isinstance(listed, list) else []
    return FhirPathPatch(type, tuple(_operation(one, number, type) for number, one in enumerate(stated, start=1)))


def _operation(stated: Json, number: int, type: str) -> _Operation:
    """Of a checked parameter."""
    parts: dict[str, Any] = {}
    value: JsonObject = {}
    if not isinstance(stated, dict) or stated.get("name") != "operation":
        raise _malformed(number, "is not named operation")
    for part in stated.get("part", []):  # type: ignore[union-attr]  # because the checker has seen Parameters
        name, content = _named(part, number)
        if name in parts or (name == "value" and value):
            raise _malformed(number, "has a part twice")
        if name == "value":
            value = part  # type: ignore[assignment]  # because the checker has seen Parameters
        else:
            parts[name] = content
    kind = parts.pop("type", None)
    needs = _NEEDS.get(kind) if isinstance(kind, str) else None
    if needs is None:
        raise _malformed(number, "is of none of the types add, insert, delete, replace and move")
    given = parts.keys() | ({"value"} if value else set())
    if given != needs:
        raise _malformed(number, f"must have exactly the parts type, {', '.join(sorted(needs))}")
    for name, content in parts.items():
        if not isinstance(content, _KINDS[name]) or isinstance(content, bool):
            raise _malformed(number, f"has a {name} of another type than {_KINDS[name].__name__}")
    return _Operation(number, str(kind), parse_path(parts["path"], type=type), parts, value)


def _named(part: Any, number: int) -> tuple[str, Any]:
    """The name of a part and its plain value. Raises Failure INVALID for a part without a name."""
    if not isinstance(part.get("name"), str):
        raise _malformed(number, "has a part without a name")
    return part["name"], next((content for name, content in part.items() if name.startswith("value")), None)


def _malformed(number: int, why: str) -> Failure:
    return Failure(Category.INVALID, f"Operation {number} of the patch {why}.", code="structure")


def _add(finder: Finder, operation: _Operation) -> None:
    place = _single(finder, operation)
    name = operation.parts["name"]
    element, value = _formed(operation, forms(place_table(place), name))
    node = inner_node(place)
    if node is None:
        node = _made_beside(operation, place)
    others = [node.get(form.name, node.get("_" + form.name)) for form in forms(place_table(place), name)]
    if not element.is_array:
        if any(other is not None for other in others):
            raise operation.refused("adds an element that is there and does not repeat")
        node[element.name] = value
        return
    present = node.setdefault(element.name, [])
    if isinstance(present, list):
        present.append(value)
        beside = node.get("_" + element.name)
        if isinstance(beside, list):
            present[:-1] += [None] * (len(beside) - len(present) + 1)
            beside.append(None)


def _insert(finder: Finder, operation: _Operation) -> None:
    node, element = _repeating(finder, operation)
    _, value = _formed(operation, [element])
    present = node.setdefault(element.name, [])
    index = operation.parts["index"]
    if not isinstance(present, list) or not 0 <= index <= len(present):
        raise operation.refused("has an index outside the repetitions")
    present.insert(index, value)
    beside = node.get("_" + element.name)
    if isinstance(beside, list):
        beside.insert(index, None)


def _delete(finder: Finder, operation: _Operation) -> None:
    """One element goes; where there is none the client's picture of the resource is wrong, and the patch refused."""
    place = _single(finder, operation)
    if place.element is None:
        raise operation.refused("would delete the whole resource")
    for name in (place.name, "_" + place.name):
        present = place.owner.get(name)
        if place.index is None:
            place.owner.pop(name, None)
        elif isinstance(present, list) and place.index < len(present):
            del present[place.index]
            if not any(one is not None for one in present):
                del place.owner[name]


def _replace(finder: Finder, operation: _Operation) -> None:
    place = _single(finder, operation)
    if place.element is None:
        raise operation.refused("would replace the whole resource")
    last = operation.path[-1]
    choice = place.element.choice_base
    owner_forms = [place.element]
    if choice is not None and isinstance(last, Member):
        above = finder.places(operation.path[:-1])
        owner_forms = forms(place_table(above[0]), choice)
    element, value = _formed(operation, owner_forms)
    if place.index is None:
        if element.name != place.name:
            place.owner.pop(place.name, None)
        place.owner.pop("_" + place.name, None)
        place.owner[element.name] = value
        return
    present = place.owner.setdefault(place.name, [])
    beside = place.owner.get("_" + place.name)
    if isinstance(present, list):
        present += [None] * (place.index + 1 - len(present))
        present[place.index] = value
    if isinstance(beside, list):
        beside[place.index] = None
        if not any(one is not None for one in beside):
            del place.owner["_" + place.name]


def _move(finder: Finder, operation: _Operation) -> None:
    node, element = _repeating(finder, operation)
    source, destination = operation.parts["source"], operation.parts["destination"]
    lists = [present for name in (element.name, "_" + element.name) if isinstance(present := node.get(name), list)]
    for present in lists:
        if not (0 <= source < len(present) and 0 <= destination < len(present)):
            raise operation.refused("has a source or destination outside the repetitions")
        present.insert(destination, present.pop(source))
    if not lists:
        raise operation.refused("has a path that leads to nothing in the resource")


_PERFORM = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}


def _single(finder: Finder, operation: _Operation) -> Place:
    places = finder.places(operation.path)
    if len(places) != 1:
        found = "nothing" if not places else "several elements"
        raise operation.refused(f"has a path that leads to {found} in the resource")
    return places[0]


def _repeating(finder: Finder, operation: _Operation) -> tuple[JsonObject, Element]:
    """The object that has the repeating element the path ends with, and that element."""
    last = operation.path[-1] if operation.path else None
    if isinstance(last, At) or not isinstance(last, Member):
        raise unsupported("a last step that is no name of a repeating element")
    places = finder.places(operation.path[:-1])
    node = inner_node(places[0]) if len(places) == 1 else None
    if node is None:
        raise operation.refused("has a path that does not lead to one element that repeats")
    element = forms(place_table(places[0]), last.name)[0]
    if not element.is_array:
        raise operation.refused("has a path to an element that does not repeat")
    return node, element


def _formed(operation: _Operation, candidates: list[Element]) -> tuple[Element, Json]:
    """The element a value stands for, the right form of a choice, and the value as JSON."""
    part = operation.value
    name = next((name for name in part if name.startswith("value")), None)
    if any(name.startswith("_value") for name in part):
        raise operation.refused("has a value with extensions of its own, which is not supported")
    if name is not None:
        kind = name.removeprefix("value")
        chosen = [each for each in candidates if len(candidates) == 1 or each.name.endswith(kind)]
        exact = [each for each in chosen if each.choice_base is None or each.name == each.choice_base + kind]
        if not exact:
            raise operation.refused("has a value of a type the element cannot have")
        return exact[0], copied(part[name])
    if "resource" in part:
        return candidates[0], copied(part["resource"])
    listed = part.get("part")
    inside = element_table(candidates[0]) if len(candidates) == 1 else None
    if inside is None or not isinstance(listed, list):
        raise operation.refused("has no value the element can have")
    return candidates[0], _built(operation, listed, inside)


def _built(operation: _Operation, parts: JsonArray, owner: ElementTable) -> JsonObject:
    """The object that nested parts describe, one part for each of its members."""
    built: JsonObject = {}
    for part in parts:
        if not isinstance(part, dict):
            continue
        inner = _Operation(operation.number, operation.name, (), {}, part)
        element, value = _formed(inner, forms(owner, str(part.get("name"))))
        present = built.get(element.name)
        if not element.is_array:
            if present is not None:
                raise operation.refused("has a value with a member twice that does not repeat")
            built[element.name] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            built[element.name] = [value]
    return built


def _made_beside(operation: _Operation, place: Place) -> JsonObject:
    """The object beside a primitive that takes its extensions."""
    if place.inside is not None:
        raise operation.refused("has a path into a value that has no members")
    made: JsonObject = {}
    if place.index is None:
        place.owner["_" + place.name] = made
        return made
    values = place.owner.get(place.name)
    beside = place.owner.setdefault("_" + place.name, [None] * (len(values) if isinstance(values, list) else 1))
    if isinstance(beside, list):
        beside[place.index] = made
    return made
