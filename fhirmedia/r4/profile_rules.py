"""Our own profiles of `profiles/StructureDefinition`, compiled at start: what a resource that claims one must satisfy.

Of a differential these are held: `min` 1 and `max` 0 of elements, the types a Reference may point to, and constraints
in the compiled subset. A profile that states anything else is refused, so that none is served and not held.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.r4.constraints import Holds, compile_constraint
from fhirmedia.r4.elements import ElementTable, element_table, resource_types, table
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.paths import Path, written
from fhirmedia.r4.profiles_path import profiles

_FOLDER = "StructureDefinition"  # type-name: the folder of our own profiles is called like what it holds
_DESCRIBING = frozenset(("id", "path", "short", "definition", "comment", "mustSupport"))
_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule on each object found at `names` below the resource; `rule` ends a sentence that begins with it."""

    names: tuple[str, ...]
    rule: str
    code: str
    severity: str
    holds: Holds


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile by its canonical URL, for resources of one type."""

    url: str
    type: str
    rules: tuple[_Rule, ...]

    def issues(self, resource: JsonObject) -> list[Issue]:
        """What a sound resource of the type breaks, warnings included."""
        found = []
        for rule in self.rules:
            for node, path in _nodes(resource, (None, self.type, None), rule.names):
                if not rule.holds(node, resource):
                    text = f"{written(path)} {rule.rule}"
                    found.append(Issue(rule.code, text, written(path), rule.severity))
        return found


@cache
def own_profiles() -> Mapping[str, Profile]:
    """Every profile of ours on a resource type, by URL. Raises Failure INVALID for one that cannot be held."""
    files = sorted((profiles() / _FOLDER).iterdir(), key=lambda file: file.name)
    definitions = (json.loads(file.read_text("utf-8")) for file in files)
    return MappingProxyType(
        {each["url"]: compile_profile(each) for each in definitions if each["type"] in resource_types()}
    )


def claimed_issues(resource: JsonObject, *, type: str) -> list[Issue]:
    """What a sound resource breaks of the profiles of ours that its meta claims; those of others are not looked at."""
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    issues: list[Issue] = []
    for index, url in enumerate(claimed if isinstance(claimed, list) else []):
        profile = own_profiles().get(str(url).partition("|")[0])
        if profile is None:
            continue
        if profile.type != type:
            path = f"{type}.meta.profile[{index}]"
            issues.append(Issue("invariant", f"{path} is a profile of {profile.type}", path))
        else:
            issues.extend(profile.issues(resource))
    return issues


def compile_profile(definition: Mapping[str, Any]) -> Profile:
    """A StructureDefinition with a differential. Raises Failure INVALID for what cannot be held."""
    rules = [rule for element in definition["differential"]["element"] for rule in _rules(element, definition["type"])]
    return Profile(definition["url"], definition["type"], tuple(rules))


def _rules(element: Mapping[str, Any], type: str) -> Iterator[_Rule]:
    odd = element.keys() - _DESCRIBING - {"min", "max", "type", "constraint"}
    first, *names = element["path"].split(".")
    if odd or first != type:
        raise _refused(f"states {', '.join(sorted(odd)) or 'a path of another type'}")
    if names:
        yield from _cardinality(element, type, names=tuple(names))
    for declared in element.get("type", ()):
        if declared["code"] != "Reference":  # type-name: the datatype
            raise _refused("restricts a type that is not Reference")
        yield _targets(declared, names=tuple(names))
    for constraint in element.get("constraint", ()):
        holds = compile_constraint(constraint["expression"], _table(type, tuple(names)), root=table(type))
        told = f"must satisfy {constraint['key']}: {constraint['human']}"
        yield _Rule(tuple(names), told, "invariant", constraint["severity"], holds)


def _cardinality(element: Mapping[str, Any], type: str, *, names: tuple[str, ...]) -> Iterator[_Rule]:
    *above, name = names
    name = name.removesuffix("[x]")
    owner = _table(type, tuple(above))
    for wanted, word, test in ((1, "must have", "exists"), (0, "must not have", "empty")):
        stated = element.get("min", 0) == 1 if wanted else element.get("max") == "0"
        if stated:
            holds = compile_constraint(f"{name}.{test}()", owner)
            yield _Rule(tuple(above), f"{word} {name} by its profile", "required", "error", holds)
    if element.get("min", 0) not in (0, 1) or element.get("max", "1") not in ("0", "1", "*"):
        raise _refused("states a cardinality other than 0, 1 and *")


def _targets(declared: Mapping[str, Any], *, names: tuple[str, ...]) -> _Rule:
    targets = tuple(url.removeprefix(_CANONICAL) for url in declared["targetProfile"])

    def holds(node: JsonObject, _resource: JsonObject) -> bool:
        return _target_type(node) in (None, *targets)

    return _Rule(names, f"must refer to one of {', '.join(targets)} by its profile", "structure", "error", holds)


def _target_type(reference: JsonObject) -> str | None:
    """The type a Reference names, by its text or its `type`; None where neither tells."""
    text, named = reference.get("reference"), reference.get("type")
    steps = str(text).partition("/_history/")[0].split("/") if isinstance(text, str) else []
    if len(steps) > 1 and steps[-2] in resource_types():
        return steps[-2]
    return named if isinstance(named, str) else None


def _table(type: str, names: tuple[str, ...]) -> ElementTable:
    owner = table(type)
    for name in names:
        element = owner.elements.get(name)
        inner = None if element is None else element_table(element)
        if inner is None:
            raise _refused("names an element its type does not have")
        owner = inner
    return owner


def _nodes(node: JsonObject, path: Path, names: tuple[str, ...]) -> Iterator[tuple[JsonObject, Path]]:
    if not names:
        yield node, path
        return
    found: Json = node.get(names[0])
    if isinstance(found, dict):
        yield from _nodes(found, (path, names[0], None), names[1:])
    elif isinstance(found, list):
        for index, one in enumerate(found):
            if isinstance(one, dict):
                yield from _nodes(one, (path, names[0], index), names[1:])


def _refused(what: str) -> Failure:
    return Failure(Category.INVALID, f"A profile {what}, which cannot be held.", expression=_FOLDER)
