"""Where a FHIRPath Patch points: a path of the compiled subset, and the places of a resource it leads to.

    path = [Type "."] step *( "." step )
    step = name / name "[" n "]" / "where(" name = literal ")" / "extension('url')" / "first()" / "last()"

Types are followed through the element tables, so a name R4 does not have is refused by its name. Everything else of
FHIRPath is refused, naming the part.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.elements import Element, ElementTable, choices, element_table, resource_types, table
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.paths import sayable

STEPS_MAX = 50
CHARACTERS_MAX = 1000
"""Of one path."""
VISITS_MAX = 200_000
"""Values that one patch may look at."""

Literal = str | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Member:
    """`name`"""

    name: str


@dataclass(frozen=True, slots=True)
class At:
    """`[n]`, `first()`, `last()` (-1)."""

    index: int


@dataclass(frozen=True, slots=True)
class Having:
    """`where(name = literal)`, and `extension('url')` after its member."""

    name: str
    literal: Literal


Step = Member | At | Having

_STEP = re.compile(
    r"(?P<call>where|extension|first|last)\((?P<arguments>(?:'[^'\\]*'|[^'()])*)\)|(?P<name>[A-Za-z][A-Za-z0-9]{0,63})"
)
_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,8})\]", re.ASCII)
_TEST = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9]{0,63})\s*=\s*(?:'(?P<text>[^'\\]*)'|(?P<word>true|false)|(?P<number>-?[0-9]{1,18}(?:\.[0-9]{1,18})?))\s*"
)
_TEXT = re.compile(r"'([^'\\]*)'\s*").fullmatch
_OTHER_CALL = re.compile(r"([A-Za-z]{1,40})\(").match


@dataclass(frozen=True, slots=True)
class Place:
    """One value of a resource: a member of `owner`, or one of its repetitions. `element` is None for the resource."""

    owner: JsonObject
    name: str
    index: int | None
    element: Element | None
    inside: ElementTable | None
    """The table of what lies inside; None for a primitive, whose extensions lie in `_name`."""

    @property
    def value(self) -> Json:
        """The value itself; None for a primitive that only has extensions."""
        if self.element is None:
            return self.owner
        found = self.owner.get(self.name)
        if self.index is None:
            return found
        return found[self.index] if isinstance(found, list) and self.index < len(found) else None


def parse_path(text: str, *, type: str) -> tuple[Step, ...]:
    """The steps below a resource of `type`; empty for the resource. Raises Failure UNPROCESSABLE outside the subset."""
    if len(text) > CHARACTERS_MAX:
        raise unsupported(f"more than {CHARACTERS_MAX} characters")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or len(steps) > STEPS_MAX:
            raise unsupported(_unknown(text[at:]))
        if found["call"]:
            steps.extend(_called(found["call"], found["arguments"].lstrip()))
        elif at or found["name"] != type:
            steps.append(Member(found["name"]))
        at = found.end()
        if text[at : at + 1] == "(":
            raise unsupported(_unknown(text[found.start() :]))
        while index := _INDEX.match(text, at):
            steps.append(At(int(index[1])))
            at = index.end()
        if at < len(text):
            if text[at] != "." or at + 1 == len(text):
                raise unsupported(_unknown(text[at:]))
            at += 1
    if not text:
        raise unsupported("an empty path")
    return tuple(steps)


def unsupported(what: str) -> Failure:
    """The Failure for a path outside the subset."""
    known = "names, [n], where(name = literal), extension('url'), first() and last()"
    text = f"The path of a patch uses {what}; it may be made of {known}."
    return Failure(Category.UNPROCESSABLE, text, code="not-supported")


def _unknown(rest: str) -> str:
    call = _OTHER_CALL(rest)
    return f"{call[1]}()" if call else "a sign that has no meaning there"


def _called(name: str, arguments: str) -> list[Step]:
    match name:
        case "first" | "last":
            if arguments:
                raise unsupported(f"{name}() with an argument")
            return [At(0 if name == "first" else -1)]
        case "extension":
            url = _TEXT(arguments)
            if url is None:
                raise unsupported("extension() without one text")
            return [Member("extension"), Having("url", url[1])]
    test = _TEST.fullmatch(arguments)
    if test is None:
        raise unsupported("where() with something other than name = literal")
    return [Having(test["name"], _literal(test))]


def _literal(test: re.Match[str]) -> Literal:
    if test["text"] is not None:
        return test["text"]
    if test["word"] is not None:
        return test["word"] == "true"
    return Decimal(test["number"]) if "." in test["number"] else int(test["number"])


@dataclass(slots=True)
class Finder:
    """Finds places in one resource; the work of a whole patch is bounded by VISITS_MAX."""

    resource: JsonObject
    type: str
    visits: int = 0

    def places(self, steps: tuple[Step, ...]) -> list[Place]:
        """Every place the steps lead to, in document order. Raises Failure UNPROCESSABLE, TOO_COSTLY."""
        found = [Place(self.resource, "", None, None, table(self.type))]
        for step in steps:
            match step:
                case Member(name):
                    found = [each for place in found for each in self._members(place, name)]
                case At(index):
                    found = found[index:][:1]
                case Having(name, literal):
                    found = [place for place in found if self._has(place, name, literal)]
            self._count(len(found))
        return found

    def _count(self, number: int) -> None:
        self.visits += number + 1
        if self.visits > VISITS_MAX:
            raise Failure(Category.TOO_COSTLY, "The patch looks at more values than one patch may.")

    def _members(self, place: Place, name: str) -> Iterator[Place]:
        node = inner_node(place)
        for element in forms(place_table(place), name):
            if node is None:
                continue
            plain, beside = node.get(element.name), node.get("_" + element.name)
            present = plain if plain is not None else beside
            if present is None:
                continue
            if not isinstance(present, list):
                yield _place(node, element, None)
                continue
            self._count(len(present))
            for index in range(len(present)):
                yield _place(node, element, index)

    def _has(self, place: Place, name: str, literal: Literal) -> bool:
        self._count(1)
        values = [each.value for each in self._members(place, name)]
        return len(values) == 1 and isinstance(values[0], bool) is isinstance(literal, bool) and values[0] == literal


def _place(owner: JsonObject, element: Element, index: int | None) -> Place:
    inside = element_table(element)
    if element.types[0] == "Resource":
        value = owner.get(element.name)
        held = value[index] if isinstance(value, list) and index is not None else value
        kind = held.get("resourceType") if isinstance(held, dict) else None
        inside = table(kind) if isinstance(kind, str) and kind in resource_types() else None
    return Place(owner, element.name, index, element, inside)


def place_table(place: Place) -> ElementTable:
    """The table of what may stand at a place; that of extensions for a primitive."""
    return place.inside or table("Element")


def inner_node(place: Place) -> JsonObject | None:
    """The object whose members are the children of a place; for a primitive what stands beside it, if anything."""
    if place.inside is not None:
        value = place.value
        return value if isinstance(value, dict) else None
    beside = place.owner.get("_" + place.name)
    one = beside[place.index] if isinstance(beside, list) and place.index is not None else beside
    return one if isinstance(one, dict) else None


def forms(owner: ElementTable, name: str) -> list[Element]:
    """The element of a name, or every form of a choice. Raises Failure UNPROCESSABLE for a name the table has not."""
    direct = owner.elements.get(name)
    if direct is not None and direct.choice_base is None:
        return [direct]
    found = [owner.elements[form] for form in choices(owner, name)]
    if not found:
        told = sayable(name) or "something"
        raise Failure(Category.UNPROCESSABLE, f"The path of a patch names {told}, which R4 {owner.type} does not have.")
    return found
