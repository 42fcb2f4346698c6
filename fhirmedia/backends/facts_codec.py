"""Facts as the compact JSON bytes that stand beside each version."""

from dataclasses import fields
from functools import lru_cache
from typing import Any

from fhirmedia.core.records import Facts
from fhirmedia.r4.codec import decoder, dump

_DEFAULTS = Facts()
_NAMES = tuple(item.name for item in fields(Facts))
_decode = decoder(Facts)


def encode_facts(facts: Facts) -> bytes:
    """Only what differs from the defaults, and always the version of the facts."""
    stated: dict[str, Any] = {"facts_version": facts.facts_version}
    for name in _NAMES:
        value = getattr(facts, name)
        if value != getattr(_DEFAULTS, name):
            stated[name] = value
    return dump(stated)


@lru_cache(maxsize=4096)
def decode_facts(content: bytes) -> Facts:
    """The inverse of `encode_facts`; records of one patient and unit often share theirs."""
    return _decode(content)
