"""A second opinion on a checked resource from fhir.resources, whose only home this is.

fhir.resources has no models of R4; those of R4B come closest. The checker knows R4 and decides; where R4B forbids what
R4 permits, the exception stands below with its reason. Models are imported per type when first needed.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fhirmedia.core.errors import Issue
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.paths import Path, sayable, written

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_OWN_RESOURCES = frozenset(("Bundle", "Parameters"))
"""Envelopes: the checker looks at them; what they hold is checked as resources of their own."""

_CHANGED = frozenset(
    (
        "EffectEvidenceSynthesis",
        "Evidence",
        "EvidenceVariable",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "RiskEvidenceSynthesis",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
    )
)
"""R4B removed these types or made others of them, so its models say nothing about R4."""


@dataclass(frozen=True, slots=True)
class _Exception:
    """What R4B's model wrongly refuses: an error of pydantic at an element's name, and why R4 permits it."""

    error: str
    name: str
    only_extended: bool
    reason: str


_EXCEPTIONS = (
    _Exception(
        "extra_forbidden",
        "(?:value|fixed|pattern|defaultValue)Meta",
        only_extended=False,
        reason="R4 lets an open choice be a Meta; R4B took that type out of the choice.",
    ),
    _Exception(
        "extra_forbidden",
        "_value[A-Z][A-Za-z0-9]*",
        only_extended=False,
        reason="The model of Extension has no place for the extensions of a primitive value.",
    ),
    _Exception(
        "value_error",
        "[A-Za-z]*",
        only_extended=True,
        reason="To the model a mandatory choice is missing where only its extensions are given.",
    ),
)

_RULES = {"missing": "is required", "extra_forbidden": "is not an element of its type"}


def check_model(resource: JsonObject, *, type: str) -> list[Issue]:
    """What the R4B model refuses about a resource that `checker.check` found sound; empty if nothing.

    No text holds anything that was sent. Types without a model, and envelopes, give an empty list.
    """
    if type in _CHANGED or type in _OWN_RESOURCES:
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
    stand_in: JsonObject = {"resourceType": "Basic", "code": {"text": "of a type without a model"}}
    return {
        **resource,
        "contained": [
            stand_in if isinstance(one, dict) and one.get("resourceType") in _CHANGED else one for one in contained
        ],
    }


def _is_exception(kind: str, steps: tuple[int | str, ...], resource: JsonObject) -> bool:
    name = next((step for step in reversed(steps) if isinstance(step, str)), "")
    return any(
        kind == exception.error
        and re.fullmatch(exception.name, name) is not None
        and (not exception.only_extended or _has_only_extensions(resource, steps))
        for exception in _EXCEPTIONS
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
