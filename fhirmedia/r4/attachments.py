"""Where the Attachments of a resource sit, and which of their addresses mean bytes held here."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from fhirmedia.r4.elements import ElementTable, element_table, resource_types, table
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.paths import Path, written

# type-name: R4's Binary page gives bytes this address
_BINARY = re.compile(r"Binary/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?").fullmatch

_Inside = ElementTable | Literal["contained"]


@dataclass(frozen=True, slots=True)
class FoundAttachment:
    """One Attachment: its FHIRPath (`DocumentReference.content[0].attachment`) and its node, which may be edited."""

    path: str
    node: JsonObject


def find_attachments(resource: JsonObject, type: str) -> list[FoundAttachment]:
    """All Attachments of a checked resource in document order: its own, in extensions, in contained resources.

    Resources inside a Bundle or Parameters are resources of their own and are not entered.
    """
    found: list[FoundAttachment] = []
    _collect(resource, table(type), (None, type, None), found)
    return found


def local_binary_id(url: str, base: str) -> str | None:
    """The id a URL names if it is `Binary/{id}` or `{base}/Binary/{id}`, each with or without `/_history/{n}`.

    `base` is our own address with or without a slash at its end.
    """
    match = _BINARY(url.removeprefix(base.rstrip("/") + "/"))
    return match[1] if match else None


def _collect(node: JsonObject, owner: ElementTable, path: Path, found: list[FoundAttachment]) -> None:
    kinds = _kinds(owner)
    for name, value in node.items():
        if type(value) is not dict and type(value) is not list:
            continue
        known = kinds.get(name)
        if known is None:
            continue
        label, inside = known
        if type(value) is dict:
            _enter(value, inside, (path, label, None), found)
            continue
        for index, one in enumerate(value):
            if type(one) is dict:
                _enter(one, inside, (path, label, index), found)


def _enter(node: JsonObject, inside: _Inside, path: Path, found: list[FoundAttachment]) -> None:
    if inside == "contained":
        name = node.get("resourceType")
        if isinstance(name, str) and name in resource_types():
            _collect(node, table(name), path, found)
        return
    if inside.type == "Attachment":
        found.append(FoundAttachment(written(path), node))
    _collect(node, inside, path, found)


@cache
def _kinds(owner: ElementTable) -> dict[str, tuple[str, _Inside]]:
    """What lies inside each JSON name, with its name in paths; extensions of a primitive lie in `_name`."""
    kinds: dict[str, tuple[str, _Inside]] = {}
    for element in owner.elements.values():
        label = element.choice_base or element.name
        inner = element_table(element)
        if inner is not None:
            kinds[element.name] = (label, inner)
        elif element.name == "contained":
            kinds[element.name] = (label, "contained")
        elif element.types[0] != "Resource":
            kinds["_" + element.name] = (label, table("Element"))
    return kinds
