"""A search as it was sent becomes a Query and the shape of its answer (FHIR R4, search).

A constraint that is unknown, malformed or lost must never widen an answer, so reading is strict. A client that asks
for leniency is forgiven a parameter name nobody knows and an empty value, nothing else; what was forgiven is listed,
and left out of what the self link states.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.r4.query import (
    All,
    Chain,
    Has,
    InCompartment,
    Match,
    OfType,
    Query,
    ReferenceTest,
    SortKey,
    StringTest,
    leaves,
)
from fhirmedia.r4.query_asked import SearchContext
from fhirmedia.r4.query_chains import HAS, named_condition
from fhirmedia.r4.query_includes import INCLUDE, MAX_INCLUDES, REVINCLUDE, Include, read_include
from fhirmedia.r4.query_results import (
    MAX_COUNT,
    RESULT_PARAMETERS,
    ResultParameters,
    Summary,
    Total,
    harmless,
    read_results,
    still_indexed,
)
from fhirmedia.r4.query_string import MAX_PARAMETERS, speakable
from fhirmedia.r4.registry import LEFT_OUT

__all__ = ["ParsedSearch", "SearchContext", "parse_search"]

COMPARTMENT_TYPE = "Patient"  # type-name: the compartment that decides access
"""The one compartment that is kept."""

_FORMAT = frozenset(("_format", "_pretty"))
_UNSUPPORTED = frozenset((
    "_contained", "_containedType", "_cursor", "_filter", "_list", "_query", "_score",
))  # fmt: skip
"""Parameters that R4 or this server knows but that no search takes here; `_contained` only says `false`."""


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A search, understood.

    `types` in the order asked for; `query` is All of an OfType and the conditions; `count` is 0 where the total alone
    is asked for; `elements` are root names; `applied` are the pairs that were applied, for the self link; `ignored`
    the names of what was forgiven; `patient_scoped` says that the search is bound to one patient; `includes` is what
    goes along with the matches.
    """

    types: tuple[str, ...]
    query: Query
    sort: tuple[SortKey, ...]
    count: int
    summary: Summary
    elements: tuple[str, ...]
    total: Total
    applied: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    patient_scoped: bool
    includes: tuple[Include, ...] = ()


def parse_search(
    parameters: Sequence[tuple[str, str]],
    *,
    context: SearchContext,
    type: str | None,
    compartment: tuple[str, str] | None,
    lenient: bool,
) -> ParsedSearch:
    """Read decoded pairs as a search of one type, of a compartment (`type` None: all its types) or of the system.

    Raises Failure INVALID (400) naming parameter and place, never the value; TOO_COSTLY beyond the limits; NOT_FOUND
    or NOT_ALLOWED for a type or compartment that is not served or not searched.
    """
    if len(parameters) > MAX_PARAMETERS:
        raise Failure(Category.TOO_COSTLY, f"a search takes at most {MAX_PARAMETERS} parameters")
    types = _listed_types([value for name, value in parameters if name == "_type"], type, compartment, context)
    reading = _Reading(context, types, lenient=lenient)
    for name, value in parameters:
        reading.read(name, value)
    return reading.result(compartment)


class _Reading:
    """The pairs read so far. A pair is a condition, shapes the answer, is forgiven, or fails the search."""

    def __init__(self, context: SearchContext, types: tuple[str, ...], *, lenient: bool) -> None:
        self._context, self._types, self._lenient = context, types, lenient
        self._asked: list[tuple[str, str | None, Query]] = []
        self._includes: list[tuple[Include, ...]] = []
        self._results: dict[str, str] = {}
        self._applied: list[tuple[str, str]] = []
        self._ignored: list[str] = []

    def read(self, name: str, value: str) -> None:
        code = name.partition(":")[0]
        if name in _FORMAT or name == "_type":
            self._applied.append((name, value))
        elif name in harmless().parameters:
            self._ignored.append(name)
        elif code in _UNSUPPORTED:
            self._read_unsupported(name, value)
        elif not value:
            self._forgive(name, f"parameter {speakable(name)} has an empty value", code="value")
        elif name in RESULT_PARAMETERS:
            self._read_result(name, value)
        elif code in RESULT_PARAMETERS:
            raise _invalid(f"parameter '{code}' takes no modifier", code)
        elif code in (INCLUDE, REVINCLUDE):
            self._read_include(name, value)
        else:
            self._read_condition(name, value)

    def _read_unsupported(self, name: str, value: str) -> None:
        if (name, value) != ("_contained", "false"):
            raise _invalid(f"parameter '{name.partition(':')[0]}' is not supported", name.partition(":")[0])
        self._applied.append((name, value))

    def _read_result(self, name: str, value: str) -> None:
        if name in self._results:
            raise Failure(Category.INVALID, f"parameter '{name}' is given more than once", expression=f"http.{name}")
        self._results[name] = value
        if name == "_count" and value.isdecimal() and int(value[:18]) > MAX_COUNT:
            value = str(MAX_COUNT)
        if name == "_elements" and harmless().elements.intersection(value.split(",")):
            self._ignored.extend(each for each in value.split(",") if each in harmless().elements)
            value = ",".join(each for each in value.split(",") if each not in harmless().elements)
        if value:
            self._applied.append((name, value))

    def _read_include(self, name: str, value: str) -> None:
        if len(self._includes) == MAX_INCLUDES:
            raise Failure(Category.TOO_COSTLY, f"a search takes at most {MAX_INCLUDES} includes")
        self._includes.append(read_include(name, value, types=self._types, context=self._context))
        self._applied.append((name, value))

    def _read_condition(self, name: str, value: str) -> None:
        found = named_condition(name, value, types=self._types, context=self._context)
        code, colon, modifier = name.partition(":")
        if found is None:
            for left_out in sorted(LEFT_OUT.keys() & set(re.split("[.:]", name))):
                raise _invalid(f"parameter '{left_out}' is not supported", left_out)
            names = ", ".join(self._types)
            said = speakable(name if code == HAS or "." in name else code)
            why = still_indexed(name, self._context.registry) or f"is unknown on {names}"
            self._forgive(name, f"parameter {said} {why}", code="not-supported")
            return
        self._asked.append((code, modifier if colon else None, found))
        self._applied.append((name, value))

    def _forgive(self, name: str, text: str, *, code: str) -> None:
        if not self._lenient:
            raise Failure(Category.INVALID, text, code=code)
        self._ignored.append(speakable(name).strip("'"))

    def result(self, compartment: tuple[str, str] | None) -> ParsedSearch:
        conditions = tuple(found for _, _, found in self._asked)
        self._refuse_costly_contains(bounded=compartment is not None)
        bounds: tuple[Query, ...] = (OfType(frozenset(self._types)),)
        if compartment is not None:
            bounds = (*bounds, InCompartment(compartment[1]))
        shape: ResultParameters = read_results(self._results, registry=self._context.registry, types=self._types)
        return ParsedSearch(
            types=self._types,
            query=All((*bounds, *conditions)),
            sort=shape.sort,
            count=shape.count,
            summary=shape.summary,
            elements=shape.elements,
            total=shape.total,
            applied=tuple(self._applied),
            ignored=tuple(dict.fromkeys(self._ignored)),
            patient_scoped=compartment is not None or any(map(_binds_one_patient, conditions)),
            includes=self._included(shape.summary),
        )

    def _included(self, summary: Summary) -> tuple[Include, ...]:
        if self._includes and summary == "text":
            raise _invalid("parameter '_summary': 'text' cannot be combined with includes", "_summary")
        return tuple(dict.fromkeys(include for several in self._includes for include in several))

    def _refuse_costly_contains(self, *, bounded: bool) -> None:
        """No index serves the inside of strings: something else has to bound it, or the types have to be small ones."""
        costly = [(code, modifier) for code, modifier, found in self._asked if _looks_inside(modifier, found)]
        selective = any(
            modifier not in ("not", "missing") and not _looks_inside(modifier, found)
            for _, modifier, found in self._asked
        )
        small = all(self._context.registry.types[type].directory for type in self._types)
        if costly and not (bounded or selective or small):
            code, modifier = costly[0]
            text = f"parameter '{code}': ':{modifier}' needs another condition beside it"
            raise Failure(Category.TOO_COSTLY, text, expression=f"http.{code}")


def _listed_types(
    listed: list[str], type: str | None, compartment: tuple[str, str] | None, context: SearchContext
) -> tuple[str, ...]:
    if compartment is not None and compartment[0] != COMPARTMENT_TYPE:
        raise Failure(Category.NOT_FOUND, "this server does not serve that compartment", code="not-supported")
    if compartment is not None and not FHIR_ID.match(compartment[1]):
        raise Failure(Category.INVALID, "the id of the compartment does not have the form of an id")
    if len(listed) > 1 or (listed and type is not None):
        raise _invalid("parameter '_type' is given once, and where no type is named otherwise", "_type")
    served = context.registry.types
    if type is not None:
        context.registry.require(type, "search-type")
        names: tuple[str, ...] = (type,)
    elif listed:
        names = tuple(dict.fromkeys(listed[0].split(",")))
    else:
        names = tuple(name for name in served if _searched(name, context) and not served[name].read_only)
        return names if compartment is None else tuple(name for name in names if _in_compartment(name, context))
    for place, name in enumerate(names, 1):
        if not _searched(name, context):
            raise _invalid(f"parameter '_type', value {place}: no type that this server searches", "_type")
        if compartment is not None and not _in_compartment(name, context):
            raise Failure(Category.INVALID, f"{name} is not part of the compartment", code="not-supported")
    if len(names) > 1 and any(served[name].read_only for name in names):
        alone = ", ".join(name for name in names if served[name].read_only)
        raise _invalid(f"parameter '_type': {alone} is only searched by itself", "_type")
    return names


def _searched(name: str, context: SearchContext) -> bool:
    served = context.registry.types.get(name)
    return served is not None and "search-type" in served.interactions


def _in_compartment(name: str, context: SearchContext) -> bool:
    return name == COMPARTMENT_TYPE or bool(context.registry.types[name].membership)


def _looks_inside(modifier: str | None, query: Query) -> bool:
    """Whether a string may have to be looked through: for `:contains`, and for a word behind others."""
    return modifier == "contains" or (modifier == "text" and _has_contains(query))


def _has_contains(query: Query) -> bool:
    for leaf in leaves(query):
        match leaf:
            case Match(_, tests):
                if any(isinstance(test, StringTest) and test.mode == "contains" for test in tests):
                    return True
            case Chain(_, inside) | Has(_, inside):
                if _has_contains(inside):
                    return True
            case _:
                pass
    return False


def _binds_one_patient(query: Query) -> bool:
    """Whether only references to one and the same id are looked for, and a Patient may have it."""
    if not isinstance(query, Match):
        return False
    keys = [test.key if isinstance(test, ReferenceTest) else None for test in query.tests]
    known = [key for key in keys if key is not None]
    one = len(known) == len(keys) and len({key.id for key in known}) == 1
    return one and any(key.type == COMPARTMENT_TYPE for key in known)


def _invalid(text: str, name: str) -> Failure:
    return Failure(Category.INVALID, text, code="not-supported", expression=f"http.{name}")
