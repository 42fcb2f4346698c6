"""Registry: what `profiles/` says about the types we serve, checked once at start and then only asked.

The switchboard `profiles/CapabilityStatement-fhirmedia.json` lists types, interactions and search parameters; the
meaning of each parameter comes from the R4 definitions in `profiles/r4/` or from our own in
`profiles/SearchParameter/`. Whatever cannot be served as written stops the start with a sentence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.r4.conversions import Conversions
from fhirmedia.r4.elements import resource_types, table
from fhirmedia.r4.expressions import Branch, compile_expression, inside
from fhirmedia.r4.invariants import require_invariants
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.profile_rules import own_profiles
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.switchboard import Definition, FactTable, Paths, Switchboard, read_switchboard, refused
from fhirmedia.r4.texts import CONTENT, NARRATIVE, worded

Kind = Literal["token", "date", "reference", "string", "uri", "number", "quantity", "composite", "special"]
"""The search parameter types of R4."""

_KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind)}

COMMON = ("_id", "_lastUpdated", "_tag", "_profile", "_security", "_source")
"""Parameters of every type that are indexed whether advertised or not."""

BUILT_IN = {NARRATIVE: "DomainResource-text", CONTENT: "Resource-content"}
"""Parameters R4 gives no expression: they look at words that every resource has; with the ids of their definitions."""

LEFT_OUT = {
    "phonetic": "a sound is not kept, and R4 leaves open which algorithm it would be",
    "near": "places have no distance here",
}
"""Codes of R4 that have an expression and are yet not served, with the reason."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite; its values are kept under `parameter` (`code-value-quantity$1`), grouped."""

    parameter: str
    kind: Kind
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter of one concrete type.

    `expression` holds this type's own branches only, joined by ` | `; `targets` are the types a reference may point
    to (empty: any); `scopable` ones may stand in the query part of a SMART scope. `branches` is the compiled form; of a
    composite it yields the repetitions in which the components meet.
    """

    code: str
    kind: Kind
    url: str
    expression: str
    targets: tuple[str, ...] = ()
    scopable: bool = False
    components: tuple[Component, ...] = ()
    branches: tuple[Branch, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FactRules:
    """Where the facts of a type stand in its body, compiled; each branch yields a Reference."""

    about: tuple[Branch, ...] = ()
    unit: tuple[Branch, ...] = ()
    encounter: tuple[Branch, ...] = ()
    authors: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedType:
    """One served type.

    `parameters` are the advertised ones by code; `indexed` are those and the common ones, which are kept in the index
    in any case; `words` are those of BUILT_IN it has. `directory` types have no owning unit; `definition` types
    describe the server. `membership` are the parameters by which the R4 compartment definition puts a resource into a
    Patient's compartment, advertised or not.
    """

    name: str
    interactions: frozenset[str]
    parameters: Mapping[str, SearchParameter]
    indexed: Mapping[str, SearchParameter] = field(repr=False)
    directory: bool = False
    definition: bool = False
    words: frozenset[str] = frozenset()
    membership: tuple[SearchParameter, ...] = ()
    update_create: bool = False
    operations: frozenset[str] = frozenset()
    facts: FactRules = field(default=FactRules(), repr=False)

    @property
    def compartment(self) -> tuple[str, ...]:
        """The codes of the membership parameters, as the compartment definition names them."""
        return tuple(parameter.code for parameter in self.membership)

    @property
    def read_only(self) -> bool:
        """Whether no client can create, change or delete one."""
        return self.interactions.isdisjoint({"create", "update", "patch", "delete"})


@dataclass(slots=True)
class Registry:
    """All served types. `statement` is the switchboard as written; `table` holds the facts of `profiles/facts.json`.

    `added` are the SearchParameters of this installation by which can be searched, `waiting` the codes by type of those
    that are still being indexed (`r4.added`). Both and `types` change while the program runs: ask each time.
    """

    types: Mapping[str, ServedType]
    system_interactions: frozenset[str]
    statement: JsonObject = field(repr=False)
    table: FactTable = field(repr=False)
    added: tuple[JsonObject, ...] = ()
    waiting: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def take_over(self, other: "Registry") -> None:
        """Say from now on what another Registry of the same program says."""
        self.types, self.waiting, self.added = other.types, other.waiting, other.added

    def stated(self, type: str) -> Iterator[Mapping[str, str]]:
        """The entries `searchParam` of a served type, in the order of the statement, then those that were added."""
        server: Any = self.statement["rest"]
        listed = next(each for each in server[0]["resource"] if each["type"] == type).get("searchParam", ())
        yield from listed
        names = {each["name"] for each in listed}
        for parameter in self.types[type].parameters.values():
            if parameter.code not in names:
                yield {"name": parameter.code, "definition": parameter.url, "type": parameter.kind}

    def served(self, type: str) -> ServedType:
        """The type; raises NOT_FOUND with issue code `not-supported` if it is not served."""
        found = self.types.get(type)
        if found is None:
            raise Failure(Category.NOT_FOUND, "This server does not serve that resource type.", code="not-supported")
        return found

    def require(self, type: str, interaction: str) -> ServedType:
        """The type, if its interaction (an R4 code as `search-type`) is served; raises NOT_FOUND, NOT_ALLOWED."""
        found = self.served(type)
        if interaction not in found.interactions:
            raise Failure(Category.NOT_ALLOWED, f"{found.name} does not support the interaction {interaction}.")
        return found

    def require_operation(self, type: str, name: str) -> ServedType:
        """The type, if the operation (its name without `$`) is served on it; raises NOT_FOUND, NOT_ALLOWED."""
        found = self.served(type)
        if name not in found.operations:
            raise Failure(Category.NOT_ALLOWED, f"{found.name} does not support the operation {name}.")
        return found

    def parameter(self, type: str, code: str) -> SearchParameter | None:
        """An advertised parameter of a served type, or None."""
        found = self.types.get(type)
        return None if found is None else found.parameters.get(code)


def load_registry(folder: Traversable | None = None) -> Registry:
    """The Registry of a `profiles` folder (the program's own by default).

    Raises Failure INVALID naming the entry: a type R4 or the compartment definition does not have, a parameter without
    definition or expression, an expression or constraint outside the compiled subset, a code of ours that hides an
    official one, a profile of ours that cannot be held.
    """
    board = read_switchboard(profiles() if folder is None else folder)
    types = {name: _served_type(name, board) for name in board.types}
    for served in types.values():
        try_conversions(served)
    require_invariants(types)
    own_profiles()
    return Registry(
        types=MappingProxyType(types),
        system_interactions=board.system_interactions,
        statement=board.statement,
        table=board.table,
    )


def _served_type(name: str, board: Switchboard) -> ServedType:
    entry = board.types[name]
    where = f"CapabilityStatement.rest.resource.where(type = '{name}')"
    if name not in resource_types():
        raise refused(f"The switchboard lists {name}, which is no resource type of FHIR R4.", where)
    if name not in board.compartment:
        raise refused(f"The patient compartment definition does not say whether it holds {name}.", where)
    parameters: dict[str, SearchParameter] = {}
    for listed in entry.get("searchParam", ()):
        if listed["name"] in BUILT_IN:
            continue
        found = _parameter(name, listed["name"], board)
        if (found.url, found.kind) != (listed.get("definition"), listed["type"]):
            raise refused(f"The switchboard names {listed['name']} of {name} with another definition or type.", where)
        parameters[found.code] = found
    return ServedType(
        name=name,
        interactions=frozenset(interaction["code"] for interaction in entry["interaction"]),
        parameters=MappingProxyType(parameters),
        indexed=MappingProxyType({**{code: _parameter(name, code, board) for code in COMMON}, **parameters}),
        directory=name in board.table.directory,
        definition=name in board.table.definitions,
        words=frozenset(listed["name"] for listed in entry.get("searchParam", ()) if listed["name"] in BUILT_IN),
        membership=tuple(_parameter(name, code, board) for code in board.compartment[name]),
        update_create=entry.get("updateCreate", False),
        operations=frozenset(operation["name"] for operation in entry.get("operation", ())),
        facts=_fact_rules(name, board.table),
    )


def try_conversions(served: ServedType) -> None:
    """Raises Failure INVALID where a parameter finds values its search type cannot be made of."""
    conversions = Conversions(base_url="", zone=ZoneInfo("UTC"), language=DEFAULT_LANGUAGE)
    for parameter in (*served.indexed.values(), *served.membership):
        for branch in parameter.branches:
            if parameter.kind == "special":
                if worded(branch.type) is None:
                    text = f"The search parameter {parameter.code} is made of words, and {branch.type} has none."
                    raise refused(text, "SearchParameter.expression")
            elif parameter.kind != "composite":
                conversions.run(parameter.kind, branch)
            for part in parameter.components:
                for way in compile_expression(part.expression, inside(branch)):
                    conversions.run(part.kind, way)


def _parameter(type: str, code: str, board: Switchboard) -> SearchParameter:
    definition = board.definition(type, code)
    if definition is None:
        raise refused(f"There is no definition of a search parameter {code} on {type}.", "SearchParameter.code")
    if definition.expression is None or definition.kind not in _KINDS:
        raise refused(f"The search parameter {code} has no expression for {type}.", "SearchParameter.expression")
    return compiled(type, definition, scopable=definition.kind == "token" and code in board.table.scopable)


def compiled(type: str, definition: Definition, *, scopable: bool = False) -> SearchParameter:
    """A definition as a parameter of one type. Raises Failure INVALID where it has no expression that can be served."""
    code = definition.code
    branches = compile_expression(definition.expression, table(type)) if definition.expression else ()
    if not branches:
        raise refused(f"The search parameter {code} has no expression for {type}.", "SearchParameter.expression")
    return SearchParameter(
        code=code,
        kind=_KINDS[definition.kind],
        url=definition.url,
        expression=definition.expression or "",
        targets=_targets(definition.targets, branches),
        scopable=scopable,
        components=tuple(
            Component(parameter=f"{code}${number}", kind=_KINDS[kind], expression=expression)
            for number, (kind, expression) in enumerate(definition.components, start=1)
        ),
        branches=branches,
    )


def _targets(published: tuple[str, ...], branches: tuple[Branch, ...]) -> tuple[str, ...]:
    """Of the types a definition names for all its bases, those that the elements of this type may refer to."""
    each = [branch.element.targets if branch.element is not None else () for branch in branches]
    allowed = {target for targets in each for target in targets}
    kept = tuple(target for target in published if target in allowed)
    return kept if kept and all(each) else published


def _fact_rules(type: str, facts: FactTable) -> FactRules:
    """The paths of the fact table for this type; those that stand for every type count where the type has them.

    Raises Failure INVALID for a path under the name of a type that leads to no Reference of it.
    """
    return FactRules(
        about=_references(type, facts.about),
        unit=_references(type, facts.unit),
        encounter=_references(type, facts.encounter),
        authors=_references(type, facts.authors),
    )


def _references(type: str, paths: Paths) -> tuple[Branch, ...]:
    own = paths.get(type)
    branches: list[Branch] = []
    for path in paths.get("*", ()) if own is None else own:
        found = _reference(type, path)
        if own is not None and not found:
            raise refused(f"The fact table names {path} of {type}, which is no Reference of that type.")
        branches.extend(found)
    return tuple(branches)


def _reference(type: str, path: str) -> tuple[Branch, ...]:
    """The ways of a path to References of a type; none where the type has no such element, or it is none."""
    owner = table(type)
    if path.partition(".")[0] not in owner.elements:
        return ()
    try:
        branches = compile_expression(path, owner)
    except Failure:
        return ()
    return tuple(branch for branch in branches if branch.type == "Reference")
