"""The strict check of a resource against R4's element tables: everything wrong with its structure, told at once.

Tables are turned into plans once per type; a plan is walked over the JSON, and paths become text only where something
is wrong. Nothing of what the client sent but names of elements gets into the findings.
"""

from contextlib import suppress

from fhirmedia.core.errors import Issue
from fhirmedia.r4.checker_findings import EnoughError, Findings
from fhirmedia.r4.checker_plans import visit_of_type
from fhirmedia.r4.checker_rules import resource_visit
from fhirmedia.r4.json_types import JsonObject


def check(resource: JsonObject, *, type: str) -> list[Issue]:
    """What R4 forbids about the structure of a resource that is to be of `type`; empty if it is sound.

    Elements, JSON types, cardinality, formats, choice types, required code lists, reference targets, extensions,
    narrative and contained resources are looked at. Each finding has an issue code and a FHIRPath expression; at most
    `checker_findings.ISSUES_MAX` are told. A type that R4 does not have is a finding, too.
    """
    findings = Findings()
    if resource.get("resourceType") != type:
        return [Issue("structure", f"{type}.resourceType must be {type}", f"{type}.resourceType")]
    with suppress(EnoughError):
        _visit_root(resource, (None, type, None), findings)
    return findings.issues


_visit_root = resource_visit(visit_of_type, is_contained=False)
