"""Constraints compiled once to plain closures over JSON: what must be true of an element or resource.

As with search expressions, types are followed through the element tables while compiling, so a name R4 does not have,
or a function outside the subset, is refused at start (Failure INVALID) instead of never being held.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from fhirmedia.r4.constraint_grammar import Call, Literal, Member, Node, Operation, Variable, outside, parse_constraint
from fhirmedia.r4.constraint_values import (
    NO_VALUE,
    Truth,
    conjunction,
    difference,
    disjunction,
    equal,
    implication,
    is_at_most,
    is_below,
    key_of,
    negation,
    same,
    truth_of,
)
from fhirmedia.r4.elements import Element, ElementTable, choices, element_table, type_names
from fhirmedia.r4.json_types import Json, JsonObject

Find = Callable[[Any, Any], list[Any]]
"""Takes the item at hand and the _Whole it lies in, and returns what the expression finds."""

Judge = Callable[[Any, Any], Truth]

Holds = Callable[[JsonObject, JsonObject], bool]
"""Whether an object, within its resource, keeps a constraint."""

_UCUM = "http://unitsofmeasure.org"


@dataclass(slots=True)
class _Whole:
    """A resource while one constraint is judged, and what was found out about it for every item alike."""

    resource: JsonObject
    keys: dict[Find, frozenset[Hashable]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Way:
    """A part of an expression: what it finds, the tables of the objects it may find, and its truth where it has one."""

    find: Find
    inside: tuple[ElementTable, ...] = ()
    judge: Judge | None = None
    is_of_whole: bool = False
    """Whether it finds the same from every item of a resource."""


def compile_constraint(expression: str, owner: ElementTable, *, root: ElementTable | None = None) -> Holds:
    """The test of a constraint on objects of the table `owner`; `root` is the table of their resource, if it is one.

    An expression that is neither true nor false does not hold. Raises Failure INVALID outside the subset.
    """
    judge = _judge(_Compiler((owner,), root or owner).way(parse_constraint(expression)))
    return lambda node, resource: judge(node, _Whole(resource)) is True


def _judge(way: _Way) -> Judge:
    if way.judge is not None:
        return way.judge
    find = way.find
    return lambda node, root: truth_of(find(node, root))


def _truth(judge: Judge) -> _Way:
    def find(node: Any, root: Any) -> list[Any]:
        truth = judge(node, root)
        return [] if truth is None else [truth]

    return _Way(find, judge=judge)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles for one kind of item at hand: `here` are the tables it may have."""

    here: tuple[ElementTable, ...]
    root: ElementTable

    def way(self, node: Node) -> _Way:
        match node:
            case Literal(value):
                return _Way(lambda _node, _root: [value])
            case Variable():
                return self._variable(node.name)
            case Member(None, name) if any(name == owner.type for owner in self.here):
                return self._item()
            case Member(source, name):
                return _member(self._source(source), name)
            case Call():
                return self._call(node)
            case Operation(operator, left, right):
                return _operation(operator, self.way(left), self.way(right))

    def _item(self) -> _Way:
        return _Way(lambda node, _root: [node], self.here)

    def _source(self, source: Node | None) -> _Way:
        return self._item() if source is None else self.way(source)

    def _variable(self, name: str) -> _Way:
        match name:
            case "$this":
                return self._item()
            case "%resource":
                return _Way(lambda _node, root: [root.resource], (self.root,), is_of_whole=True)
            case "%ucum":
                return _Way(lambda _node, _root: [_UCUM])
        raise outside(f"the variable {name}")

    def _call(self, call: Call) -> _Way:
        source = self._source(call.source)
        if call.name in _OVER_ITEMS and len(call.arguments) == 1:
            return _OVER_ITEMS[call.name](source, self._within(source, call.arguments[0]))
        if call.name in _WITH_ARGUMENT and len(call.arguments) == 1:
            return _WITH_ARGUMENT[call.name](source, self.way(call.arguments[0]))
        if call.name in _PLAIN and not call.arguments:
            return _PLAIN[call.name](source)
        raise outside(f"the function {call.name}()")

    def _within(self, source: _Way, criteria: Node) -> _Way:
        return _Compiler(source.inside, self.root).way(criteria)


def _member(source: _Way, name: str) -> _Way:
    elements = [element for owner in source.inside for element in _forms(owner, name)]
    if not elements:
        raise outside(f"an element {name} that its owner does not have")
    steps = [_gathering(element) for element in {element.name: element for element in elements}.values()]
    inside = tuple(dict.fromkeys(each for element in elements if (each := element_table(element)) is not None))
    find_owners = source.find

    def find(node: Any, root: Any) -> list[Any]:
        found: list[Any] = []
        for owner in find_owners(node, root):
            if owner is not NO_VALUE:
                for step in steps:
                    step(owner, found)
        return found

    return _Way(find, inside, is_of_whole=source.is_of_whole)


def _forms(owner: ElementTable, name: str) -> list[Element]:
    """The element of that name, or all forms of a choice."""
    direct = owner.elements.get(name)
    if direct is not None and direct.choice_base is None:
        return [direct]
    return [owner.elements[form] for form in choices(owner, name)]


def _gathering(element: Element) -> Callable[[JsonObject, list[Any]], None]:
    """Adds what an object has of an element; of a primitive its extensions alone count as well."""
    name, beside = element.name, "_" + element.name

    def objects(owner: JsonObject, found: list[Any]) -> None:
        value = owner.get(name)
        found.extend(value if isinstance(value, list) else () if value is None else (value,))

    def primitive(owner: JsonObject, found: list[Any]) -> None:
        value = owner.get(name)
        if value is not None or beside in owner:
            found.append(NO_VALUE if value is None else value)

    def primitives(owner: JsonObject, found: list[Any]) -> None:
        for value, extended in zip_longest(_array(owner.get(name)), _array(owner.get(beside))):
            if value is not None or extended is not None:
                found.append(NO_VALUE if value is None else value)

    if element.types[0] not in type_names()["primitive"]:
        return objects
    return primitives if element.is_array else primitive


def _array(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _operation(operator: str, left: _Way, right: _Way) -> _Way:
    if operator in _LOGIC:
        join, first, second = _LOGIC[operator], _judge(left), _judge(right)
        return _truth(lambda node, root: join(first(node, root), second(node, root)))
    one, other = left.find, right.find
    if operator == "|":
        return _Way(lambda node, root: [*one(node, root), *other(node, root)], (*left.inside, *right.inside))
    if operator == "+":
        return _Way(lambda node, root: [sum((*one(node, root), *other(node, root)))])
    compare = _COMPARISONS[operator]
    return _truth(lambda node, root: compare(one(node, root), other(node, root)))


def _is_in(left: list[Any], right: list[Any]) -> Truth:
    """`in`; of several items on the left one is enough."""
    valued = [item for item in left if item is not NO_VALUE]
    return any(same(item, each) for item in valued for each in right) if valued else None


_LOGIC: Mapping[str, Callable[[Truth, Truth], Truth]] = {
    "and": conjunction,
    "or": disjunction,
    "xor": difference,
    "implies": implication,
}

_COMPARISONS: Mapping[str, Callable[[list[Any], list[Any]], Truth]] = {
    "=": equal,
    "!=": lambda left, right: negation(equal(left, right)),
    "<=": is_at_most,
    ">=": lambda left, right: is_at_most(right, left),
    "<": is_below,
    ">": lambda left, right: is_below(right, left),
    "in": _is_in,
}


def _exists(source: _Way) -> _Way:
    find = source.find
    return _truth(lambda node, root: bool(find(node, root)))


def _empty(source: _Way) -> _Way:
    find = source.find
    return _truth(lambda node, root: not find(node, root))


def _not(source: _Way) -> _Way:
    judge = _judge(source)
    return _truth(lambda node, root: negation(judge(node, root)))


def _has_value(source: _Way) -> _Way:
    find = source.find

    def judge(node: Any, root: Any) -> Truth:
        found = find(node, root)
        return len(found) == 1 and found[0] is not NO_VALUE

    return _truth(judge)


def _count(source: _Way) -> _Way:
    find = source.find
    return _Way(lambda node, root: [len(find(node, root))])


def _as_text(source: _Way) -> _Way:
    find = source.find
    return _Way(lambda node, root: [str(item) for item in find(node, root) if item is not NO_VALUE])


def _where(source: _Way, criteria: _Way) -> _Way:
    find, judge = source.find, _judge(criteria)
    return _Way(lambda node, root: [item for item in find(node, root) if judge(item, root) is True], source.inside)


def _every(source: _Way, criteria: _Way) -> _Way:
    find, judge = source.find, _judge(criteria)
    return _truth(lambda node, root: all(judge(item, root) is True for item in find(node, root)))


def _intersect(source: _Way, other: _Way) -> _Way:
    one, two = source.find, other.find

    def find(node: Any, root: Any) -> list[Any]:
        found = one(node, root)
        if not found:
            return found
        keys = root.keys.get(two)
        if keys is None:
            keys = frozenset(map(key_of, two(node, root)))
            if other.is_of_whole:
                root.keys[two] = keys
        return [item for item in found if key_of(item) in keys]

    return _Way(find, source.inside)


def _text_test(test: Callable[[str, str], bool]) -> Callable[[_Way, _Way], _Way]:
    """A test of one text by another; false where there is no text, as the standard's own constraints expect."""

    def compiled(source: _Way, other: _Way) -> _Way:
        one, two = source.find, other.find

        def judge(node: Any, root: Any) -> Truth:
            found, wanted = one(node, root), two(node, root)
            if len(found) != 1 or len(wanted) != 1 or NO_VALUE in (found[0], wanted[0]):
                return False
            return test(str(found[0]), str(wanted[0]))

        return _truth(judge)

    return compiled


_PLAIN: Mapping[str, Callable[[_Way], _Way]] = {
    "exists": _exists,
    "empty": _empty,
    "not": _not,
    "hasValue": _has_value,
    "count": _count,
    "toString": _as_text,
}

_OVER_ITEMS: Mapping[str, Callable[[_Way, _Way], _Way]] = {
    "where": _where,
    "exists": lambda source, criteria: _exists(_where(source, criteria)),
    "all": _every,
}

_WITH_ARGUMENT: Mapping[str, Callable[[_Way, _Way], _Way]] = {
    "intersect": _intersect,
    "startsWith": _text_test(str.startswith),
    "contains": _text_test(lambda text, part: part in text),
}
