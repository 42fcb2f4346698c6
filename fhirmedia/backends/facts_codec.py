"""Facts as the compact JSON bytes that stand beside each version."""

import json
from dataclasses import fields
from typing import Any

from fhirmedia.core.records import Facts

_DEFAULTS = Facts()
_NAMES = tuple(item.name for item in fields(Facts))
_TUPLES = frozenset({"patients", "authors", "labels", "binaries"})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode_facts(facts: Facts) -> bytes:
    """Only what differs from the defaults, and always the version of the facts."""
    stated: dict[str, Any] = {"facts_version": facts.facts_version}
    for name in _NAMES:
        value = getattr(facts, name)
        if value != getattr(_DEFAULTS, name):
            stated[name] = value
    return _encode(stated).encode()


def decode_facts(content: bytes) -> Facts:
    """The inverse of `encode_facts`."""
    stated = json.loads(content)
    for name in _TUPLES & stated.keys():
        stated[name] = tuple(stated[name])
    if "tokens" in stated:
        stated["tokens"] = {parameter: tuple(values) for parameter, values in stated["tokens"].items()}
    return Facts(**stated)
