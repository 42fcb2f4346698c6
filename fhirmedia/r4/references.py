"""What a reference means: a record of ours, something elsewhere, or something inside the same resource.

FHIR R4, References: relative URLs are ours, absolute ones only under our own base address; whatever merely looks alike
on another server never becomes a Key.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhirmedia.core.records import Key
from fhirmedia.r4.elements import resource_types
from fhirmedia.r4.json_types import Json, JsonObject

_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?").fullmatch
_SEARCH = re.compile(r"[A-Z][A-Za-z]{1,63}\?").match
_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Target:
    """Where a reference leads; exactly one of `key`, `fragment` and `url` is set.

    `version` goes with `key` where the reference names one of our version numbers; `fragment` is the id of a contained
    resource, empty for the resource itself; `url` is anything else as written: another server's record, a `urn:`.
    """

    key: Key | None = None
    version: int | None = None
    fragment: str | None = None
    url: str | None = None


@lru_cache(maxsize=16_384)
def parse_reference(text: str, *, base_url: str) -> Target:
    """The Target of `Reference.reference`; `base_url` is our own address without a slash at its end."""
    local = _LOCAL(text.removeprefix(f"{base_url}/"))
    if local is not None and local[1] in resource_types():
        version = local[3]
        return Target(Key(local[1], local[2]), int(version) if version is not None and _VERSION(version) else None)
    if text.startswith("#"):
        return Target(fragment=text[1:])
    return Target(url=text)


def local_key(reference: JsonObject, *, base_url: str) -> Key | None:
    """The Key a Reference element names, if it is one of ours."""
    text = reference.get("reference")
    return parse_reference(text, base_url=base_url).key if isinstance(text, str) else None


def is_conditional(text: str) -> bool:
    """Whether a reference is a search (`Patient?identifier=…`), which only a transaction can resolve (R4, http)."""
    return _SEARCH(text) is not None


def iter_references(resource: JsonObject, type: str) -> Iterator[tuple[str, str]]:
    """Every `Reference.reference` of a resource, in extensions and contained resources too: its place and its text.

    The place is made of JSON names with indices (`Media.basedOn[0]`). In R4 no other element named `reference` holds
    text, so the walk needs no tables.
    """
    return _walk(resource, type)


def _walk(node: Json, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield path, value
            elif isinstance(value, dict | list):
                yield from _walk(value, f"{path}.{name.removeprefix('_')}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if isinstance(value, dict | list):
                yield from _walk(value, f"{path}[{index}]")
