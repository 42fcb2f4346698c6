"""Security labels: any writer may tighten `meta.security`; lowering it takes the role label-manager."""

from collections.abc import Sequence

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import LABEL_MANAGER
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import CONFIDENTIALITY, Facts
from fhirmedia.r4.json_types import Json, JsonArray

CONFIDENTIALITY_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

_NORMAL, _STRICTEST = CONFIDENTIALITY.index("N"), len(CONFIDENTIALITY) - 1


def security_to_store(old: JsonArray | None, new: JsonArray | None, *, caller: Caller) -> JsonArray | None:
    """The `meta.security` of the next version, from that of the current one and that of the body as sent.

    `old` is None where there is no current version, and empty where it has no labels. A body that says nothing of
    labels (`new` is None) keeps the old ones; an empty list takes them away. Raises Failure FORBIDDEN where the new
    labels lack one of the old, or their confidentiality (none counts as N; of several the strictest) is below the old,
    unless the Caller is a label-manager.
    """
    if new is None:
        return old
    if old is None or LABEL_MANAGER in caller.roles:
        return new
    if _strictest(new) < _strictest(old) or not _other_labels(old) <= _other_labels(new):
        text = "Security labels may be lowered or removed by a label-manager only."
        raise Failure(Category.FORBIDDEN, text, expression="Resource.meta.security")
    return new


def labels_of(facts: Facts) -> JsonArray:
    """The labels that facts were taken from, by system and code."""
    known = [] if facts.confidentiality == "N" else [f"{CONFIDENTIALITY_SYSTEM}|{facts.confidentiality}"]
    stated = (text.rpartition("|") for text in (*known, *facts.labels))
    return [{name: each for name, each in (("system", system), ("code", code)) if each} for system, _, code in stated]


def _strictest(labels: Sequence[Json]) -> int:
    """The position in U L M N R V."""
    return max((rank for label in labels if (rank := _rank(label)) is not None), default=_NORMAL)


def _rank(label: Json) -> int | None:
    """None for a label that is no confidentiality; an unknown code counts as the strictest."""
    if not isinstance(label, dict) or label.get("system") != CONFIDENTIALITY_SYSTEM:
        return None
    code = label.get("code")
    return CONFIDENTIALITY.index(code) if code in CONFIDENTIALITY else _STRICTEST


def _other_labels(labels: Sequence[Json]) -> frozenset[str]:
    """Labels that are no confidentiality, by system and code; what has no code counts by its whole text."""
    found = set()
    for label in labels:
        if _rank(label) is None:
            stated = label if isinstance(label, dict) and "code" in label else None
            found.add(repr(label) if stated is None else f"{stated.get('system')}|{stated['code']}")
    return frozenset(found)
