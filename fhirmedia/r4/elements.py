"""Element tables: what R4 says about every element of every type, as facts to be walked by program.

The tables lie in `profiles/r4/elements/`, one per type, written by `scripts/make_elements.py`. A table is read when it
is first asked for and remembered: it never changes while the program runs.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from fhirmedia.r4.profiles_path import profiles


@dataclass(frozen=True, slots=True, eq=False)
class ElementTable:
    """The elements of one type or backbone, by JSON name, in the order of the standard (which XML follows).

    `type` is the name of the type (`Media`, `HumanName`) or the path of the backbone (`Patient.contact`).
    """

    type: str
    elements: Mapping[str, "Element"] = field(repr=False)
    is_resource: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One element as JSON writes it; a choice element is one entry per type it may take.

    `name` is the JSON name (`createdDateTime`); `path` is FHIRPath without indices (`Media.created`); `types` names
    the datatype (a backbone has `BackboneElement` or `Element`); `max` is None for `*`; `choice_base` is the name
    before `[x]`; `binding` names a required code list of `profiles/r4/codes/`; `targets` are the types a Reference
    may point to, empty for any; `children` is the table of a backbone, also where the standard refers to another
    backbone, whose path is then `content_reference`.
    """

    name: str
    path: str
    types: tuple[str, ...]
    min: int = 0
    max: int | None = 1
    choice_base: str | None = None
    binding: str | None = None
    targets: tuple[str, ...] = ()
    is_summary: bool = False
    is_modifier: bool = False
    children: ElementTable | None = field(default=None, repr=False)
    content_reference: str | None = None

    @property
    def is_array(self) -> bool:
        """Whether JSON writes the element as an array."""
        return self.max != 1


@cache
def type_names() -> Mapping[str, tuple[str, ...]]:
    """The types of R4 by kind: `resource`, `complex` (datatypes), `abstract`, `primitive`."""
    read: dict[str, list[str]] = json.loads(_folder().joinpath("index.json").read_text("utf-8"))
    return MappingProxyType({kind: tuple(names) for kind, names in read.items()})


@cache
def resource_types() -> frozenset[str]:
    """The names of all resource types of R4 that an instance can have."""
    return frozenset(type_names()["resource"])


@cache
def table(name: str) -> ElementTable:
    """The table of a resource type or complex datatype; raises LookupError for a name R4 does not have."""
    if not any(name in names for kind, names in type_names().items() if kind != "primitive"):
        raise LookupError("not a type of FHIR R4")
    return _build(json.loads(_folder().joinpath(f"{name}.json").read_text("utf-8")))


def choices(owner: ElementTable, base: str) -> tuple[str, ...]:
    """The JSON names of a choice element (`created` gives `createdDateTime`, `createdPeriod`); empty if it is none."""
    return tuple(name for name, element in owner.elements.items() if element.choice_base == base)


def element_table(element: Element) -> ElementTable | None:
    """The table of what lies inside an element: its backbone or its datatype; None for primitives and resources."""
    if element.children is not None:
        return element.children
    return table(element.types[0]) if element.types[0] in type_names()["complex"] else None


@cache
def attachment_paths(name: str) -> tuple[str, ...]:
    """Dotted JSON names, below the resource, where an Attachment sits (`content.attachment`); extensions left out."""
    return tuple(_paths_of("Attachment", table(name), "", ()))


@cache
def mandatory(name: str) -> tuple[str, ...]:
    """Root JSON names with a minimum above zero; a mandatory choice gives all its names."""
    return tuple(e.name for e in table(name).elements.values() if e.min > 0)


@cache
def summary_elements(name: str) -> tuple[str, ...]:
    """Root JSON names that R4 marks isSummary."""
    return tuple(e.name for e in table(name).elements.values() if e.is_summary)


def _folder() -> Any:
    return profiles() / "r4" / "elements"


def _paths_of(wanted: str, owner: ElementTable, prefix: str, above: tuple[ElementTable, ...]) -> Iterator[str]:
    """Depth first; a table already on the way down is not entered again, so recursive types end."""
    for element in owner.elements.values():
        if element.types[0] == wanted:
            yield prefix + element.name
            continue
        inner = None if element.types[0] == "Extension" else element_table(element)
        if inner is not None and inner not in above:
            yield from _paths_of(wanted, inner, f"{prefix}{element.name}.", (*above, owner, inner))


def _build(facts: dict[str, Any]) -> ElementTable:
    """Backbones are made empty first and filled afterwards: they may refer to each other and to themselves."""
    backbones: dict[str, dict[str, Element]] = {}
    tables: dict[str, ElementTable] = {}

    def announce(path: str, entry: dict[str, Any]) -> None:
        backbones[path] = {}
        tables[path] = ElementTable(path, MappingProxyType(backbones[path]), entry.get("kind") == "resource")
        for child in entry["elements"]:
            if "elements" in child:
                announce(f"{path}.{child['name']}", child)

    def fill(path: str, entry: dict[str, Any]) -> None:
        members = backbones[path]
        if "base" in entry:
            for element in table(entry["base"]).elements.values():
                members[element.name] = _element(path, _facts_of(element), None)
        for child in entry["elements"]:
            children = tables.get(child.get("like") or f"{path}.{child['name']}")
            for one in _expanded(child):
                element = _element(path, one, children)
                members[element.name] = element
            if "elements" in child:
                fill(f"{path}.{child['name']}", child)

    announce(facts["type"], facts)
    fill(facts["type"], facts)
    return tables[facts["type"]]


def _facts_of(element: Element) -> dict[str, Any]:
    return {
        "name": element.name,
        "types": element.types,
        "min": element.min,
        "max": "*" if element.max is None else element.max,
        "binding": element.binding,
        "targets": element.targets,
        "summary": element.is_summary,
        "modifier": element.is_modifier,
    }


def _expanded(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One entry per JSON name: `created[x]` becomes `createdDateTime`, `createdPeriod`."""
    name: str = entry["name"]
    if not name.endswith("[x]"):
        yield entry
        return
    base = name[:-3]
    for kind in entry["types"]:
        yield {**entry, "name": base + kind[0].upper() + kind[1:], "types": [kind], "choice": base}


def _element(owner: str, entry: dict[str, Any], children: ElementTable | None) -> Element:
    limit = entry.get("max", 1)
    kind = entry["types"][0]
    return Element(
        name=entry["name"],
        path=f"{owner}.{entry.get('choice', entry['name'])}",
        types=tuple(entry["types"]),
        min=entry.get("min", 0),
        max=None if limit == "*" else limit,
        choice_base=entry.get("choice"),
        binding=entry.get("binding"),
        targets=tuple(entry.get("targets", ())) if kind == "Reference" else (),
        is_summary=entry.get("summary", False),
        is_modifier=entry.get("modifier", False),
        children=children,
        content_reference=entry.get("like"),
    )
