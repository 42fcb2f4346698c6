"""A parameter as one search asks for it: what its definitions on the listed types have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.code_lists import list_systems
from fhirmedia.r4.registry import Component, Kind, Registry, SearchParameter


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What a search is read against; `now` is milliseconds UTC and stays the same over all pages."""

    registry: Registry
    base_url: str
    zone: ZoneInfo
    now: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One parameter over the listed types.

    `targets` are the types its references may name (empty: any); `element_types` the FHIR types its values come from
    (empty where that is not known); `code_systems` the systems that its elements of type `code` imply.
    """

    code: str
    kind: Kind
    targets: tuple[str, ...] = ()
    element_types: frozenset[str] = frozenset()
    code_systems: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()

    @property
    def is_canonical(self) -> bool:
        """Whether all values are canonicals, which may name a business version."""
        return self.element_types == {"canonical"}

    @property
    def is_uid(self) -> bool:
        """Whether some values are DICOM UIDs in elements of type `id`, which no system is stated for."""
        return "id" in self.element_types and self.code != "_id"


def asked_parameter(definitions: Mapping[str, SearchParameter]) -> Asked:
    """The parameter that these definitions, by type, have in common; raises INVALID if they are of different kinds."""
    several = list(definitions.values())
    first = several[0]
    if len({(each.kind, each.components) for each in several}) > 1:
        names = ", ".join(sorted(definitions))
        raise Failure(
            Category.INVALID, f"parameter '{first.code}' means different things on {names}: search each alone"
        )
    branches = [branch for each in several for branch in each.branches]
    any_target = any(not each.targets for each in several)
    return Asked(
        code=first.code,
        kind=first.kind,
        targets=() if any_target else tuple(dict.fromkeys(target for each in several for target in each.targets)),
        element_types=frozenset(branch.type for branch in branches),
        code_systems=_implied(
            branch.element.binding for branch in branches if branch.element and branch.type == "code"
        ),
        components=first.components,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """One value as asked for, still escaped, and where it stood (from 1), for messages that never repeat it."""

    asked: Asked
    text: str
    position: int

    def refuse(self, rule: str) -> Failure:
        """The Failure for a value that breaks the rule."""
        return Failure(
            Category.INVALID,
            f"parameter '{self.asked.code}', value {self.position}: {rule}",
            code="value",
            expression=f"http.{self.asked.code}",
        )


def _implied(bindings: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(system for binding in bindings if binding for system in list_systems(binding)))
