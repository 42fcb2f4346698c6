"""What a contained resource says, as values of the resource it is part of.

They stand under the name of the chain that leads to them, `author:Practitioner.family`: of each contained resource
that a reference parameter of its container names, if it is of a type the parameter may refer to and searches know.
All that one parameter leads to in one resource stands together. A contained resource has no identity of its own (FHIR
R4, contained resources), so its id and the time of its change are no values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fhirmedia.r4.collation import SORTED
from fhirmedia.r4.expressions import Run, Whole, collect
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.registry import Registry, SearchParameter, ServedType
from fhirmedia.r4.values import SearchValue, TokenValue, in_group

TYPE = "_type"
"""Stands for a parameter whose one value is the type: there is such a contained resource, whatever it says."""

Values = Mapping[str, tuple[SearchValue, ...]]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A reference parameter of a type: `walks` find its References, `types` may be contained and are looked into."""

    code: str
    types: frozenset[str]
    walks: tuple[Run, ...]


def field(reference: str, type: str, code: str) -> str:
    """The name under which values of contained resources stand."""
    return f"{reference}:{type}.{code}"


def is_inside(name: str) -> bool:
    """Whether a parameter is one of contained resources; no code of a search parameter has a full stop."""
    return "." in name


def is_searched(served: ServedType | None) -> bool:
    """Whether chains lead to resources of the type."""
    return served is not None and "search-type" in served.interactions and not served.read_only


def shipped(registry: Registry, type: str) -> Mapping[str, SearchParameter]:
    """The parameters by which resources of the type are indexed since the program was made.

    Those added to an installation are left out: what is contained in resources of other types is not indexed anew for
    them.
    """
    indexed, waiting = registry.types[type].indexed, registry.waiting.get(type, frozenset())
    added = {str(each["url"]) for each in registry.added}
    if not waiting and not added:
        return indexed
    return {code: each for code, each in indexed.items() if code not in waiting and each.url not in added}


def pointers(registry: Registry, type: str) -> tuple[Pointer, ...]:
    """The reference parameters of a type that may lead to something contained."""
    searched = frozenset(name for name, served in registry.types.items() if is_searched(served))
    return tuple(
        Pointer(parameter.code, searched.intersection(parameter.targets or searched), walks)
        for parameter in shipped(registry, type).values()
        if parameter.kind == "reference"
        and (walks := tuple(way.bind(collect) for way in parameter.branches if way.type == "Reference"))
    )


def values_inside(whole: Whole, ways: Iterable[Pointer], values_of: Callable[[str, JsonObject], Values]) -> Values:
    """The values of what is contained in a checked resource and referred to, by `field`, each once.

    `values_of` is asked for the values of one contained resource of a type, by their codes, `_id` left out.
    """
    contained = whole.resource.get("contained")
    every: list[Json] = contained if isinstance(contained, list) else []
    by_id = {one["id"]: (place, one) for place, one in enumerate(every) if isinstance(one, dict) and "id" in one}
    read: dict[str, Values] = {}
    found: dict[str, dict[SearchValue, None]] = {}
    for pointer in ways:
        for id in _named(whole, pointer):
            place, one = by_id.get(id, (0, {}))
            type = one.get("resourceType")
            if not isinstance(type, str) or type not in pointer.types:
                continue
            if id not in read:
                read[id] = _grouped(values_of(type, one), place, of=len(every))
            kind: Values = {TYPE: (TokenValue(None, type),)}
            for code, several in (*kind.items(), *read[id].items()):
                if code.endswith(SORTED):
                    continue  # nothing is sorted by what it contains
                found.setdefault(field(pointer.code, type, code), {}).update(dict.fromkeys(several))
    return {name: tuple(several) for name, several in found.items()}


def _named(whole: Whole, pointer: Pointer) -> Iterable[str]:
    """The ids of contained resources that a parameter refers to, in order."""
    nodes: list[JsonObject] = []
    for walk in pointer.walks:
        walk(whole.resource, whole, nodes)
    texts = (node.get("reference") for node in nodes)
    return dict.fromkeys(text[1:] for text in texts if isinstance(text, str) and text.startswith("#"))


def _grouped(values: Values, place: int, *, of: int) -> Values:
    """The parts of composites numbered anew, so that those of different contained resources never meet."""
    return {
        code: tuple(in_group(value, value.group * of + place) for value in several) if "$" in code else several
        for code, several in values.items()
    }
