"""Which engine is right for a query: decided by the query alone, before anybody is asked."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from fhirmedia.access.grant import types_named
from fhirmedia.r4.query import (
    All,
    FactIn,
    InCompartment,
    Match,
    Missing,
    Query,
    ReferenceTest,
    SortKey,
    Text,
    TokenTest,
    has_inner,
    leaves,
)

PATIENT = "Patient"  # type-name: searches about one are answered as of this moment
_IDS, _IDENTIFIER = "_id", "identifier"
_LOOKUPS = frozenset({_IDS, _IDENTIFIER, "sop-instance"})
_ABOUT = frozenset({"patient", "subject"})
_MOST_PATIENTS = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the index beside the database is right, and why it is or is not.

    `patients` are those the whole answer is about, where the query says so.
    """

    is_beside: bool
    why: str
    patients: tuple[str, ...] = ()


def choose(query: Query, *, held: Collection[str], sort: Iterable[SortKey] = (), late: Collection[str] = ()) -> Choice:
    """For a narrowed query; `held` are the types the index has, `late` the parameters it was not made for."""
    types = types_named(query)
    if types is None or not types:
        return Choice(False, "no types are named")
    if not types.issubset(held):
        return Choice(False, f"the index does not hold {', '.join(sorted(types.difference(held)))}")
    conjuncts = query.parts if isinstance(query, All) else (query,)
    if any(map(_looks_up, conjuncts)):
        return Choice(False, "ids and identifiers are looked up in the database")
    if late and not {*_parameters(query), *(key.parameter for key in sort)}.isdisjoint(late):
        return Choice(False, "the index was made before one of the parameters")
    patients = _patients(conjuncts)
    if patients and has_inner(query):
        return Choice(False, "of a patient's resources the database asks each what it points to")
    return Choice(True, "about named patients" if patients else "across patients", patients)


def _looks_up(part: Query) -> bool:
    return isinstance(part, Match) and part.parameter in _LOOKUPS and all(map(_is_exact, part.tests))


def _is_exact(test: object) -> bool:
    return isinstance(test, TokenTest) and test.code is not None and not test.below


def _parameters(query: Query) -> Iterator[str]:
    for leaf in leaves(query):
        match leaf:
            case Match(name, _) | Missing(name) | Text(name, _, _):
                yield name.partition(":")[0]
            case _:
                pass


def _patients(conjuncts: Iterable[Query]) -> tuple[str, ...]:
    """Those of the conjunct that names the fewest."""
    named = [found for part in conjuncts if (found := _named(part))]
    return min(named, key=len, default=())


def _named(part: Query) -> tuple[str, ...]:
    found: list[str] = []
    match part:
        case InCompartment(patient):
            found = [patient]
        case FactIn("sole_patient", values):
            found = sorted(values)
        case Match(parameter, tests) if parameter in _ABOUT:
            for test in tests:
                if not isinstance(test, ReferenceTest) or test.key is None or test.key.type != PATIENT:
                    return ()
                found.append(test.key.id)
        case _:
            pass
    return tuple(found) if len(found) <= _MOST_PATIENTS else ()
