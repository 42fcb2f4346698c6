"""Exact totals, remembered until something is committed: who asks how many there are often asks again."""

import sqlite3

from fhirmedia.backends.index_candidates import has_words, is_light
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import Query

MOST = 256
"""So many totals at once."""

_COUNT = Page(0, total="accurate")


class Totals:
    """What was counted in the state of the file that this connection, which never writes, saw last."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._state: int | None = None
        self._known: dict[Query, Hits] = {}

    @staticmethod
    def remembers(query: Query, page: Page) -> bool:
        """Whether this is only counted, and by rows of the index alone."""
        return page == _COUNT and is_light(query) and not has_words(query)

    def state(self) -> int:
        """A number that is another one after each commit of anybody else, in this process or not."""
        state = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        if state != self._state:
            self._state = state
            self._known.clear()
        return state

    def get(self, query: Query) -> Hits | None:
        """What `keep` was given since the last commit that `state` saw."""
        return self._known.get(query)

    def keep(self, query: Query, hits: Hits, *, since: int) -> None:
        """Remember what was counted in the state `since` or a later one."""
        if since == self._state and len(self._known) < MOST:
            self._known[query] = hits
