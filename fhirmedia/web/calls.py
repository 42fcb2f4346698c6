"""What can be called: every route multiplied out over the served types, for whoever describes or checks the API."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirmedia.r4.conformance import definitions
from fhirmedia.r4.registry import Registry
from fhirmedia.web.callers import AskedRoute

BASE = "/fhir"
_OPERATION = "OperationDefinition"  # type-name: what operations are defined by
_EVERY = "Resource"  # type-name: what an operation on every searched type is defined on
_CONDITIONAL = frozenset({"update", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Call:
    """A method at an address below the base, as the standard calls it.

    `type` is the type it works on, None for the system or several types; `template` the route it goes to;
    `is_conditional` says that a search in the address means the resource; `operation` is the name of one.
    """

    method: str
    path: str
    interaction: str
    type: str | None
    template: str
    is_conditional: bool = False
    operation: str | None = None

    @property
    def is_search(self) -> bool:
        """Whether it takes the parameters of a search."""
        return self.interaction.startswith("search") or self.is_conditional

    @property
    def is_posted_search(self) -> bool:
        """Whether its parameters come as a form."""
        return self.path.endswith("/_search")

    @property
    def in_compartment(self) -> bool:
        """Whether it is about what belongs to one patient."""
        return "{compartment}" in self.template


def calls(registry: Registry, routes: Iterable[AskedRoute]) -> list[Call]:
    """Everything that is served of these routes, in their order, no method and address twice."""
    named = operations(registry)
    found: dict[tuple[str, str], Call] = {}
    for route in routes:
        for call in _multiplied(registry, route, named):
            found.setdefault((call.method, call.path), call)
    return list(found.values())


def operations(registry: Registry) -> Mapping[str, frozenset[str]]:
    """The types of each operation that the switchboard names, by its name, as it and the definitions of ours say."""
    server: Any = registry.statement["rest"]
    found: dict[str, set[str]] = {each["name"]: set() for each in server[0].get("operation", ())}
    for entry in server[0]["resource"]:
        for each in entry.get("operation", ()):
            found.setdefault(each["name"], set()).add(entry["type"])
    searched = {name for name, served in registry.types.items() if "search-type" in served.interactions}
    for defined in operation_definitions(registry):
        named = set(map(str, defined.get("resource", ())))
        found.setdefault(str(defined["code"]), set()).update(searched if _EVERY in named else named)
    return {name: frozenset(types) for name, types in found.items()}


def operation_definitions(registry: Registry) -> list[dict[str, Any]]:
    """The definitions of our own operations."""
    return [each for each in definitions(registry) if each["resourceType"] == _OPERATION]


def compartment_types(registry: Registry) -> list[str]:
    """The types of which a patient's compartment can hold something that is searched."""
    return [
        name for name, served in registry.types.items() if served.membership and "search-type" in served.interactions
    ]


def _multiplied(registry: Registry, route: AskedRoute, named: Mapping[str, frozenset[str]]) -> Iterator[Call]:
    path = route.path.removeprefix(BASE) or "/"
    operation = next((each[1:] for each in path.split("/") if each.startswith("$")), None)
    is_conditional = operation is None and "{id}" not in path and route.interaction in _CONDITIONAL
    if "{compartment}" in path:
        kind = "Patient"  # type-name: the one compartment that is kept
        address = path.replace("{compartment}", kind)
        yield Call(route.method, address, route.interaction, None, route.path, operation=operation)
    elif "{type}" in path:
        for name, served in registry.types.items():
            known = name in named.get(operation, ()) if operation else route.interaction in served.interactions
            if known and (not is_conditional or "search-type" in served.interactions):
                address = path.replace("{type}", name)
                yield Call(route.method, address, route.interaction, name, route.path, is_conditional, operation)
    else:
        yield Call(route.method, path, route.interaction, None, route.path, operation=operation)
