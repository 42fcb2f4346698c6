"""Grant: what one Caller may touch, asked before an act, as part of every search, and again of every record.

    allow(action, record) =  some rule has the action and the type, and its rows hold        (rules unite)
                         and every restriction holds                                         (restrictions intersect)

Rows and restrictions are Queries over facts. They are compiled here to closures; engines compile the same Queries.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Literal

from fhirmedia.access.fact_rules import FactRule, compile_rule
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Chain,
    Has,
    OfType,
    Query,
    Text,
    leaves,
    with_leaves,
)
from fhirmedia.r4.texts import CONTENT, NARRATIVE

Action = Literal["create", "read", "update", "delete", "search"]

ACTIONS: tuple[Action, ...] = ("create", "read", "update", "delete", "search")

_SEAL = object()


_LISTING: tuple[Action, ...] = ("read", "search")
_SEARCHING: tuple[Action, ...] = ("search",)
_SAID = frozenset({CONTENT, NARRATIVE, "text"})
"""Fields of words that tell what documents say."""
_HOLDER = "Binary"  # type-name: it stands for what attachments say


@dataclass(frozen=True, slots=True)
class NarrowedQuery:
    """A Query with the Caller's limits built in. Only `Grant.narrow` makes one; anything else raises INTERNAL."""

    query: Query
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise Failure(Category.INTERNAL, "A search was not narrowed.")

    def inner(self) -> "Mapping[Query, NarrowedQuery]":
        """Each outermost Chain and Has in it, with the query inside, which was cut like the whole."""
        inner: dict[Query, NarrowedQuery] = {}
        for leaf in leaves(self.query):
            match leaf:
                case Chain(_, inside) | Has(_, inside):
                    inner[leaf] = NarrowedQuery(inside, _SEAL)
                case _:
                    pass
        return inner

    def answered(self, answers: Mapping[Query, Query]) -> "NarrowedQuery":
        """The same with what was found, as queries, in the place of these Chains and Has.

        They stand beside the Caller's limits and not in them, so that whatever takes their place widens nothing.
        """

        def answer(leaf: Query) -> Query:
            return answers[leaf] if isinstance(leaf, Chain | Has) else leaf

        return NarrowedQuery(with_leaves(self.query, answer), _SEAL)

    def and_also(self, part: Query) -> "NarrowedQuery":
        """What this test keeps of it, and so nothing more."""
        return NarrowedQuery(All((self.query, part)), _SEAL)


@dataclass(frozen=True, slots=True)
class Rule:
    """These actions on these types, for the records whose facts satisfy `rows`."""

    actions: frozenset[Action]
    types: frozenset[str]
    rows: Query


@dataclass(frozen=True, slots=True)
class Grant:
    """Rules unite, restrictions intersect; without rules: nothing.

    Rows and restrictions are made of All, Any, Not, OfType, FactIn, FactHas and FactToken; any other node raises
    INTERNAL when the Grant is made.
    """

    rules: tuple[Rule, ...]
    restrictions: tuple[Query, ...] = ()
    _compiled: tuple[FactRule, ...] = field(init=False, repr=False, compare=False)
    _limits: tuple[FactRule, ...] = field(init=False, repr=False, compare=False)
    _reaches: dict[tuple[frozenset[str], tuple[Action, ...]], Query] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", tuple(compile_rule(rule.rows) for rule in self.rules))
        object.__setattr__(self, "_limits", tuple(compile_rule(limit) for limit in self.restrictions))
        object.__setattr__(self, "_reaches", {})

    def may(self, action: Action, type: str) -> bool:
        """Whether some rule names this action on this type; which records it reaches is asked by `admits`."""
        return any(action in rule.actions and type in rule.types for rule in self.rules)

    def require(self, action: Action, type: str) -> None:
        """Raise Failure FORBIDDEN unless `may`."""
        if not self.may(action, type):
            raise Failure(Category.FORBIDDEN, f"The token does not allow {action} on {type}.")

    def admits(self, action: Action, key: Key, facts: Facts) -> bool:
        """Whether this act on this record is allowed. Microseconds; call it for every record that leaves or enters."""
        for rule, holds in zip(self.rules, self._compiled, strict=True):
            if action in rule.actions and key.type in rule.types and holds(key, facts):
                return all(limit(key, facts) for limit in self._limits)
        return False

    def rows(self, action: Action, type: str) -> Query:
        """Which records of the type the action reaches, restrictions included."""
        reached = tuple(rule.rows for rule in self.rules if action in rule.actions and type in rule.types)
        return _all((_any(reached), *self.restrictions))

    def listable(self, types: Iterable[str]) -> frozenset[str]:
        """Those of the types whose records a search may list: read and search are both allowed."""
        return frozenset(each for each in types if self.may("search", each) and self.may("read", each))

    def narrow(self, query: Query, *, types: Collection[str], listing: bool = True) -> NarrowedQuery:
        """The query cut to records of these types that the Caller may both read and search; or, not `listing`, search.

        Every query inside it (Chain, Has) is cut to the records the Caller may search of the types it names. Who asks
        for words of documents has to be allowed to read, too, and for those of contents to read Binary: word by word,
        they could be guessed. Raises Failure FORBIDDEN if one of the types may not be listed, or an inner query names a
        type that may not be searched; INTERNAL for an inner query that names no type.
        """
        actions = self._required(query, types, listing=listing)
        reach = self._reach(frozenset(types), actions)
        return NarrowedQuery(_all((reach, self._inside(query))), _SEAL)

    def _reach(self, types: frozenset[str], actions: tuple[Action, ...]) -> Query:
        """Records of these types that every one of the actions reaches; types with equal rows share a branch."""
        known = self._reaches.get((types, actions))
        if known is not None:
            return known
        alike: dict[Query, set[str]] = {}
        for each in sorted(types):
            alike.setdefault(_all(self.rows(action, each) for action in actions), set()).add(each)
        reach = _any(_all((OfType(frozenset(group)), rows)) for rows, group in alike.items())
        self._reaches[types, actions] = reach
        return reach

    def _inside(self, query: Query) -> Query:
        return with_leaves(query, self._cut)

    def _cut(self, leaf: Query) -> Query:
        match leaf:
            case Chain(parameter, target):
                return Chain(parameter, self._inner(target))
            case Has(parameter, source):
                return Has(parameter, self._inner(source))
            case _:
                return leaf

    def _inner(self, query: Query) -> Query:
        types = types_named(query)
        if types is None:
            raise Failure(Category.INTERNAL, "An inner query names no type.")
        return _all((self._reach(types, self._required(query, types, listing=False)), self._inside(query)))

    def _required(self, query: Query, types: Collection[str], *, listing: bool) -> tuple[Action, ...]:
        """What a query does to records of these types; raises Failure FORBIDDEN where that is not allowed."""
        said = _SAID.intersection(leaf.field for leaf in leaves(query) if isinstance(leaf, Text))
        actions = _LISTING if listing or said else _SEARCHING
        for each in sorted(types):
            for action in reversed(actions):
                self.require(action, each)
        if CONTENT in said:
            self.require("read", _HOLDER)
        return actions


def types_named(query: Query) -> frozenset[str] | None:
    """The types a query can select by its OfType nodes; None if it does not bound them."""
    match query:
        case OfType(types):
            return types
        case All(parts):
            bounds = [bound for part in parts if (bound := types_named(part)) is not None]
            return frozenset.intersection(*bounds) if bounds else None
        case Any(parts):
            each = [types_named(part) for part in parts]
            known = [bound for bound in each if bound is not None]
            return frozenset().union(*known) if len(known) == len(each) else None
        case _:
            return None


def _all(parts: Iterable[Query]) -> Query:
    """All of the parts, flat and without repetition."""
    flat: list[Query] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, All) else (part,))
    if NOTHING in flat:
        return NOTHING
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else All(unique)


def _any(parts: Iterable[Query]) -> Query:
    """Any of the parts, without repetition."""
    unique = tuple(dict.fromkeys(parts))
    if EVERYTHING in unique:
        return EVERYTHING
    return unique[0] if len(unique) == 1 else Any(unique)
