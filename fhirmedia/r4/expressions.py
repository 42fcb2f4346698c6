"""Search expressions compiled once to plain closures over JSON.

Types are followed through the element tables while compiling, so every branch knows the FHIR type it yields, a choice
element becomes one branch per JSON name, and a name R4 does not have is refused at start instead of never matching.
The grammar is that of `fhirpath`; what lies outside it raises Failure INVALID.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.elements import Element, ElementTable, choices, element_table
from fhirmedia.r4.fhirpath import (
    BooleanTest,
    Cast,
    Comparison,
    Extension,
    Member,
    Path,
    Prefix,
    Presence,
    ResolvesTo,
    Select,
    Test,
    Where,
    parse_union,
    refusal,
)
from fhirmedia.r4.json_types import JsonObject


class Whole:
    """A resource with all it contains: where walks begin, and what tells where references into it lead."""

    __slots__ = ("_kinds", "resource")

    def __init__(self, resource: JsonObject) -> None:
        self.resource = resource
        self._kinds: dict[str, set[str]] | None = None

    def kinds(self, id: str) -> Collection[str]:
        """The types of what is contained under an id; a checked resource has one at most."""
        if self._kinds is None:
            self._kinds = {}
            contained: Any = self.resource.get("contained", ())
            for inner in contained:
                self._kinds.setdefault(inner.get("id"), set()).add(inner.get("resourceType"))
        return self._kinds.get(id, ())


Run = Callable[[Any, Whole, list[Any]], None]
"""Takes a JSON node, the resource it lies in, and the list its results go to."""

Step = Callable[[Run], Run]
"""Puts one step in front of what follows it."""

Check = Callable[[Any, Whole], bool]
"""Whether a JSON node, within its resource, passes a test."""

_ABSTRACT = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class Branch:
    """One way from a resource, or from a repetition within it, to values of one FHIR type.

    `type` is a FHIR type name or, of a backbone, its path; `element` is the last element on the way, None for the
    start itself and for literals; `root` is the JSON name the way begins with, None if it looks at the whole start;
    `walk` is the way bound to `collect`.
    """

    type: str
    element: Element | None = field(default=None, repr=False, compare=False)
    root: str | None = None
    inside: ElementTable | None = field(default=None, repr=False, compare=False)
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)
    walk: Run | None = field(default=None, repr=False, compare=False)

    def values(self, resource: JsonObject) -> list[Any]:
        """The JSON values found in a resource, in document order."""
        found: list[Any] = []
        walk = self.walk or self.bind(collect)
        walk(resource, Whole(resource), found)
        return found

    def bind(self, then: Run) -> Run:
        """The closure that walks from a start and hands every value found to `then`."""
        for step in reversed(self.steps):
            then = step(then)
        return then


def compile_expression(expression: str, owner: ElementTable) -> tuple[Branch, ...]:
    """The branches of a union that apply to the type of `owner`: its own, those of its bases, and relative ones.

    `owner` may be a backbone or datatype, for the parts of a composite. Raises Failure INVALID outside the subset.
    """
    branches: list[Branch] = []
    for part in _parsed(expression):
        if part.head not in {None, owner.type, *_ABSTRACT}:
            continue
        if isinstance(part, BooleanTest):
            branches.append(Branch("boolean", steps=(_truth(_all(part.tests, _start(owner))),)))
        else:
            branches.extend(_follow(part, _start(owner)))
    return tuple(replace(branch, walk=branch.bind(collect)) for branch in branches)


_parsed = cache(parse_union)
"""Many types share an expression, and it says the same for all of them."""


def collect(node: Any, root: Whole, found: list[Any]) -> None:
    """The Run that keeps the JSON values as they are."""
    found.append(node)


def inside(branch: Branch) -> ElementTable:
    """The table of what lies inside the values of a branch; raises Failure INVALID for primitives."""
    return _inside(branch, "elements")


def _start(owner: ElementTable) -> Branch:
    return Branch(owner.type, inside=owner)


def _follow(path: Path, start: Branch) -> list[Branch]:
    """The branches a path leads to; a first step that names the type itself, or a base of it, stays in place."""
    steps = path.steps[1:] if path.head in {start.type, *_ABSTRACT} else path.steps
    branches = [start]
    for step in steps:
        branches = [further for branch in branches for further in _take(step, branch)]
        if not branches:
            raise Failure(Category.INVALID, f"The search expression {path} casts to a type the element cannot have.")
    return branches


def _take(step: Member | Cast | Extension | Select | Where, branch: Branch) -> Iterator[Branch]:
    match step:
        case Member(name):
            owner = _inside(branch, name)
            for element in _members(owner, name):
                yield _to(branch, element, _each(element.name) if element.is_array else _one(element.name))
        case Cast(kind):
            if branch.type == kind:
                yield branch
        case Extension(url):
            element = _members(_inside(branch, "extension"), "extension")[0]
            yield _to(branch, element, _extensions(url))
        case Select(literal):
            yield Branch("string", None, branch.root, None, (*branch.steps, _constant(literal)))
        case Where(tests):
            yield replace(branch, steps=(*branch.steps, _filter(_all(tests, branch))))


def _to(branch: Branch, element: Element, step: Step) -> Branch:
    root = branch.root if branch.steps else element.name
    return Branch(_type_of(element), element, root, None, (*branch.steps, step))


def _type_of(element: Element) -> str:
    return element.children.type if element.children is not None else element.types[0]


def _inside(branch: Branch, name: str) -> ElementTable:
    inside = branch.inside or (element_table(branch.element) if branch.element is not None else None)
    if inside is None:
        raise Failure(Category.INVALID, f"A search expression looks for {name} inside a value of type {branch.type}.")
    return inside


def _members(owner: ElementTable, name: str) -> list[Element]:
    """The element of that name, or all forms of a choice."""
    direct = owner.elements.get(name)
    if direct is not None and direct.choice_base is None:
        return [direct]
    forms = choices(owner, name)
    if not forms:
        raise Failure(Category.INVALID, f"A search expression names an element {name} that {owner.type} does not have.")
    return [owner.elements[form] for form in forms]


def _one(name: str) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            value = node.get(name)
            if value is not None:
                then(value, root, found)

        return run

    return step


def _each(name: str) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            for value in node.get(name, ()):
                if value is not None:
                    then(value, root, found)

        return run

    return step


def _extensions(url: str) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            for extension in node.get("extension", ()):
                if extension.get("url") == url:
                    then(extension, root, found)

        return run

    return step


def _constant(literal: str) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            then(literal, root, found)

        return run

    return step


def _filter(check: Check) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            if check(node, root):
                then(node, root, found)

        return run

    return step


def _truth(check: Check) -> Step:
    def step(then: Run) -> Run:
        def run(node: Any, root: Whole, found: list[Any]) -> None:
            then(check(node, root), root, found)

        return run

    return step


def _all(tests: tuple[Test, ...], branch: Branch) -> Check:
    checks = [_check(test, branch) for test in tests]
    if len(checks) == 1:
        return checks[0]
    return lambda node, root: all(check(node, root) for check in checks)


def _check(test: Test, branch: Branch) -> Check:
    if isinstance(test, ResolvesTo):
        if branch.type != "Reference":
            raise refusal("resolve() on something other than a Reference")
        return _resolves_to(test.type)
    here = Branch(branch.type, branch.element, inside=branch.inside)
    runs = [way.bind(collect) for way in _follow(test.path, here)]

    def values(node: Any, root: Whole) -> list[Any]:
        found: list[Any] = []
        for run in runs:
            run(node, root, found)
        return found

    match test:
        case Presence(wanted=wanted):
            return lambda node, root: bool(values(node, root)) is wanted
        case Comparison(operator="=", value=value):
            return lambda node, root: values(node, root) == [value]
        case Comparison(value=value):
            return lambda node, root: values(node, root) not in ([], [value])
        case Prefix(literal=literal):
            return lambda node, root: len(found := values(node, root)) == 1 and str(found[0]).startswith(literal)


def _resolves_to(kind: str) -> Check:
    """Whether a Reference leads to a type, told from its text, its `type`, or the contained resource it names."""
    needle = f"{kind}/"
    within = f"/{kind}/"

    def check(node: Any, root: Whole) -> bool:
        text = node.get("reference")
        if text is None or text.startswith("#"):
            return node.get("type") == kind or (text is not None and kind in root.kinds(text[1:]))
        return text.startswith(needle) or within in text or node.get("type") == kind

    return check
