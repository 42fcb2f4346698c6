"""Definitions as resources: what `profiles/` holds of our own, and what of R4 the served types rest on.

Of an official SearchParameter or CompartmentDefinition the facts are told, under its own address: no prose of the
standard is repeated.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any

from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import BUILT_IN, Registry

R4_VERSION = "4.0.1"
R4_DATE = "2019-11-01"
_CANONICAL = "http://hl7.org/fhir"
_SEARCH_PARAMETER = "SearchParameter"  # type-name: R4 keeps them as a table of ours, not as a file each
_COMPARTMENT = "CompartmentDefinition"  # type-name: R4 keeps it as a table of ours, not as a file
_COMPARTMENT_OF = "Patient"  # type-name: the one compartment that is kept


def definition_types(registry: Registry) -> tuple[str, ...]:
    """The served types whose resources are definitions."""
    return tuple(name for name, served in registry.types.items() if served.definition)


def definitions(registry: Registry, folder: Traversable | None = None) -> Iterator[JsonObject]:
    """Every definition of the served types, with its id, from a `profiles` folder (the program's own by default)."""
    held = profiles() if folder is None else folder
    served = definition_types(registry)
    for kind in served:
        yield from _files(held / kind)
    if _SEARCH_PARAMETER in served:
        yield from registry.added
        yield from _official_parameters(registry, _table(held, "search-parameters.json"))
    if _COMPARTMENT in served:
        yield _official_compartment(_table(held, "compartment-patient.json"))


def _files(folder: Traversable) -> Iterator[JsonObject]:
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            yield parse_json(file.read_bytes())


def _table(folder: Traversable, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "r4" / name).read_text("utf-8"))
    return content


def _official_parameters(registry: Registry, facts: Mapping[str, Mapping[str, Any]]) -> Iterator[JsonObject]:
    """Those that served types are searched by, each with all its bases; the parts of composites among them."""
    url = f"{_CANONICAL}/{_SEARCH_PARAMETER}/"
    stated = {each.url for served in registry.types.values() for each in served.parameters.values()}
    stated |= {url + BUILT_IN[code] for served in registry.types.values() for code in served.words}
    bases: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = {}
    for kind, by_code in facts.items():
        for code, entry in by_code.items():
            bases.setdefault(entry["id"], {})[kind] = (code, entry)
    wanted = [identity for identity in bases if url + identity in stated]
    parts = {part["id"] for each in wanted for _, entry in bases[each].values() for part in entry.get("components", ())}
    for identity in dict.fromkeys([*wanted, *sorted(parts)]):
        yield _official_parameter(identity, bases[identity], url=url)


def _official_parameter(identity: str, by_type: Mapping[str, tuple[str, Mapping[str, Any]]], *, url: str) -> JsonObject:
    code, first = next(iter(by_type.values()))
    ways = (entry["expression"] for _, entry in by_type.values() if "expression" in entry)
    targets = sorted({target for _, entry in by_type.values() for target in entry.get("targets", ())})
    resource: dict[str, Any] = {
        "resourceType": _SEARCH_PARAMETER,
        "id": identity,
        "url": url + identity,
        "version": R4_VERSION,
        "name": code,
        "status": "draft",
        "date": R4_DATE,
        "description": f"The search parameter {code} as FHIR R4 defines it.",
        "code": code,
        "base": list(by_type),
        "type": first["type"],
        "expression": " | ".join(dict.fromkeys(ways)),
        "xpathUsage": "normal",
        "target": targets,
        "component": [
            {"definition": url + part["id"], "expression": part["expression"]} for part in first.get("components", ())
        ],
    }
    return {name: value for name, value in resource.items() if value}


def _official_compartment(facts: Mapping[str, list[str]]) -> JsonObject:
    identity = _COMPARTMENT_OF.lower()
    members: list[Any] = [{"code": kind, "param": codes} if codes else {"code": kind} for kind, codes in facts.items()]
    return {
        "resourceType": _COMPARTMENT,
        "id": identity,
        "url": f"{_CANONICAL}/{_COMPARTMENT}/{identity}",
        "version": R4_VERSION,
        "name": _COMPARTMENT_OF,
        "status": "draft",
        "date": R4_DATE,
        "publisher": "HL7",
        "description": "What is about one patient, as FHIR R4 defines it.",
        "code": _COMPARTMENT_OF,
        "search": True,
        "resource": members,
    }
