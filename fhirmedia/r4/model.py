"""A second opinion on a checked resource from fhir.resources, whose only home this is.

fhir.resources has no models of R4; those of R4B come closest. The checker knows R4 and decides; where R4B forbids what
R4 permits, `profiles/r4/model-exceptions.json` says so with the reason. There too stand the types whose model demands
nothing that the element tables do not demand; a test shows it, element by element. They need no second opinion, which
would cost more than all else about a write. Models are imported when first needed.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from fhirmedia.core.errors import Issue
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.paths import Path, sayable, written
from fhirmedia.r4.profiles_path import profiles

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


@dataclass(frozen=True, slots=True)
class _Exceptions:
    """`types` without a model of R4, types `covered` by the checker, and errors of the model that are none.

    The latter are kind, element's name, only extended.
    """

    types: frozenset[str]
    covered: frozenset[str]
    errors: tuple[tuple[str, re.Pattern[str], bool], ...]


_RULES = {"missing": "is required", "extra_forbidden": "is not an element of its type"}


def covered_types() -> frozenset[str]:
    """The types whose model refuses nothing that the checker lets through."""
    return _exceptions().covered


def needs_model(resource: JsonObject, *, type: str) -> bool:
    """Whether the model could refuse a resource that `checker.check` found sound: it or what it contains decides."""
    known = _exceptions()
    if type not in known.covered:
        return type not in known.types
    contained = resource.get("contained")
    return isinstance(contained, list) and not all(
        isinstance(one, dict) and one.get("resourceType") in known.covered | known.types for one in contained
    )


def check_model(resource: JsonObject, *, type: str) -> list[Issue]:
    """What the R4B model refuses about a resource that `checker.check` found sound; empty if nothing.

    No text holds anything that was sent. Types without a model, and envelopes, give an empty list.
    """
    if type in _exceptions().types:
        return []
    model, refusal = _model(type)
    try:
        model.model_validate(_without_changed(resource))
    except refusal as refused:
        errors = refused.errors(include_url=False, include_context=False, include_input=False)
        told = [(error["type"], error["loc"]) for error in errors]
        return [_issue(kind, steps, type) for kind, steps in told if not _is_exception(kind, steps, resource)]
    return []


@cache
def _exceptions() -> _Exceptions:
    facts: dict[str, Any] = json.loads(profiles().joinpath("r4", "model-exceptions.json").read_text("utf-8"))
    return _Exceptions(
        types=frozenset(row["type"] for row in facts["types"]),
        covered=frozenset(facts["covered"]),
        errors=tuple((row["error"], re.compile(row["name"]), row["onlyExtended"]) for row in facts["errors"]),
    )


@cache
def _model(name: str) -> "tuple[type[BaseModel], type[ValidationError]]":
    """The model of a type and what it raises."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    return get_fhir_model_class(name), ValidationError


def _without_changed(resource: JsonObject) -> JsonObject:
    """The resource with a stand-in for each contained resource that R4B has no model of."""
    contained = resource.get("contained")
    if not isinstance(contained, list):
        return resource
    # type-name: the smallest resource of all, so that what follows keeps its place in the array
    stand_in: JsonObject = {"resourceType": "Basic", "code": {"text": "of a type without a model"}}
    unknown = _exceptions().types
    return {
        **resource,
        "contained": [
            stand_in if isinstance(one, dict) and one.get("resourceType") in unknown else one for one in contained
        ],
    }


def _is_exception(kind: str, steps: tuple[int | str, ...], resource: JsonObject) -> bool:
    name = next((step for step in reversed(steps) if isinstance(step, str)), "")
    return any(
        kind == error and pattern.fullmatch(name) and (not only_extended or _has_only_extensions(resource, steps))
        for error, pattern, only_extended in _exceptions().errors
    )


def _has_only_extensions(resource: JsonObject, steps: tuple[int | str, ...]) -> bool:
    """Whether the object at the path has a `_name` without its `name`."""
    node: Json = resource
    for step in steps:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
    return isinstance(node, dict) and any(name[:1] == "_" and name[1:] not in node for name in node)


def _issue(kind: str, steps: tuple[int | str, ...], type: str) -> Issue:
    path: Path = (None, type, None)
    for step in steps:
        if isinstance(step, int):
            path = (path[0], path[1], step)
        elif sayable(step) is None:
            break
        else:
            path = (path, step, None)
    rule = _RULES.get(kind, "does not fit its datatype")
    return Issue("required" if kind == "missing" else "structure", f"{written(path)} {rule}", written(path))
