"""The mapping of an index, made from the shape of its documents: strict, every field typed, bodies never in it."""

from typing import Any

from fhirmedia.backends.elastic.shape import FORMAT, Family, Shape, is_sorted

Json = dict[str, Any]

MOST_FIELDS = 2_000
GONE_FOR = "1h"
"""How long the engine remembers that a document is deleted: longer than any write can be under way."""

_TERM: Json = {"type": "keyword", "doc_values": False}
_TERM_KEPT: Json = {"type": "keyword"}
_KEPT: Json = {"type": "keyword", "index": False}
_TIMES: Json = {"type": "long_range", "doc_values": False}
_NUMBERS: Json = {"type": "double_range", "doc_values": False}
_WORDS: Json = {"type": "text", "analyzer": "whitespace", "norms": False}
_UNIT: Json = {"p": _TERM, "v": _NUMBERS, "system": _TERM, "code": _TERM, "unit": _TERM}

_OF_KIND: dict[str, tuple[tuple[str, Json], ...]] = {
    "token": (("t", _TERM),),
    "date": (("d", _TIMES),),
    "number": (("n", _NUMBERS),),
    "reference": (("r", _TERM), ("ri", _TERM)),
    "string": (("s", {"properties": {"plain": _TERM, "exact": _TERM}}),),
    "uri": (("u", _TERM),),
}
"""The objects in which a parameter has a field of its own, by the kind of its values."""

_PART: Json = {
    "t": _TERM,
    "d": _TIMES,
    "n": _NUMBERS,
    "r": _TERM,
    "ri": _TERM,
    "plain": _TERM,
    "exact": _TERM,
    "u": _TERM,
    "v": _NUMBERS,
    "system": _TERM,
    "code": _TERM,
    "unit": _TERM,
}
"""One part of one repetition of a composite, or what contained resources say by one parameter, of whatever kind."""


def mapping(family: Family, shape: Shape, *, fingerprint: str) -> Json:
    """The mapping of the index of a family."""
    return {
        "dynamic": "strict",
        "date_detection": False,
        "_source": {"enabled": False},
        "_meta": {"fhirmedia": {"format": FORMAT, "fingerprint": fingerprint}},
        "properties": properties(family, shape),
    }


def properties(family: Family, shape: Shape) -> Json:
    """Every field, by name."""
    found: Json = {
        "key": _TERM_KEPT,
        "rt": _TERM_KEPT,
        "order": {"type": "long"},
        "digest": _KEPT,
        "cp": _TERM,
        "sole": _TERM_KEPT,
        "has": _TERM,
        "cut": _TERM,
        "acl": {
            "properties": {
                "unit": _TERM_KEPT,
                **dict.fromkeys(("enterprise", "encounter", "status", "source", "conf", "labels", "authors"), _TERM),
                "tokens": _TERM,
            }
        },
        "x": {"properties": dict.fromkeys(sorted(family.texts), _WORDS)},
        "f": {"properties": dict.fromkeys(sorted({*family.facets, "year", "month"}), _KEPT)},
    }
    for code, kinds in sorted(family.kinds.items()):
        for kind in sorted(kinds):
            for name, form in _OF_KIND.get(kind, ()):
                found.setdefault(name, {"properties": {}})["properties"][code] = form
        scalar = shape.scalar(code)
        if scalar is not None and is_sorted(code):
            form = {"type": scalar, "index": False}
            found.setdefault("k", {"properties": {}})["properties"][code] = form
    if any("quantity" in kinds for kinds in family.kinds.values()):
        found["q"] = {"type": "nested", "dynamic": "strict", "properties": _UNIT}
    if family.parts:
        each: Json = {name: {"properties": _PART} for name in sorted(family.parts)}
        found["g"] = {"type": "nested", "dynamic": "strict", "properties": {"p": _TERM, **each}}
    found["c"] = {"type": "nested", "dynamic": "strict", "properties": {"p": _TERM, **_PART}}
    return found


def settings(*, shards: int) -> Json:
    """Of an index that is being filled: nothing is searched, and there is one copy; see `in_service`."""
    return {
        "index.number_of_shards": shards,
        "index.number_of_replicas": 0,
        "index.refresh_interval": "-1",
        "index.gc_deletes": GONE_FOR,
        "index.codec": "best_compression",
        "index.max_result_window": 10_000,
        "index.mapping.total_fields.limit": MOST_FIELDS,
    }


def in_service() -> Json:
    """What changes when an index is searched: what is written is found within a second, and no node is needed alone."""
    return {"index.refresh_interval": "1s", "index.auto_expand_replicas": "0-1"}


def differs(found: Json, wanted: Json) -> bool:
    """Whether the fields of an index are not those wanted; fields beyond them do no harm."""
    for name, form in wanted.items():
        there = found.get(name)
        if there is None:
            return True
        if "properties" in form:
            if there.get("type", "object") != form.get("type", "object"):
                return True
            if differs(there.get("properties", {}), form["properties"]):
                return True
        elif there != form:
            return True
    return False
