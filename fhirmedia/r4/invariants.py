"""The constraints R4 puts on its types, from `profiles/r4/invariants.json`, compiled where they are first needed.

The table is written by `scripts/make_invariants.py`. A constraint of severity `warning` never makes a resource unsound:
`advice` tells it to whoever asks for an opinion.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from fhirmedia.core.errors import Issue
from fhirmedia.r4.constraints import Holds, compile_constraint
from fhirmedia.r4.elements import ElementTable, element_table, table
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.profiles_path import profiles


@dataclass(frozen=True, slots=True)
class Invariant:
    """One constraint on the objects of a table, or on each value of one of its elements where `member` names it.

    `rule` is the end of a sentence that begins with the element.
    """

    key: str
    rule: str
    holds: Holds
    member: str | None = None


@cache
def invariants_on(owner: ElementTable) -> tuple[Invariant, ...]:
    """What must hold for every object of a table; raises Failure INVALID for a row outside the subset."""
    return tuple(_compiled(row, owner) for row in _rows("error").get(owner.type, ()))


def advice(resource: JsonObject, *, type: str) -> list[Issue]:
    """What R4 only recommends about a sound resource of this type and the resource does not heed."""
    return [
        Issue("invariant", f"{type} {advised.rule}", type, "warning")
        for advised in _advised(type)
        if not advised.holds(resource, resource)
    ]


def require_invariants(types: Iterable[str]) -> None:
    """Compile everything about these types and the datatypes; raises Failure INVALID for a row outside the subset."""
    wanted = frozenset(types)
    for place in _rows("error"):
        type = place.partition(".")[0]
        if type in wanted or not table(type).is_resource:
            invariants_on(place_of(place)[0])
    for type in wanted:
        _advised(type)


def place_of(path: str) -> tuple[ElementTable, str | None, ElementTable | None]:
    """The table a path stands for; for an element of a datatype its owner, its name, and the datatype's table.

    Raises LookupError for a path R4 does not have, or one that ends at a primitive.
    """
    first, *names = path.split(".")
    owner = table(first)
    for at, name in enumerate(names):
        element = owner.elements[name]
        if element.children is None:
            inner = element_table(element)
            if at + 1 < len(names) or inner is None:
                raise LookupError("not the path of an object")
            return owner, name, inner
        owner = element.children
    return owner, None, None


@cache
def _rows(severity: str) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The rows by the type of the table they are judged on."""
    content = json.loads(profiles().joinpath("r4", "invariants.json").read_text("utf-8"))
    by_table: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for row in content["held"]:
        if row["severity"] == severity:
            owner, _, _ = place_of(row["on"])
            by_table[owner.type] = (*by_table.get(owner.type, ()), row)
    return MappingProxyType(by_table)


@cache
def _advised(type: str) -> tuple[Invariant, ...]:
    owner = table(type)
    general = _rows("warning").get("DomainResource", ()) if "text" in owner.elements else ()  # type-name: abstract
    return tuple(_compiled(row, owner) for row in (*general, *_rows("warning").get(type, ())))


def _compiled(row: Mapping[str, Any], owner: ElementTable) -> Invariant:
    _, member, inner = place_of(row["on"])
    told = row.get("says") or f"must satisfy {row['expression']}"
    root = table(row["on"].partition(".")[0])
    holds = compile_constraint(row["expression"], inner or owner, root=root)
    return Invariant(row["key"], f"{told} ({row['key']})", holds, member)
