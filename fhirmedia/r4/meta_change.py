"""Profiles, tags and security labels added to a resource, or taken away (FHIR R4, $meta-add and $meta-delete)."""

from collections.abc import Callable
from dataclasses import dataclass

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.checker import check
from fhirmedia.r4.json_patch import copied
from fhirmedia.r4.json_types import Json, JsonArray, JsonObject

PARAMETERS = "Parameters"  # type-name: the envelope of operations
_LISTS = ("profile", "security", "tag")


@dataclass(frozen=True, slots=True)
class MetaChange:
    """A change of a resource's meta; what `stated` says beside profiles, tags and labels is not looked at."""

    stated: JsonObject
    merge: Callable[[JsonArray, JsonArray], JsonArray]

    def apply(self, resource: JsonObject) -> JsonObject:
        """The resource with its new meta; the one given is used up."""
        present = resource.get("meta")
        meta: JsonObject = dict(present) if isinstance(present, dict) else {}
        for name in _LISTS:
            left = self.merge(_listed(meta, name), _listed(self.stated, name))
            meta.pop(name, None)
            if left:
                meta[name] = left
        return {**resource, "meta": meta}


def meta_addition(stated: JsonObject) -> MetaChange:
    """Adds what is not there; a coding is there if one of its system and code is."""
    return MetaChange(stated, _added)


def meta_removal(stated: JsonObject) -> MetaChange:
    """Takes away what is there; what is not there is passed over."""
    return MetaChange(stated, _removed)


def stated_meta(parameters: JsonObject) -> JsonObject:
    """The Meta of the one parameter `meta`. Raises Failure INVALID."""
    issues = check(parameters, type=PARAMETERS)
    if issues:
        raise Failure(Category.INVALID, issues=issues)
    listed = parameters.get("parameter")
    for part in listed if isinstance(listed, list) and len(listed) == 1 else []:
        meta = part.get("valueMeta") if isinstance(part, dict) and part.get("name") == "meta" else None
        if isinstance(meta, dict):
            return meta
    text = "The operation takes one parameter, meta, with a valueMeta."
    raise Failure(Category.INVALID, text, code="required", expression=f"{PARAMETERS}.parameter")


def meta_answer(resource: JsonObject) -> JsonObject:
    """What the operations answer: Parameters with the resource's meta as `return`."""
    return {"resourceType": PARAMETERS, "parameter": [{"name": "return", "valueMeta": resource.get("meta", {})}]}


def _added(present: JsonArray, stated: JsonArray) -> JsonArray:
    merged, known = [*present], {_identity(one) for one in present}
    for one in stated:
        if _identity(one) not in known:
            known.add(_identity(one))
            merged.append(copied(one))
    return merged


def _removed(present: JsonArray, stated: JsonArray) -> JsonArray:
    gone = {_identity(one) for one in stated}
    return [one for one in present if _identity(one) not in gone]


def _identity(one: Json) -> str:
    """What makes two entries of meta the same: system and code of a coding, a profile's whole text."""
    if isinstance(one, dict) and "code" in one:
        return f"{one.get('system', '')}|{one['code']}"
    return repr(one)


def _listed(meta: JsonObject, name: str) -> JsonArray:
    found = meta.get(name)
    return found if isinstance(found, list) else []
