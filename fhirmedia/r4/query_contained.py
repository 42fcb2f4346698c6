"""The half of a chain that looks into contained resources: the condition at its end, asked of the container itself."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from fhirmedia.r4.contained import TYPE, field, shipped
from fhirmedia.r4.query import All, Any, CompositeTest, Match, Missing, Not, Query, Test, TokenTest
from fhirmedia.r4.query_asked import SearchContext

_WITHOUT = frozenset({"_id", "_lastUpdated"})
"""Parameters of which contained resources have no values."""


def among_contained(
    asked: Query, *, code: str, type: str, types: Iterable[str], context: SearchContext
) -> Query | None:
    """What a condition asks of the resources of a type that are contained in one of `types` and referred to by `code`.

    None where that is not looked into: words, ids, and parameters added to an installation. What negates speaks of all
    that the parameter leads to in one resource.
    """
    if any(code not in shipped(context.registry, each) for each in types):
        return None
    known = frozenset(shipped(context.registry, type)) - _WITHOUT
    return _inside(asked, code, type, known)


def _inside(asked: Query, code: str, type: str, known: frozenset[str]) -> Query | None:
    there_is_one = Match(field(code, type, TYPE), (TokenTest(type),))
    match asked:
        case Match(parameter, tests) if _base(parameter) in known:
            named = partial(field, code, type)
            return Match(named(parameter), tuple(_named(test, code, type) for test in tests))
        case Missing(parameter) if parameter in known:
            return All((there_is_one, Missing(field(code, type, parameter))))
        case Not(Missing(parameter)) if parameter in known:
            return Not(Missing(field(code, type, parameter)))
        case Not(part) if (inner := _inside(part, code, type, known)) is not None:
            return All((there_is_one, Not(inner)))
        case All(parts) | Any(parts):
            each = [_inside(part, code, type, known) for part in parts]
            some = tuple(part for part in each if part is not None)
            return replace(asked, parts=some) if len(some) == len(each) else None
        case _:
            return None


def _base(parameter: str) -> str:
    """The code behind an index parameter (`identifier:of-type`)."""
    return parameter.partition(":")[0]


def _named(test: Test, code: str, type: str) -> Test:
    """The same test; the parts of a composite under their names among contained resources."""
    if not isinstance(test, CompositeTest):
        return test
    return CompositeTest(tuple((field(code, type, parameter), part) for parameter, part in test.parts))
