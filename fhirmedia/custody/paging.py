"""Pages of a search as interactions see them: plain values that a cursor can carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhirmedia.core.records import Key, Record
from fhirmedia.ports.index import Freshness, Page, Position
from fhirmedia.r4.query import SortKey

Bookmark = list[Any]
"""A Position as JSON: sort values, type, id."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One step of a walk through a search; `after` is the bookmark the previous page ended with."""

    count: int
    sort: tuple[SortKey, ...] = ()
    after: Bookmark | None = None
    total: Literal["none", "accurate", "bounded"] = "none"
    strong: bool = False

    def page(self) -> Page:
        """The same for a search engine."""
        after = None
        if self.after is not None:
            values, kind, identity = self.after
            after = Position(tuple(values), Key(kind, identity))
        return Page(self.count, self.sort, after, self.total, strong=self.strong)


@dataclass(frozen=True, slots=True)
class Found:
    """Records of a page in order, the total if it was counted, and the bookmark of its end (None: nothing follows).

    `included` are records that go along with them; `freshness` as of `Hits`.
    """

    records: Sequence[Record]
    total: int | None
    after: Bookmark | None
    included: Sequence[Record] = ()
    freshness: Freshness | None = None


def bookmark(position: Position | None) -> Bookmark | None:
    """A Position as a cursor carries it."""
    return None if position is None else [list(position.values), position.key.type, position.key.id]
