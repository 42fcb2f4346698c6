"""What some datatypes demand beyond their tables: references, extensions, coded concepts, resources in resources."""

import re
from collections.abc import Callable, Iterator

from fhirmedia.r4.checker_findings import Findings
from fhirmedia.r4.code_lists import coding_test
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_types import Json, JsonObject
from fhirmedia.r4.other_releases import type_hint
from fhirmedia.r4.paths import Path

Visit = Callable[[Json, Path, Findings], None]
"""Looks at one value that is not a primitive and adds what is wrong."""

_RELATIVE = re.compile(r"([A-Za-z]{1,64})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?").fullmatch
_CONDITIONAL = re.compile(r"([A-Za-z]{1,64})\?\S+").fullmatch
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}:\S+").fullmatch


def reference_visit(plain: Visit, targets: tuple[str, ...]) -> Visit:
    """A Reference whose literal is `Type/id` of a permitted type, `#id` of a contained resource, or absolute.

    References page of R4. A search (`Patient?identifier=…`) is let through for a known type: transactions resolve it.
    What an absolute reference or a `urn:uuid:` points to cannot be told from its text.
    """
    permitted = frozenset(targets) or None

    def visit(value: Json, path: Path, findings: Findings) -> None:
        plain(value, path, findings)
        if type(value) is not dict:
            return
        named = value.get("type")
        if permitted and isinstance(named, str) and named in resource_types() and named not in permitted:
            findings.add("structure", f"must be one of {', '.join(targets)}", (path, "type", None))
        literal = value.get("reference")
        if type(literal) is not str:
            return
        where: Path = (path, "reference", None)
        if literal[:1] == "#":
            if literal[1:] and literal[1:] not in findings.local_ids:
                findings.add("invariant", "must name a contained resource by its id (ref-1)", where)
            return
        relative = _RELATIVE(literal) or _CONDITIONAL(literal)
        if relative is None:
            if not _ABSOLUTE(literal):
                findings.add("value", "must be Type/id, #id or an absolute URL", where)
        elif relative[1] not in resource_types():
            findings.add("value", "must name a resource type of FHIR R4", where)
        elif permitted and relative[1] not in permitted:
            findings.add("structure", f"must refer to one of {', '.join(targets)}", where)
        elif isinstance(named, str) and named in resource_types() and named != relative[1]:
            findings.add("structure", "must agree with the type of the reference", (path, "type", None))

    return visit


def extension_visit(plain: Visit, *, is_modifier: bool) -> Visit:
    """An Extension with either a value or extensions (ext-1); a modifier is refused, since none is known here."""

    def visit(value: Json, path: Path, findings: Findings) -> None:
        plain(value, path, findings)
        if is_modifier:
            findings.add("extension", "changes the meaning of its owner in a way unknown here and is refused", path)
        if type(value) is not dict:
            return
        has_value = any(name.startswith(("value", "_value")) for name in value)
        if has_value == ("extension" in value):
            findings.add("invariant", "must have either a value or extensions (ext-1)", path)

    return visit


def concept_visit(plain: Visit, binding: str) -> Visit:
    """A CodeableConcept of which one coding is of the required list; one that only has extensions says why not."""
    has = coding_test(binding)

    def visit(value: Json, path: Path, findings: Findings) -> None:
        plain(value, path, findings)
        if type(value) is not dict:
            return
        codings = value.get("coding")
        if codings is None and "extension" in value:
            return
        listed = codings if type(codings) is list else []
        if not any(type(one) is dict and has(one.get("system"), one.get("code")) for one in listed):
            findings.add("code-invalid", f"must have a coding of the required list {binding}", path)

    return visit


def resource_visit(visit_of_type: Callable[[str], Visit], *, is_contained: bool) -> Visit:
    """A resource of any type of R4, checked against its own table (dom-2 to dom-5 where it is contained)."""

    def visit(value: Json, path: Path, findings: Findings) -> None:
        if type(value) is not dict:
            findings.add("structure", "must be an object", path)
            return
        name = value.get("resourceType")
        if type(name) is not str or name not in resource_types():
            hint = type_hint(name) if type(name) is str else ""
            findings.add("structure", f"must be a resource type of FHIR R4{hint}", (path, "resourceType", None))
            return
        outer = (findings.local_ids, findings.resource)
        findings.resource = value
        if is_contained:
            _check_contained(value, path, findings)
        else:
            findings.local_ids = local_ids(value)
        visit_of_type(name)(value, path, findings)
        findings.local_ids, findings.resource = outer
        if not is_contained and "contained" in value:
            check_use_of_contained(value, path, findings)

    return visit


def local_ids(resource: JsonObject) -> frozenset[str]:
    """The ids of the contained resources."""
    contained = resource.get("contained")
    if type(contained) is not list:
        return frozenset()
    return frozenset(str(one["id"]) for one in contained if type(one) is dict and type(one.get("id")) is str)


def check_use_of_contained(resource: JsonObject, path: Path, findings: Findings) -> None:
    """Contained resources have ids of their own and are referred to, or refer to their container (dom-3)."""
    contained = resource["contained"]
    if type(contained) is not list:
        return
    named = {text[1:] for text in _local_references(resource)}
    seen: set[str] = set()
    for index, one in enumerate(contained):
        if type(one) is not dict:
            continue
        where: Path = (path, "contained", index)
        identity = one.get("id")
        if type(identity) is not str:
            findings.add("required", "must have an id", where)
        elif identity in seen:
            findings.add("invariant", "must have an id of its own", where)
        elif identity not in named and "#" not in _local_references(one):
            findings.add("invariant", "must be referred to by the resource that contains it (dom-3)", where)
        else:
            seen.add(identity)


def _check_contained(resource: JsonObject, path: Path, findings: Findings) -> None:
    if "contained" in resource:
        findings.add("invariant", "must not contain resources itself (dom-2)", path)
    meta = resource.get("meta")
    if type(meta) is not dict:
        return
    if "versionId" in meta or "lastUpdated" in meta:
        findings.add("invariant", "must have neither versionId nor lastUpdated (dom-4)", (path, "meta", None))
    if "security" in meta:
        findings.add("invariant", "must have no security labels of its own (dom-5)", (path, "meta", None))


def _local_references(value: Json) -> Iterator[str]:
    """Every text that begins with `#`, wherever it stands."""
    open_values: list[Json] = [value]
    while open_values:
        one = open_values.pop()
        if type(one) is dict:
            open_values.extend(one.values())
        elif type(one) is list:
            open_values.extend(one)
        elif type(one) is str and one[:1] == "#":
            yield one
