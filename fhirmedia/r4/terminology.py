"""The code lists and hierarchies of `profiles/`: what a ValueSet holds, what lies below and above a code.

R4's own are the lists it binds as required, where their codes can be named one by one. Nothing is asked of anybody
else: a ValueSet or a hierarchy that does not stand there is unknown.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from fhirmedia.r4.profiles_path import profiles

Coded = tuple[str, str]
"""System and code."""

_SYSTEMS, _SETS = "CodeSystem", "ValueSet"  # type-name: the folders of definitions are called like what they hold
_OF_R4, _OF_V3 = "http://hl7.org/fhir/ValueSet", "http://terminology.hl7.org/ValueSet"


@dataclass(frozen=True, slots=True)
class Terminology:
    """`members` by canonical URL of a ValueSet, in its order; `parents` of each code that stands in a hierarchy."""

    members: Mapping[str, tuple[Coded, ...]]
    parents: Mapping[Coded, tuple[Coded, ...]]
    children: Mapping[Coded, tuple[Coded, ...]] = field(repr=False)

    def set_of(self, canonical: str) -> tuple[Coded, ...] | None:
        """The codes of a ValueSet by its URL (a `|version` is ignored) or as `ValueSet/id`; None if it is unknown."""
        return self.members.get(canonical.partition("|")[0])

    def below(self, code: str, *, system: str | None) -> tuple[Coded, ...]:
        """The code itself and what lies below it, for each hierarchy that has it; empty where none has."""
        return self._reach(code, system, self.children)

    def above(self, code: str, *, system: str | None) -> tuple[Coded, ...]:
        """The code itself and what lies above it, for each hierarchy that has it; empty where none has."""
        return self._reach(code, system, self.parents)

    def _reach(self, code: str, system: str | None, steps: Mapping[Coded, tuple[Coded, ...]]) -> tuple[Coded, ...]:
        folded = code.casefold()
        reached = dict.fromkeys(
            each for each in self.parents if each[1].casefold() == folded and system in (None, each[0])
        )
        for each in (waiting := list(reached)):
            for step in steps.get(each, ()):
                if step not in reached:
                    reached[step] = None
                    waiting.append(step)
        return tuple(reached)


@cache
def terminology() -> Terminology:
    """That of the program's own `profiles`."""
    return read_terminology(profiles())


def read_terminology(folder: Traversable) -> Terminology:
    """What the CodeSystems and ValueSets of a `profiles` folder say."""
    parents: dict[Coded, tuple[Coded, ...]] = {}
    codes: dict[str, list[Coded]] = {}
    for system in _files(folder, _SYSTEMS):
        url = system.get("supplements", system["url"])
        for coded, above in _concepts(system.get("concept", ()), url, ()):
            parents[coded] = above
            codes.setdefault(url, []).append(coded)
    members = dict(_required(folder))
    for listed in _files(folder, _SETS):
        found = tuple(each for part in listed["compose"]["include"] for each in _included(part, codes))
        members[listed["url"]] = members[f"{_SETS}/{listed['id']}"] = found
    children: dict[Coded, list[Coded]] = {}
    for coded, above in parents.items():
        for each in above:
            children.setdefault(each, []).append(coded)
    return Terminology(
        MappingProxyType(members),
        MappingProxyType(parents),
        MappingProxyType({coded: tuple(each) for coded, each in children.items()}),
    )


def _files(folder: Traversable, kind: str) -> Iterator[dict[str, Any]]:
    held = folder / kind
    if held.is_dir():
        for file in sorted(held.iterdir(), key=lambda file: file.name):
            yield json.loads(file.read_text("utf-8"))


def _required(folder: Traversable) -> Iterator[tuple[str, tuple[Coded, ...]]]:
    """R4's lists by the URL of their ValueSet."""
    held = folder / "r4" / "codes"
    for file in sorted(held.iterdir(), key=lambda file: file.name) if held.is_dir() else ():
        name = file.name.removesuffix(".json")
        facts = json.loads(file.read_text("utf-8"))
        if "pattern" not in facts and None not in facts["systems"].values():
            codes = tuple((system, code) for system, listed in facts["systems"].items() for code in listed)
            yield f"{_OF_V3 if name.startswith('v3-') else _OF_R4}/{name}", codes


def _concepts(concepts: Any, system: str, above: tuple[Coded, ...]) -> Iterator[tuple[Coded, tuple[Coded, ...]]]:
    for concept in concepts:
        coded = (system, concept["code"])
        yield coded, above
        yield from _concepts(concept.get("concept", ()), system, (coded,))


def _included(part: Mapping[str, Any], codes: Mapping[str, list[Coded]]) -> list[Coded]:
    if "concept" in part:
        return [(part["system"], concept["code"]) for concept in part["concept"]]
    return codes.get(part["system"], [])
