"""Conditions: searches that mean one resource, judged inside the writer's transaction and narrowed by the Grant.

A match that the Caller may not read counts as none.
"""

from collections.abc import Collection, Iterable, Sequence

from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.proposal import Condition
from fhirmedia.ports.index import Page
from fhirmedia.ports.records import RecordTransaction
from fhirmedia.r4.evaluator import matches
from fhirmedia.r4.query import Query
from fhirmedia.r4.values import IndexEntries


class Conditions:
    """The conditions of one transaction, and what they came to.

    `names` are keys that stand in resources, each with the Key of what is meant by it; `seen` is given what is found.
    """

    def __init__(self, transaction: RecordTransaction, grant: Grant, seen: list[Record]) -> None:
        self._transaction = transaction
        self._grant = grant
        self._seen = seen
        self._judged: dict[tuple[str, Query], tuple[Condition, Key]] = {}
        self._targets: dict[tuple[str, Query], tuple[Condition, Key]] = {}
        self.names: dict[Key, Key] = {}

    def one(self, condition: Condition) -> Record | None:
        """The one match, None for none. Raises Failure PRECONDITION for several, FORBIDDEN, TOO_COSTLY."""
        found = self._matches(condition, most=2)
        self._seen += found
        if len(found) > 1:
            raise _several(condition)
        return found[0] if found else None

    def judged(self, condition: Condition, key: Key) -> None:
        """Note what a condition led to. Raises Failure INVALID where the same one has led to something else."""
        if self._judged.setdefault((condition.type, condition.query), (condition, key))[1] != key:
            raise _ambiguous(condition)

    def target(self, condition: Condition, coming: Iterable[IndexEntries], *, taken: Collection[Key]) -> Key:
        """What a reference by search means: one of the resources to be written, or one that is there and stays.

        `taken` are the Keys to be written or deleted. Raises Failure UNPROCESSABLE for no match, PRECONDITION for
        several, FORBIDDEN, TOO_COSTLY.
        """
        known = self._targets.get((condition.type, condition.query))
        if known is not None:
            return known[1]
        there = self._matches(condition, most=2 + sum(key.type == condition.type for key in taken))
        staying = [record for record in there if record.key not in taken]
        self._seen += staying
        keys = [record.key for record in staying]
        keys += [entries.key for entries in coming if _selects(condition, entries)]
        if not keys:
            raise _unmatched(condition)
        if len(keys) > 1:
            raise _several(condition)
        self._targets[condition.type, condition.query] = (condition, keys[0])
        return keys[0]

    def confirm(self) -> None:
        """Ask all conditions again, now that everything is written.

        Raises Failure PRECONDITION where one has come to mean another resource, UNPROCESSABLE where a reference leads
        to none after all.
        """
        for condition, key in self._judged.values():
            if any(record.key != key for record in self._matches(condition, most=2)):
                raise _ambiguous(condition)
        for condition, key in self._targets.values():
            keys = [record.key for record in self._matches(condition, most=2)]
            if len(keys) > 1:
                raise _several(condition)
            if keys != [key]:
                raise _unmatched(condition)

    def _matches(self, condition: Condition, *, most: int) -> Sequence[Record]:
        narrowed = self._grant.narrow(condition.query, types=(condition.type,))
        keys = self._transaction.search(narrowed, page=Page(most)).keys
        found = (self._transaction.current(key) for key in keys)
        live = (record for record in found if record is not None and not record.deleted)
        return [record for record in live if self._grant.admits("read", record.key, record.facts)]


def _selects(condition: Condition, entries: IndexEntries) -> bool:
    """Whether a resource to be written is meant; one that other resources decide about is judged when all is written.

    Whether the Caller may read it is asked then, too.
    """
    try:
        return matches(condition.query, entries, Facts())
    except Failure as failure:
        if failure.category is Category.NOT_IMPLEMENTED:
            return False
        raise


def _several(condition: Condition) -> Failure:
    text = "The search matches more than one resource, where it has to mean one."
    return Failure(Category.PRECONDITION, text, code="multiple-matches", expression=condition.place)


def _ambiguous(condition: Condition) -> Failure:
    text = "The Bundle would make more than one resource match the condition."
    return Failure(Category.PRECONDITION, text, code="multiple-matches", expression=condition.place)


def _unmatched(condition: Condition) -> Failure:
    text = "The reference by search does not lead to a resource that may be read."
    return Failure(Category.UNPROCESSABLE, text, code="not-found", expression=condition.place)
