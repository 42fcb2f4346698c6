"""Conditions by name: plain ones, chains (`subject:Patient.name`) and `_has` (FHIR R4, search 3.1.1.5.4 and 3.1.1.5.5).

A chain or `_has` becomes a query inside a query, cut to one type, so that access rules can be built into it. Each is
judged by itself: two of them may be met by different resources. The last hop of a chain leads to contained ones, too.
"""

from collections.abc import Sequence

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.contained import is_searched
from fhirmedia.r4.query import All, Any, Chain, Has, OfType, Query
from fhirmedia.r4.query_asked import SearchContext, asked_parameter
from fhirmedia.r4.query_contained import among_contained
from fhirmedia.r4.query_modifiers import condition
from fhirmedia.r4.query_results import common_parameter
from fhirmedia.r4.query_words import word_query
from fhirmedia.r4.registry import BUILT_IN, SearchParameter

HAS = "_has"
MAX_HOPS = 3


def named_condition(
    name: str, value: str, *, types: Sequence[str], context: SearchContext, hops: int = 0
) -> Query | None:
    """What `name=value` asks of resources of these types; None where some name in it is no parameter.

    Raises Failure INVALID for a chain through a parameter that is no reference or fits several types, for modifiers
    and values that are malformed; TOO_COSTLY beyond three hops.
    """
    if hops > MAX_HOPS:
        raise Failure(Category.TOO_COSTLY, f"a search goes through at most {MAX_HOPS} other resources")
    if name.partition(":")[0] == HAS:
        return _reverse(name, value, types=types, context=context, hops=hops + 1)
    if name in BUILT_IN and all(name in context.registry.types[each].words for each in types):
        return word_query(name, value, code=name)
    head, dot, rest = name.partition(".")
    code, colon, modifier = head.partition(":")
    definitions = common_parameter(context.registry, code, types=types)
    if not definitions:
        return None
    if not dot:
        return condition(asked_parameter(definitions), modifier if colon else None, text=value, context=context)
    asked = asked_parameter(definitions)
    if asked.kind != "reference":
        raise _refused(code, "only a reference can be followed by a chain")
    targets = [modifier] if colon else list(asked.targets or context.registry.types)
    fitting = [each for each in targets if _begins(rest, each, context)]
    if colon and (not _searched(modifier, context) or (asked.targets and modifier not in asked.targets)):
        raise _refused(code, "the type named is none its references may have and this server searches")
    if len(fitting) > 1:
        raise _refused(code, f"the chain fits {', '.join(sorted(fitting))}: say which, as in '{code}:{fitting[0]}.'")
    inner = [
        found
        for each in fitting
        if (found := named_condition(rest, value, types=(each,), context=context, hops=hops + 1)) is not None
    ]
    if not inner:
        return None
    stored = Chain(code, All((OfType(frozenset(fitting)), inner[0])))
    if "." in rest:
        return stored
    contained = among_contained(inner[0], code=code, type=fitting[0], types=tuple(definitions), context=context)
    return stored if contained is None else Any((stored, contained))


def _reverse(name: str, value: str, *, types: Sequence[str], context: SearchContext, hops: int) -> Query | None:
    parts = name.split(":", 3)
    if len(parts) != 4 or not all(parts):
        raise _refused(HAS, "the form is _has:Type:reference:parameter")
    _, source, code, rest = parts
    if not _searched(source, context):
        raise _refused(HAS, "the type named is none that this server searches")
    pointer = context.registry.parameter(source, code)
    if pointer is None or not points_to(pointer, types):
        raise _refused(HAS, "the second name is no parameter by which that type refers to the types searched")
    inner = named_condition(rest, value, types=(source,), context=context, hops=hops)
    return None if inner is None else Has(code, All((OfType(frozenset((source,))), inner)))


def points_to(parameter: SearchParameter, types: Sequence[str]) -> bool:
    """Whether references of the parameter may lead to every one of these types."""
    return parameter.kind == "reference" and (not parameter.targets or set(types) <= set(parameter.targets))


def _begins(rest: str, type: str, context: SearchContext) -> bool:
    """Whether the rest of a chain can be asked of the type, as far as its first name tells."""
    first = rest.partition(".")[0].partition(":")[0]
    known = first == HAS or context.registry.parameter(type, first) is not None
    return known and _searched(type, context)


def _searched(type: str, context: SearchContext) -> bool:
    return is_searched(context.registry.types.get(type))


def _refused(code: str, rule: str) -> Failure:
    return Failure(Category.INVALID, f"parameter '{code}': {rule}", code="not-supported", expression=f"http.{code}")
