"""Parts of a resource: `_summary` and `_elements` (FHIR R4, search 3.1.1.5.8 and 3.1.1.5.9)."""

from collections.abc import Collection, Iterator
from typing import Literal

from fhirmedia.r4.codec import dump
from fhirmedia.r4.elements import mandatory, summary_elements, table
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject

Summary = Literal["false", "true", "text", "data", "count"]

_ALWAYS = frozenset({"resourceType", "id", "meta"})
SUBSETTED: JsonObject = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


def reduce_body(body: bytes, *, summary: Summary, elements: Collection[str]) -> bytes:
    """The body with only what was asked for, tagged SUBSETTED; the body itself if everything was."""
    if summary in ("false", "count") and not elements:
        return body
    resource = parse_json(body)
    kind = str(resource["resourceType"])
    required = mandatory(kind)
    match summary:
        case "true":
            kept = {*summary_elements(kind), *required}
        case "text":
            kept = {"text", *required}
        case "data":
            kept = resource.keys() - {"text"}
        case _:
            kept = {*_names(kind, elements), *required}
    reduced = {name: value for name, value in resource.items() if name in _ALWAYS or name.lstrip("_") in kept}
    return dump(_tagged(reduced))


def _names(kind: str, elements: Collection[str]) -> Iterator[str]:
    """JSON names of the elements asked for; a choice may be asked for by the name before its type."""
    for element in table(kind).elements.values():
        if element.name in elements or element.choice_base in elements:
            yield element.name


def _tagged(resource: JsonObject) -> JsonObject:
    given = resource.get("meta")
    meta = dict(given) if isinstance(given, dict) else {}
    tags = meta.get("tag")
    meta["tag"] = [*(tags if isinstance(tags, list) else []), SUBSETTED]
    return {**resource, "meta": meta}
