"""The files of `profiles/` that say what is served, read and joined; nothing is compiled here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.fhirpath import parse_union
from fhirmedia.r4.json_types import JsonObject

_OFFICIAL = "http://hl7.org/fhir/SearchParameter/"
_BASES = ("DomainResource", "Resource")
_OWN = "SearchParameter"  # type-name: the folder of our own definitions is called like what it holds

Paths = Mapping[str, Sequence[str]]
"""Paths below a resource, by its type; `*` stands for every type that is not named."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One search parameter of one type, as defined; `components` pairs the search type of a part with its path."""

    code: str
    kind: str
    url: str
    expression: str | None
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FactTable:
    """Where access facts stand, as `profiles/facts.json` says.

    `canonical` is the base of all URLs of ours. `directory` types have no unit; `definitions` are types that describe
    this server and say the same to everybody. `unit`, `encounter` and `authors` are paths by type, tried in order; what
    stands under `*` is tried on every type that has no entry. `about` are paths by type to Patients that a record
    concerns though R4 puts its type into no compartment. Authors of `patient_authors` types make a record the patient's
    own; `scopable` are codes of token parameters kept in the facts.
    """

    canonical: str
    owning_unit: str
    department_system: str
    source_system: str
    confidentiality_system: str
    directory: frozenset[str]
    definitions: frozenset[str]
    scopable: frozenset[str]
    about: Paths
    unit: Paths
    encounter: Paths
    authors: Paths
    patient_authors: frozenset[str]


@dataclass(frozen=True, slots=True)
class Switchboard:
    """The CapabilityStatement with what its entries stand for."""

    statement: JsonObject
    table: FactTable
    compartment: Mapping[str, tuple[str, ...]]
    system_interactions: frozenset[str]
    types: Mapping[str, Mapping[str, Any]]
    definitions: Mapping[str, Mapping[str, Definition]] = field(repr=False)

    def definition(self, type: str, code: str) -> Definition | None:
        """What a code means on a type: our definition or R4's, those of its bases included."""
        for owner in (type, *_BASES):
            found = self.definitions.get(owner, {}).get(code)
            if found is not None:
                return found
        return None


def refused(text: str, expression: str | None = None) -> Failure:
    """A Failure about `profiles/` itself, for whoever starts the program."""
    return Failure(Category.INVALID, text, expression=expression)


def read_switchboard(folder: Traversable) -> Switchboard:
    """Everything in a `profiles` folder that bears on what is served.

    Raises Failure INVALID for a type listed twice and for a definition of ours that takes the code of an official one.
    """
    statement = _read(folder, "CapabilityStatement-fhirmedia.json")
    server = statement["rest"][0]
    types: dict[str, Mapping[str, Any]] = {}
    for entry in server["resource"]:
        if entry["type"] in types:
            raise refused(f"The switchboard lists {entry['type']} twice.", "CapabilityStatement.rest.resource")
        types[entry["type"]] = entry
    return Switchboard(
        statement=statement,
        table=_facts(_read(folder, "facts.json")),
        compartment={kind: tuple(codes) for kind, codes in _read(folder, "r4", "compartment-patient.json").items()},
        system_interactions=frozenset(entry["code"] for entry in server.get("interaction", ())),
        types=types,
        definitions=_definitions(folder, types),
    )


def _read(folder: Traversable, *names: str) -> dict[str, Any]:
    for name in names:
        folder = folder / name
    content: dict[str, Any] = json.loads(folder.read_text("utf-8"))
    return content


def _facts(content: Mapping[str, Any]) -> FactTable:
    return FactTable(
        canonical=content["canonical"],
        owning_unit=content["owningUnit"],
        department_system=content["departmentSystem"],
        source_system=content["sourceSystem"],
        confidentiality_system=content["confidentialitySystem"],
        directory=frozenset(content["directory"]),
        definitions=frozenset(content["definitions"]),
        scopable=frozenset(content["scopable"]),
        about=content["about"],
        unit=content["unit"],
        encounter=content["encounter"],
        authors=content["authors"],
        patient_authors=frozenset(content["patientAuthors"]),
    )


def _definitions(folder: Traversable, types: Mapping[str, Any]) -> dict[str, dict[str, Definition]]:
    official = _read(folder, "r4", "search-parameters.json")
    known = {
        kind: {code: _official(code, entry) for code, entry in official.get(kind, {}).items()}
        for kind in (*types, *_BASES)
    }
    for file in sorted((folder / _OWN).iterdir(), key=lambda file: file.name):
        for kind, definition in own_definitions(json.loads(file.read_text("utf-8"))):
            if any(definition.code in known.get(owner, {}) for owner in (kind, *_BASES)):
                raise refused(
                    f"The SearchParameter {file.name} takes the code {definition.code}, which {kind} already has.",
                    "SearchParameter.code",
                )
            known.setdefault(kind, {})[definition.code] = definition
    return known


def _official(code: str, entry: Mapping[str, Any]) -> Definition:
    return Definition(
        code=code,
        kind=entry["type"],
        url=_OFFICIAL + entry["id"],
        expression=entry.get("expression"),
        targets=tuple(entry.get("targets", ())),
        components=tuple((part["type"], part["expression"]) for part in entry.get("components", ())),
    )


def own_definitions(resource: Mapping[str, Any]) -> Iterator[tuple[str, Definition]]:
    """One definition per base type, its expression cut down to the branches of that type."""
    parts = parse_union(resource["expression"]) if "expression" in resource else ()
    for kind in resource["base"]:
        own = " | ".join(str(part) for part in parts if part.head == kind)
        yield (
            kind,
            Definition(
                code=resource["code"],
                kind=resource["type"],
                url=resource["url"],
                expression=own or None,
                targets=tuple(resource.get("target", ())),
            ),
        )
