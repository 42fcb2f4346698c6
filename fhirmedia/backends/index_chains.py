"""Queries inside a query (Chain, Has) answered first, so that the Keys they find can begin the search around them.

Asked row by row, a chain costs a look at another resource for each candidate. That is right where ids, a few Patients
or a rare value bound the candidates. Everywhere else the inner query runs by itself and its Keys take its place. Where
a hop goes through more than 10 000 Keys, what stands beside the chains is answered first; the search is refused if that
leaves too many candidates, too.
"""

from collections.abc import Callable, Sequence

from fhirmedia.backends.index_candidates import conjuncts, has_words
from fhirmedia.backends.index_plan import Planner
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Hits, Page, Pointer
from fhirmedia.r4.query import (
    NOTHING,
    All,
    Any,
    Chain,
    FactIn,
    Has,
    Match,
    OfType,
    Query,
    ReferenceTest,
    has_inner,
    with_leaves,
)

HOP_AT_MOST = 10_000
BOUNDED = 2_000
"""Up to so many candidates that ids or Patients lead to, each is asked about its chains by itself."""

FEW = 500
"""The same of candidates that a value or a stretch of time leads to."""

Answer = Callable[[Query, Page], Hits]
Point = Callable[[Sequence[Key], Sequence[str]], Sequence[Pointer]]


class Chains:
    """Of one state of the index: `answer` runs a query without inner ones, `point` follows parameters."""

    def __init__(self, planner: Planner, answer: Answer, point: Point) -> None:
        self._planner = planner
        self._answer = answer
        self._point = point

    def resolved(self, query: Query) -> Query:
        """An equal query, without inner ones where they would be costly. Raises Failure TOO_COSTLY."""
        if not has_inner(query) or has_few_outside(query, self._planner):
            return query
        try:
            return self.answered(query)
        except Failure:
            bounded = self._from_outside(query)
            if bounded is None:
                raise
            return bounded

    def _from_outside(self, query: Query) -> Query | None:
        """The query with the Keys of what stands beside the inner queries, if they are few.

        Only what the Caller may see counts: the limits of its Grant stand beside them, too.
        """
        parts = list(conjuncts(query))
        beside = All(tuple(part for part in parts if not has_inner(part)))
        hits = self._answer(beside, Page(BOUNDED))
        if hits.next is not None:
            return None
        return All((one_of(set(hits.keys)), *filter(has_inner, parts)))

    def answered(self, query: Query) -> Query:
        """The query with what its inner ones find in their place. Raises Failure TOO_COSTLY."""
        return with_leaves(query, self._answered)

    def _answered(self, leaf: Query) -> Query:
        match leaf:
            case Chain(parameter, target):
                keys = self._found(target)
                return Match(parameter, tuple(map(ReferenceTest, keys))) if keys else NOTHING
            case Has(parameter, source):
                return one_of({pointer.key for pointer in self._point(self._found(source), (parameter,))})
            case _:
                return leaf

    def _found(self, query: Query) -> Sequence[Key]:
        hits = self._answer(self.resolved(query), Page(HOP_AT_MOST))
        if hits.next is not None:
            text = f"A chain goes through more than {HOP_AT_MOST} resources; narrow what it asks of them."
            raise Failure(Category.TOO_COSTLY, text)
        return hits.keys


def has_few_outside(query: Query, planner: Planner) -> bool:
    """Whether what stands beside inner queries leads to so few candidates that each is asked by itself."""
    if planner.is_bounded(query, limit=BOUNDED):
        return True
    return not has_words(query) and planner.begins_with(query, limit=FEW)


def one_of(keys: set[Key]) -> Query:
    """The resources of these Keys."""
    by_type: dict[str, set[str]] = {}
    for key in keys:
        by_type.setdefault(key.type, set()).add(key.id)
    named = tuple(All((OfType(frozenset({kind})), FactIn("id", frozenset(ids)))) for kind, ids in by_type.items())
    return named[0] if len(named) == 1 else Any(named)
