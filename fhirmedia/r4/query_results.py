"""The parameters that shape an answer rather than select from it: order, page size, totals, parts (R4, search)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.collation import SORTED
from fhirmedia.r4.elements import table
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.query import SortKey
from fhirmedia.r4.query_string import speakable
from fhirmedia.r4.registry import Registry, SearchParameter

Summary = Literal["false", "true", "text", "data", "count"]
Total = Literal["none", "estimate", "accurate", "default"]

RESULT_PARAMETERS = frozenset(("_sort", "_count", "_total", "_summary", "_elements"))
DEFAULT_COUNT = 50
MAX_COUNT = 1000
MAX_SORT_KEYS = 4
_UNSORTABLE = frozenset(("composite", "special"))


@dataclass(frozen=True, slots=True)
class ResultParameters:
    """How the answer is shaped; `count` is the size of a page, 0 for the total alone."""

    sort: tuple[SortKey, ...] = ()
    count: int = DEFAULT_COUNT
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    total: Total = "default"


@dataclass(frozen=True, slots=True)
class Harmless:
    """What published clients send without meaning: parameter names, and names inside `_elements`."""

    parameters: frozenset[str]
    elements: frozenset[str]


@cache
def harmless() -> Harmless:
    """The table `profiles/harmless-parameters.json`, which names client and version of every entry."""
    facts = json.loads(profiles().joinpath("harmless-parameters.json").read_text("utf-8"))
    return Harmless(frozenset(facts["parameters"]), frozenset(facts["elements"]))


def read_results(given: Mapping[str, str], *, registry: Registry, types: Sequence[str]) -> ResultParameters:
    """The result parameters by name, read for a search over these types; raises INVALID for what is malformed."""
    count = _count(given.get("_count"))
    summary = _summary(given.get("_summary"))
    if count == 0:
        summary = "count"
    elements = _elements(given.get("_elements"), types)
    if elements and summary in ("true", "text", "data"):
        raise _refuse("_elements", "it cannot be combined with a '_summary' that chooses elements, too")
    return ResultParameters(
        sort=_sort(given.get("_sort"), registry=registry, types=types),
        count=0 if summary == "count" else count,
        summary=summary,
        elements=elements,
        total=_total(given.get("_total")),
    )


def common_parameter(registry: Registry, code: str, *, types: Sequence[str]) -> Mapping[str, SearchParameter]:
    """The definitions of a parameter by type, empty if no listed type has it.

    Raises INVALID naming the types that lack it where others have it: R4 wants it on every type a search lists.
    """
    found = {type: definition for type in types if (definition := registry.parameter(type, code)) is not None}
    lacking = [type for type in types if type not in found]
    if found and lacking:
        raise Failure(
            Category.INVALID,
            f"parameter {speakable(code)} does not exist on {', '.join(lacking)}",
            code="not-supported",
            expression=f"http.{code}",
        )
    return found


def still_indexed(name: str, registry: Registry) -> str | None:
    """Why a name is not understood in which a parameter stands that resources are still indexed by; None for others."""
    waiting = {code for codes in registry.waiting.values() for code in codes}
    if waiting.isdisjoint(re.split("[.:]", name)):
        return None
    return "cannot be searched by yet: resources are still being indexed by it"


def _refuse(name: str, rule: str) -> Failure:
    return Failure(Category.INVALID, f"parameter '{name}': {rule}", code="value", expression=f"http.{name}")


def _count(text: str | None) -> int:
    if text is None:
        return DEFAULT_COUNT
    if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) is None:
        raise _refuse("_count", "the value is a number without sign")
    return min(int(text), MAX_COUNT)


def _summary(text: str | None) -> Summary:
    for known in get_args(Summary):
        if text == known:
            summary: Summary = known
            return summary
    if text is not None:
        raise _refuse("_summary", "the value is true, text, data, count or false")
    return "false"


def _total(text: str | None) -> Total:
    if text is None:
        return "default"
    for known in get_args(Total):
        if text == known and known != "default":
            total: Total = known
            return total
    raise _refuse("_total", "the value is none, estimate or accurate")


def _elements(text: str | None, types: Sequence[str]) -> tuple[str, ...]:
    """Names of root elements, each of which some listed type has; a choice element goes by its base name, too."""
    if text is None:
        return ()
    names = [name for name in text.split(",") if name not in harmless().elements]
    known = {
        name
        for type in types
        for element in table(type).elements.values()
        for name in (element.name, element.choice_base)
    }
    for place, name in enumerate(names, 1):
        if name not in known:
            raise _refuse("_elements", f"value {place} names no element at the root of the listed types")
    return tuple(dict.fromkeys(names))


def _sort(text: str | None, *, registry: Registry, types: Sequence[str]) -> tuple[SortKey, ...]:
    if text is None:
        return ()
    names = text.split(",")
    if len(names) > MAX_SORT_KEYS:
        raise Failure(Category.TOO_COSTLY, f"parameter '_sort': at most {MAX_SORT_KEYS} keys")
    return tuple(_sort_key(name, place, registry=registry, types=types) for place, name in enumerate(names, 1))


def _sort_key(text: str, place: int, *, registry: Registry, types: Sequence[str]) -> SortKey:
    code = text.removeprefix("-")
    definitions = common_parameter(registry, code, types=types)
    kinds = {definition.kind for definition in definitions.values()}
    if not kinds:
        why = still_indexed(code, registry) or "is no search parameter of the listed types"
        raise _refuse("_sort", f"value {place} {why}")
    if len(kinds) > 1 or kinds & _UNSORTABLE:
        raise _refuse("_sort", f"value {place} is a parameter that gives no order")
    return SortKey(code + SORTED if kinds == {"string"} else code, descending=text.startswith("-"))
