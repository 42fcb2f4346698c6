"""What a folder says of its own search parameters: one text, which every process follows, and how far a fill is."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.errors import Failure
from fhirmedia.r4.added import load_added, with_added
from fhirmedia.r4.registry import Registry

log = logging.getLogger("fhirmedia")

FOLLOW_S = 0.5
"""Seconds after which a process that serves knows what the folder says."""

NONE_ADDED = "[]"
_ADDED, _FILL = "added", "fill/"
_GET = "SELECT value FROM idx_state WHERE name = ?"
_SET = "INSERT OR REPLACE INTO idx_state (name, value) VALUES (?, ?)"
_CLEAR = "DELETE FROM idx_state WHERE name = ?"


class Fill(NamedTuple):
    """How far the resources written up to `until` are indexed by a parameter: those of `type` up to `after`.

    Types are done in the order of their names; 0 resources of the first type are done where `type` is empty. `dropped`
    are types that an earlier definition had and this one has not: they are rid of its values.
    """

    until: int
    type: str = ""
    after: int = 0
    dropped: Sequence[str] = ()


def added_text(connection: sqlite3.Connection) -> str:
    """What was added, as `r4.added.dump_added` writes it."""
    row = connection.execute(_GET, (_ADDED,)).fetchone()
    return NONE_ADDED if row is None else str(row[0])


def put_added(connection: sqlite3.Connection, text: str) -> None:
    """Say what is added from this transaction on."""
    connection.execute(_SET, (_ADDED, text))


def fill_of(connection: sqlite3.Connection, code: str) -> Fill | None:
    """How far the fill of a parameter is, if one has begun and not ended."""
    row = connection.execute(_GET, (_FILL + code,)).fetchone()
    return None if row is None else Fill(*json.loads(row[0]))


def put_fill(connection: sqlite3.Connection, code: str, fill: Fill | None) -> None:
    """Note how far it is; None: it has ended."""
    if fill is None:
        connection.execute(_CLEAR, (_FILL + code,))
    else:
        connection.execute(_SET, (_FILL + code, json.dumps(fill)))


def have_all_ready(connection: sqlite3.Connection) -> None:
    """Say that every resource is indexed by all that was added."""
    added = json.loads(added_text(connection))
    if added:
        put_added(connection, json.dumps([{**each, "ready": True} for each in added]))
    connection.execute("DELETE FROM idx_state WHERE name GLOB ?", (_FILL + "*",))


def added_in(path: Path) -> str:
    """The text of a folder's database. Raises Failure UNAVAILABLE."""
    try:
        with closing(open_reader(path)) as connection:
            return added_text(connection)
    except sqlite3.Error as error:
        raise failure_of(error) from error


class AddedParameters:
    """Keeps a Registry that serves a folder as the folder says, while the program runs.

    `own` is the program's Registry, `known` the text that `registry` was made with.
    """

    def __init__(self, path: Path, registry: Registry, *, own: Registry, known: str) -> None:
        self._connection = open_reader(path)
        self._registry, self._own = registry, own
        self._seen = known

    def follow(self) -> None:
        """Take over what is new. Raises Failure UNAVAILABLE, INVALID where this program cannot serve it."""
        try:
            text = added_text(self._connection)
        except sqlite3.Error as error:
            raise failure_of(error) from error
        if text != self._seen:
            self._registry.take_over(with_added(self._own, load_added(text, self._own)))
            self._seen = text

    async def run(self) -> None:
        """Follow for ever; what cannot be served stays out, which is said once."""
        is_said = False
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                self.follow()
            except Failure:
                if not is_said:
                    log.warning("the search parameters of the folder cannot be followed at present")
                is_said = True
            else:
                is_said = False

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
