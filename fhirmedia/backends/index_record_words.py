"""Words that the database does not keep, looked for in the records themselves, where there are few.

What stands beside the words is answered first. The words of the resources that leaves are made from their records and
judged as the reference evaluator judges them, and the Keys that hold them take the place of the words. Only what the
Caller may see counts: the limits of its Grant stand beside the words.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from fhirmedia.access.grant import types_named
from fhirmedia.backends.index_chains import one_of
from fhirmedia.backends.words_kept import WordsDroppedError, types_dropped
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import All, Chain, Has, Query, Text, has_inner, leaves, widest, with_leaves
from fhirmedia.r4.word_tests import text_matches

READ_AT_MOST = 2_000
"""So many resources are read for their words at most."""

Texts = Callable[[sqlite3.Connection, Sequence[Key]], Iterator[tuple[Key, Mapping[str, str]]]]
"""The texts of current resources by field, one after the other, as the connection sees them."""


class RecordWords:
    """Of one state of the index: `answer` finds resources, `inner` answers what is inside a query.

    `is_over` says whether the time of the search is.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        texts: Texts | None,
        *,
        is_over: Callable[[], bool],
        answer: Callable[[Query, Page], Hits],
        inner: Callable[[Query], Query],
    ) -> None:
        self._connection = connection
        self._texts = texts
        self._is_over = is_over
        self._answer = answer
        self._inner = inner

    def resolved(self, query: Query) -> Query:
        """An equal query without words the database does not keep.

        Raises WordsDroppedError among more than READ_AT_MOST resources, Failure TOO_COSTLY when the search is over.
        """
        if not asks_for_dropped(self._connection, query):
            return query
        # What is inside is left to whoever plans the search, unless the words stand there.
        query = with_leaves(query, self._without_words_inside)
        return self._read(query) if asks_for_dropped(self._connection, query) else query

    def _without_words_inside(self, leaf: Query) -> Query:
        return self._inner(leaf) if has_inner(leaf) and asks_for_dropped(self._connection, leaf) else leaf

    def _read(self, query: Query) -> Query:
        hits = self._answer(widest(query, _is_of_words), Page(READ_AT_MOST))
        if hits.next is not None or self._texts is None:
            raise WordsDroppedError
        holding: dict[Query, set[Key]] = {leaf: set() for leaf in leaves(query) if isinstance(leaf, Text)}
        for key, texts in self._texts(self._connection, hits.keys):
            for leaf, keys in holding.items():
                if isinstance(leaf, Text) and text_matches(leaf, texts.get(leaf.field, "")):
                    keys.add(key)
            if self._is_over():
                raise too_long()
        found = {leaf: one_of(keys) for leaf, keys in holding.items()}
        return All((one_of(set(hits.keys)), with_leaves(query, lambda leaf: found.get(leaf, leaf))))


def too_long() -> Failure:
    """What ends a search that is over before it is answered."""
    return Failure(Category.TOO_COSTLY, "The search takes too long; narrow it.")


def asks_for_dropped(connection: sqlite3.Connection, query: Query) -> bool:
    """Whether it asks, itself or inside, for words of resources that may be of types whose words are not kept."""
    scopes = list(_scopes(query))
    if not scopes:
        return False
    dropped = types_dropped(connection)
    return any(bool(dropped) if types is None else not types.isdisjoint(dropped) for types in scopes)


def _scopes(query: Query) -> Iterator[frozenset[str] | None]:
    """The types of the resources whose words are asked for, of the query and of each one inside; None: of any."""
    found = list(leaves(query))
    if any(isinstance(leaf, Text) for leaf in found):
        yield types_named(query)
    for leaf in found:
        match leaf:
            case Chain(_, inside) | Has(_, inside):
                yield from _scopes(inside)
            case _:
                pass


def _is_of_words(leaf: Query) -> bool:
    return isinstance(leaf, Text)
