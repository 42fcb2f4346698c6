"""The one reference reading of a Query: whether a resource's index entries and facts satisfy it, and in which order.

Engines may be clever; this stays obvious. It is what every engine is tested against.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    CompositeTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    SortKey,
    Text,
)
from fhirmedia.r4.value_tests import satisfies
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)
from fhirmedia.r4.word_tests import text_matches

SortValue = int | float | str | None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A current resource as it is searched: its entries and its facts."""

    entries: IndexEntries
    facts: Facts


class World(Protocol):
    """The other current resources, for a Query that looks beyond the resource at hand."""

    def at(self, key: Key) -> Indexed | None:
        """The resource of that Key, or None."""

    def everything(self) -> Iterable[Indexed]:
        """All of them."""


def matches(query: Query, entries: IndexEntries, facts: Facts, *, world: World | None = None) -> bool:
    """Whether the resource satisfies the query.

    Raises Failure NOT_IMPLEMENTED for a chain or `_has` where no `world` is given: they cannot be judged alone.
    """
    match query:
        case All(parts):
            return all(matches(part, entries, facts, world=world) for part in parts)
        case Any(parts):
            return any(matches(part, entries, facts, world=world) for part in parts)
        case Not(part):
            return not matches(part, entries, facts, world=world)
        case Match():
            return _has_value(query, entries)
        case Missing(parameter):
            return not entries.values.get(parameter)
        case OfType(types):
            return entries.key.type in types
        case InCompartment(patient):
            return patient in entries.patients or entries.key == Key("Patient", patient)  # type-name: it is in its own
        case Chain(parameter, target):
            return _leads_to(target, _targets(parameter, entries), _known(world))
        case Has(parameter, source):
            return _pointed_at(parameter, source, entries.key, _known(world))
        case Text():
            return text_matches(query, entries.texts.get(query.field, ""))
        case FactIn():
            return _single_fact(query, entries.key, facts) in query.values
        case FactHas(fact, values):
            return not values.isdisjoint(facts.labels if fact == "labels" else facts.authors)
        case FactToken(parameter, values):
            return any(_is_kept_as(kept, values) for kept in facts.tokens.get(parameter, ()))
        case _:
            assert_never(query)


def _has_value(query: Match, entries: IndexEntries) -> bool:
    for test in query.tests:
        if isinstance(test, CompositeTest):
            if _meet_in_one_group(test, entries):
                return True
        elif any(satisfies(value, test) for value in entries.values.get(query.parameter, ())):
            return True
    return False


def _meet_in_one_group(test: CompositeTest, entries: IndexEntries) -> bool:
    groups = [
        {value.group for value in entries.values.get(parameter, ()) if satisfies(value, part)}
        for parameter, part in test.parts
    ]
    return bool(set.intersection(*groups))


def _is_kept_as(kept: str, values: frozenset[str]) -> bool:
    """A wanted value with a bar names system and code, one without names the code alone."""
    code = kept.partition("|")[2]
    return kept in values or ("|" not in code and code in values)


def _single_fact(query: FactIn, key: Key, facts: Facts) -> str | None:
    match query.fact:
        case "sole_patient":
            return facts.patients[0] if len(facts.patients) == 1 else None
        case "unit":
            return facts.unit
        case "enterprise":
            return facts.enterprise
        case "encounter":
            return facts.encounter
        case "status":
            return facts.status
        case "source":
            return facts.source
        case "confidentiality":
            return facts.confidentiality
        case "id":
            return key.id
        case _:
            assert_never(query.fact)


def _known(world: World | None) -> World:
    if world is None:
        raise Failure(Category.NOT_IMPLEMENTED, "a search through other resources cannot be judged on one alone")
    return world


def _targets(parameter: str, entries: IndexEntries) -> frozenset[Key]:
    values = entries.values.get(parameter, ())
    return frozenset(value.key for value in values if isinstance(value, ReferenceValue) and value.key is not None)


def _leads_to(query: Query, keys: Iterable[Key], world: World) -> bool:
    targets = (target for target in map(world.at, keys) if target is not None)
    return any(matches(query, target.entries, target.facts, world=world) for target in targets)


def _pointed_at(parameter: str, query: Query, key: Key, world: World) -> bool:
    return any(
        key in _targets(parameter, source.entries) and matches(query, source.entries, source.facts, world=world)
        for source in world.everything()
    )


def sort_tuple(entries: IndexEntries, sort: Sequence[SortKey]) -> tuple[SortValue, ...]:
    """What the resource is sorted by, one value for each key; None where it has none.

    Of several values the smallest counts ascending, the largest descending (FHIR R4, search, sorting). Times count by
    their beginning.
    """
    return tuple(_sort_value(entries, key) for key in sort)


def _sort_value(entries: IndexEntries, key: SortKey) -> SortValue:
    if key.parameter == "_id":
        return str(entries.key)
    scalars = [scalar for scalar in map(_scalar, entries.values.get(key.parameter, ())) if scalar is not None]
    if not scalars:
        return None
    # One parameter has values of one kind, so they compare with each other.
    return max(scalars) if key.descending else min(scalars)


def _scalar(value: SearchValue) -> SortValue:
    match value:
        case TokenValue():
            return value.code
        case DateValue() | NumberValue() | QuantityValue():
            return value.lo
        case ReferenceValue():
            return value.url if value.key is None else str(value.key)
        case StringValue():
            return value.plain
        case UriValue():
            return value.value
        case _:
            assert_never(value)


def compare(
    first: tuple[Sequence[SortValue], Key], second: tuple[Sequence[SortValue], Key], *, sort: Sequence[SortKey]
) -> int:
    """Negative, zero or positive as the first comes before, with or after the second.

    Each is a sort tuple and its Key. What is missing comes last in both directions; the Key, ascending, decides ties.
    """
    for key, one, other in zip(sort, first[0], second[0], strict=True):
        if one == other:
            continue
        if one is None or other is None:
            return 1 if one is None else -1
        smaller = one < other  # type: ignore[operator]  # one parameter has values of one kind
        return -1 if smaller != key.descending else 1
    return (first[1] > second[1]) - (first[1] < second[1])
