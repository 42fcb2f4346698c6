"""Query: the engine-neutral tree a search becomes, and the language access rules are written in.

Every node is immutable and hashable. The parser has resolved all that needs the Registry, the clock, the time zone or
our base URL, so that an engine compiles a Query without knowing FHIR. `str(query)` holds no values and is safe to log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.records import Key

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class TokenTest:
    """`code`: any system; `system|code`; `system|`: any code of it; `|code` (`no_system`): the element states none.

    `below`: of a media type, what begins with it as well (`image` has `image/png`, which has `image/png;x=y`).
    """

    code: str | None = None
    system: str | None = None
    no_system: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True)
class DateTest:
    """A prefix and the query's own range `[lo, hi)` in milliseconds UTC; for `ap` already widened."""

    prefix: Prefix
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class ReferenceTest:
    """A local record, any version unless one is named; or an absolute URL; or a logical identifier.

    `untyped`: the id alone was asked for, and may be of other types as well. `below`: the URL is a canonical with a
    business version, and versions under that one are meant as well (`1.2` has `1.2.3`).
    """

    key: Key | None = None
    version: int | None = None
    url: str | None = None
    identifier: TokenTest | None = None
    untyped: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True)
class StringTest:
    """`starts`, `contains` compare plain forms, `exact` compares NFC text."""

    mode: Literal["starts", "contains", "exact"]
    text: str


@dataclass(frozen=True, slots=True)
class UriTest:
    """`below`: equal or under `value/`; `above`: one of its parents or itself; `begins`: begins with the value."""

    mode: Literal["exact", "below", "above", "begins"]
    value: str


@dataclass(frozen=True, slots=True)
class NumberTest:
    """A prefix and the range the written digits stand for."""

    prefix: Prefix
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class QuantityTest:
    """A number with its unit: system and code, or code-or-printed-unit (`unit`), or any."""

    number: NumberTest
    system: str | None = None
    code: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class CompositeTest:
    """Each part: the component's own index parameter and its test; all are met within one group."""

    parts: tuple[tuple[str, "Test"], ...]


Test = TokenTest | DateTest | ReferenceTest | StringTest | UriTest | NumberTest | QuantityTest | CompositeTest


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts: everything."""

    parts: "tuple[Query, ...]"

    def __str__(self) -> str:
        return f"(all {' '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class Any:
    """Some part holds; without parts: nothing."""

    parts: "tuple[Query, ...]"

    def __str__(self) -> str:
        return f"(any {' '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold, for the whole set of values (`:not`)."""

    part: "Query"

    def __str__(self) -> str:
        return f"(not {self.part})"


@dataclass(frozen=True, slots=True)
class Match:
    """Some value of the parameter satisfies some test; `tests` is an OR list and never empty."""

    parameter: str
    tests: tuple[Test, ...]

    def __str__(self) -> str:
        return f"(match {self.parameter} {len(self.tests)})"


@dataclass(frozen=True, slots=True)
class Missing:
    """The resource has no value of the parameter."""

    parameter: str

    def __str__(self) -> str:
        return f"(missing {self.parameter})"


@dataclass(frozen=True, slots=True)
class OfType:
    """The resource is of one of these types."""

    types: frozenset[str]

    def __str__(self) -> str:
        return f"(of-type {' '.join(sorted(self.types))})"


@dataclass(frozen=True, slots=True)
class InCompartment:
    """The resource is in the compartment of this Patient, or is the Patient itself."""

    patient: str

    def __str__(self) -> str:
        return "(in-compartment)"


@dataclass(frozen=True, slots=True)
class Chain:
    """Some value of the reference parameter points to a resource that the inner query selects."""

    parameter: str
    target: "Query"

    def __str__(self) -> str:
        return f"(chain {self.parameter} {self.target})"


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource the inner query selects points here through its reference parameter (`_has`)."""

    parameter: str
    source: "Query"

    def __str__(self) -> str:
        return f"(has {self.parameter} {self.source})"


@dataclass(frozen=True, slots=True)
class Text:
    """Words: alternatives (OR) of conjunctions; each term a word prefix or, with blanks, an adjacent phrase."""

    field: str
    alternatives: tuple[tuple[str, ...], ...]
    excluded: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"(text {self.field})"


SingleFact = Literal["sole_patient", "unit", "enterprise", "encounter", "status", "source", "confidentiality", "id"]
SetFact = Literal["labels", "authors"]


@dataclass(frozen=True, slots=True)
class FactIn:
    """A single-valued fact is one of these; a missing fact is none of them.

    `sole_patient` is the Patient of a record whose facts name exactly one; `id` is the record's own id.
    """

    fact: SingleFact
    values: frozenset[str]

    def __str__(self) -> str:
        return f"(fact {self.fact})"


@dataclass(frozen=True, slots=True)
class FactHas:
    """A set-valued fact shares a member with these."""

    fact: SetFact
    values: frozenset[str]

    def __str__(self) -> str:
        return f"(fact-has {self.fact})"


@dataclass(frozen=True, slots=True)
class FactToken:
    """The scopable token parameter, as kept in the facts, has one of these `system|code` or bare `code` values."""

    parameter: str
    values: frozenset[str]

    def __str__(self) -> str:
        return f"(fact-token {self.parameter})"


Query = All | Any | Not | Match | Missing | OfType | InCompartment | Chain | Has | Text | FactIn | FactHas | FactToken

EVERYTHING = All(())
NOTHING = Any(())


def leaves(query: Query) -> Iterator[Query]:
    """What a query tests, whatever it makes of that; a Chain or Has is one test, and not entered."""
    match query:
        case All(parts) | Any(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield query


def has_inner(query: Query) -> bool:
    """Whether there is a query inside the query."""
    return any(isinstance(leaf, Chain | Has) for leaf in leaves(query))


def with_leaves(query: Query, change: Callable[[Query], Query]) -> Query:
    """The query with something else in the place of each of its `leaves`."""
    match query:
        case All(parts):
            return All(tuple(with_leaves(part, change) for part in parts))
        case Any(parts):
            return Any(tuple(with_leaves(part, change) for part in parts))
        case Not(part):
            return Not(with_leaves(part, change))
        case _:
            return change(query)


def widest(query: Query, is_open: Callable[[Query], bool], *, negated: bool = False) -> Query:
    """What selects all that the query may select, whatever becomes of those `leaves` that are open."""
    match query:
        case All(parts):
            return All(tuple(widest(part, is_open, negated=negated) for part in parts))
        case Any(parts):
            return Any(tuple(widest(part, is_open, negated=negated) for part in parts))
        case Not(part):
            return Not(widest(part, is_open, negated=not negated))
        case _ if is_open(query):
            return NOTHING if negated else EVERYTHING
        case _:
            return query


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`; `_id` sorts by Key."""

    parameter: str
    descending: bool = False
