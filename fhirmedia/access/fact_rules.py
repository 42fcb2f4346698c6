"""The fact language of access rules, compiled to closures over a Key and its Facts."""

from collections.abc import Callable, Sequence

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.query import All, Any, FactHas, FactIn, FactToken, Not, OfType, Query, SetFact, SingleFact

FactRule = Callable[[Key, Facts], bool]

_SINGLE: dict[SingleFact, Callable[[Key, Facts], str | None]] = {
    "sole_patient": lambda _key, facts: facts.patients[0] if len(facts.patients) == 1 else None,
    "unit": lambda _key, facts: facts.unit,
    "enterprise": lambda _key, facts: facts.enterprise,
    "encounter": lambda _key, facts: facts.encounter,
    "status": lambda _key, facts: facts.status,
    "source": lambda _key, facts: facts.source,
    "confidentiality": lambda _key, facts: facts.confidentiality,
    "id": lambda key, _facts: key.id,
}

_SETS: dict[SetFact, Callable[[Facts], Sequence[str]]] = {
    "labels": lambda facts: facts.labels,
    "authors": lambda facts: facts.authors,
}


def fact_holds(query: Query, key: Key, *, facts: Facts) -> bool:
    """Whether a rule's Query selects this record; raises INTERNAL for a node that is no part of the fact language."""
    return compile_rule(query)(key, facts)


def compile_rule(query: Query) -> FactRule:
    """The Query as a function of Key and Facts.

    A fact that is missing is none of the values of a FactIn, so that its Not holds. Raises Failure INTERNAL for any
    node but All, Any, Not, OfType, FactIn, FactHas and FactToken: a rule must be decided by facts alone.
    """
    match query:
        case All(parts):
            every = tuple(compile_rule(part) for part in parts)
            return lambda key, facts: all(holds(key, facts) for holds in every)
        case Any(parts):
            some = tuple(compile_rule(part) for part in parts)
            return lambda key, facts: any(holds(key, facts) for holds in some)
        case Not(part):
            inner = compile_rule(part)
            return lambda key, facts: not inner(key, facts)
        case OfType(types):
            return lambda key, _facts: key.type in types
        case FactIn(fact, values):
            single = _SINGLE[fact]
            return lambda key, facts: single(key, facts) in values
        case FactHas(fact, values):
            members = _SETS[fact]
            return lambda _key, facts: not values.isdisjoint(members(facts))
        case FactToken(parameter, values):
            return lambda _key, facts: not values.isdisjoint(facts.tokens.get(parameter, ()))
        case _:
            raise Failure(Category.INTERNAL, "An access rule asks for more than facts.")
