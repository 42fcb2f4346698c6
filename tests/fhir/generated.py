"""Sound resources made from element tables and a seed: anything a table permits may be in them."""

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from fhirmedia.r4.elements import Element, ElementTable, element_table, resource_types, table
from fhirmedia.r4.invariants import invariants_on
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.profiles_path import profiles

_DEPTH_MAX = 4
_DAYS = ("1900", "2004-02", "2004-02-29", "1999-12-31", "2031-06-30", "0001-01-01")
_CLOCKS = ("00:00:00", "23:59:60", "12:30:45.123", "08:15:00.000000001")
_ZONES = ("Z", "+01:00", "-13:59", "+14:00")
_TEXTS = ("x", "Blåbærsyltetøy", "two\nlines\t.", " padded ", "日本語 😀", '"quoted" \\ & <tag>', "x" * 300)
_URIS = ("http://example.org/a|1", "urn:oid:1.2.3", "relative/path", "#", "https://å.example/ø?q=1#f")
_DIVS = ("<p>Text</p>", '<img src="a.png" alt="a"/>', '<a href="http://example.org/x?a=1&amp;b=2">x</a> <br/> &#160;')


def generated(type: str, seed: int) -> JsonObject:
    """A resource of the type; the same for the same seed."""
    return {"resourceType": type, **_Maker(random.Random(seed)).members(table(type), depth=0)}


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def members(self, owner: ElementTable, *, depth: int) -> JsonObject:
        """An object of the table that keeps R4's constraints: with a member less or more where it would not."""
        for _ in range(100):
            for made in self._tries(owner, depth):
                if _keeps_constraints(made, owner):
                    return made
        made = {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}
        assert _keeps_constraints(made, owner), owner.type
        return made

    def _tries(self, owner: ElementTable, depth: int) -> Iterator[JsonObject]:
        made = self._attempt(owner, depth=depth)
        yield made
        for name in [name for name, e in owner.elements.items() if not e.min and name in made and len(made) > 1]:
            yield {other: value for other, value in made.items() if other not in (name, "_" + name)}
        made = self._attempt(owner, depth=_DEPTH_MAX)
        yield made
        for element in self._further(owner, made):
            more = dict(made)
            self._put(element, more, _DEPTH_MAX)
            yield more

    def _attempt(self, owner: ElementTable, *, depth: int) -> JsonObject:
        names = list(owner.elements)
        chosen = [name for name in names if self._wanted(owner.elements[name], depth)]
        bases = {e.choice_base for e in owner.elements.values() if e.min and e.choice_base}
        for base in sorted(bases):
            options = [name for name in names if owner.elements[name].choice_base == base]
            chosen.append(self.chance.choice(options))
        members: JsonObject = {}
        taken: set[str] = set()
        for name in chosen:
            element = owner.elements[name]
            if element.choice_base in taken:
                continue
            taken |= {element.choice_base} if element.choice_base else set()
            self._put(element, members, depth)
        if owner.type == "Extension":
            self._settle_extension(members)
        elif not owner.is_resource and set(members) <= {"id"}:
            self._put(self._smallest(owner), members, depth)
        return members

    def _further(self, owner: ElementTable, made: JsonObject) -> list[Element]:
        """The elements that could be added, each of a choice that is open."""
        present = {name.removeprefix("_") for name in made}
        taken = {e.choice_base for name, e in owner.elements.items() if e.choice_base and name in present}
        odd = {"contained", "modifierExtension", "extension", "id", "snapshot"}
        return [
            e
            for name, e in owner.elements.items()
            if name not in present | odd and e.choice_base not in taken and e.types[0] != "Resource"
        ]

    def _wanted(self, element: Element, depth: int) -> bool:
        if element.name in {"contained", "modifierExtension", "snapshot"} or element.types[0] == "Resource":
            return False
        if element.path == "ElementDefinition.id":
            return True
        if element.choice_base:
            return depth < _DEPTH_MAX and self.chance.random() < 0.05
        if element.min:
            return True
        if element.name in {"extension", "id"}:
            return depth < _DEPTH_MAX and self.chance.random() < 0.05
        return depth < _DEPTH_MAX and self.chance.random() < 0.35

    def _smallest(self, owner: ElementTable) -> Element:
        plain = [e for e in owner.elements.values() if e.types[0] in _VALUES and e.name != "id"]
        return plain[0] if plain else owner.elements["extension"]

    def _put(self, element: Element, members: JsonObject, depth: int) -> None:
        count = self.chance.randint(1, 3) if element.is_array else 1
        values = [self._value(element, depth) for _ in range(count)]
        beside: list[Json] = [None] * count
        is_attribute = element.name == "id" or element.path == "Extension.url"
        may_be_extended = element.types[0] in _VALUES and element.types[0] != "xhtml" and not is_attribute
        if may_be_extended and self.chance.random() < 0.05:
            beside[0] = {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}
            if self.chance.random() < 0.5:
                values[0] = None
        if values[0] is not None or element.is_array:
            members[element.name] = values if element.is_array else values[0]
        if beside[0] is not None:
            members["_" + element.name] = beside if element.is_array else beside[0]

    def _value(self, element: Element, depth: int) -> Json:
        kind = element.types[0]
        if element.binding and kind == "code":
            return self.chance.choice(_codes(element.binding))[1]
        if element.binding and kind == "CodeableConcept":
            system, code = self.chance.choice(_codes(element.binding))
            return {"coding": [{"system": system, "code": code}]}
        if kind in _VALUES:
            return _VALUES[kind](self.chance)
        if kind == "Reference":
            return self._reference(element)
        inner = element_table(element)
        assert inner is not None, element
        return self.members(inner, depth=depth + 1)

    def _reference(self, element: Element) -> Json:
        target = self.chance.choice(element.targets or sorted(resource_types()))
        forms: list[Json] = [
            {"reference": f"{target}/a-1"},
            {"reference": f"{target}/a-1/_history/2", "type": target},
            {"reference": "http://example.org/fhir/Anything/1", "display": "there"},
            {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
            {"type": target, "identifier": {"value": "1"}},
        ]
        return self.chance.choice(forms)

    def _settle_extension(self, members: JsonObject) -> None:
        has_value = any(name.startswith(("value", "_value")) for name in members)
        if has_value:
            members.pop("extension", None)
        elif "extension" not in members:
            members["valueBoolean"] = self.chance.random() < 0.5


@cache
def _codes(name: str) -> list[tuple[str, str]]:
    facts: dict[str, Any] = json.loads(profiles().joinpath("r4", "codes", f"{name}.json").read_text("utf-8"))
    unlisted = {
        "currencies": ["NOK"],
        "formats": ["json", "application/fhir+xml"],
        "mimetypes": ["image/jpeg", "text/plain; charset=UTF-8"],
        "ucum-units": ["mm"],
    }
    return [(system, code) for system, codes in facts["systems"].items() for code in codes or unlisted[name]]


def _keeps_constraints(made: JsonObject, owner: ElementTable) -> bool:
    if not made.keys() - {"id"} and not owner.is_resource:
        return False
    for invariant in invariants_on(owner):
        found = made if invariant.member is None else made.get(invariant.member, [])
        nodes = found if isinstance(found, list) else [found]
        if not all(invariant.holds(node, made) for node in nodes if isinstance(node, dict)):
            return False
    return True


def _moment(chance: random.Random) -> str:
    return f"{chance.choice(_DAYS[2:])}T{chance.choice(_CLOCKS)}{chance.choice(_ZONES)}"


_VALUES: dict[str, Callable[[random.Random], Json]] = {
    "boolean": lambda chance: chance.random() < 0.5,
    "integer": lambda chance: chance.choice((0, -1, -(2**31), 2**31 - 1)),
    "unsignedInt": lambda chance: chance.choice((0, 2**31 - 1)),
    "positiveInt": lambda chance: chance.choice((1, 2**31 - 1)),
    "decimal": lambda chance: chance.choice(
        (0, 17, Decimal("1.00"), Decimal("-0.10"), Decimal("1E+2"), Decimal("1E-12"), Decimal("3.14159265358979323846"))
    ),
    "string": lambda chance: chance.choice(_TEXTS),
    "markdown": lambda chance: chance.choice(_TEXTS),
    "xhtml": lambda chance: f'<div xmlns="http://www.w3.org/1999/xhtml">{chance.choice(_DIVS)}</div>',
    "code": lambda chance: chance.choice(("x", "a b", "å-1")),
    "id": lambda chance: chance.choice(("a", "A-1.b", "9" * 64)),
    "uri": lambda chance: chance.choice(_URIS),
    "url": lambda chance: chance.choice(_URIS),
    "canonical": lambda chance: chance.choice(_URIS),
    "oid": lambda _: "urn:oid:2.16.578.1",
    "uuid": lambda _: "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "date": lambda chance: chance.choice(_DAYS),
    "dateTime": lambda chance: _moment(chance) if chance.random() < 0.5 else chance.choice(_DAYS),
    "instant": _moment,
    "time": lambda chance: chance.choice(_CLOCKS),
    "base64Binary": lambda chance: chance.choice(("QUJD", "QQ==", " QUJD\nREVG ")),
}
