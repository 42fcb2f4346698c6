"""`_include` and `_revinclude`: which resources go along with the matches (FHIR R4, search 3.1.1.5.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.query_asked import SearchContext
from fhirmedia.r4.query_chains import points_to
from fhirmedia.r4.registry import SearchParameter

INCLUDE, REVINCLUDE = "_include", "_revinclude"
MAX_INCLUDES = 20
_EVERY = "*"


@dataclass(frozen=True, slots=True)
class Include:
    """References from resources of type `source` through `parameters` are followed: to their target, or back from it.

    `target` is the only type wanted at the other end, None for any; `iterate`: what was included is looked at, too.
    """

    source: str
    parameters: tuple[str, ...]
    target: str | None = None
    reverse: bool = False
    iterate: bool = False


def read_include(name: str, value: str, *, types: Sequence[str], context: SearchContext) -> tuple[Include, ...]:
    """The Includes one parameter asks for: `Type:parameter`, `Type:parameter:Target`, `Type:*` or `*`.

    Raises Failure INVALID for another form, a modifier that is not `:iterate`, a type that is not searched or
    a parameter that is no reference of it; without `:iterate` also for a type the search is not about.
    """
    code, colon, modifier = name.partition(":")
    if colon and modifier != "iterate":
        raise _refused(code, "the only modifier is ':iterate'")
    reverse, iterate = code == REVINCLUDE, bool(colon)
    if value == _EVERY:
        sources = tuple(context.registry.types) if reverse or iterate else tuple(types)
        every = (_wildcard(each, None, types, context, reverse=reverse, iterate=iterate) for each in sources)
        return tuple(include for include in every if include is not None)
    source, _, rest = value.partition(":")
    parameter, second, target = rest.partition(":")
    if not rest or (second and not target):
        raise _refused(code, "the form is Type:parameter, Type:parameter:Target, Type:* or *")
    served = context.registry.types.get(source)
    if served is None or served.read_only or "search-type" not in served.interactions:
        raise _refused(code, "the type named is none that this server searches")
    if not reverse and not iterate and source not in types:
        raise _refused(code, "the type named is none the search is about")
    if parameter == _EVERY:
        found = _wildcard(source, target or None, types, context, reverse=reverse, iterate=iterate)
        return () if found is None else (found,)
    definition = context.registry.parameter(source, parameter)
    if definition is None or definition.kind != "reference":
        raise _refused(code, "the second name is no parameter by which that type refers to others")
    if target and definition.targets and target not in definition.targets:
        raise _refused(code, "the last name is no type its references may have")
    if reverse and not iterate and not any(points_to(definition, (each,)) for each in types):
        raise _refused(code, "the parameter does not refer to what the search is about")
    return (Include(source, (parameter,), target or None, reverse, iterate),)


def _wildcard(
    source: str, target: str | None, types: Sequence[str], context: SearchContext, *, reverse: bool, iterate: bool
) -> Include | None:
    served = context.registry.types[source]
    if served.read_only or "search-type" not in served.interactions:
        return None

    def useful(parameter: SearchParameter) -> bool:
        if parameter.kind != "reference":
            return False
        return not reverse or iterate or any(points_to(parameter, (each,)) for each in types)

    codes = tuple(parameter.code for parameter in served.parameters.values() if useful(parameter))
    return Include(source, codes, target, reverse, iterate) if codes else None


def _refused(code: str, rule: str) -> Failure:
    return Failure(Category.INVALID, f"parameter '{code}': {rule}", code="not-supported", expression=f"http.{code}")
