"""Connections that note what the databases are asked, and how far they had to go for it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

STEP = 100
"""Instructions of SQLite between two counts."""

_SEARCHED = ("res_row", "idx_", "record_version")
_BACKGROUND = ("wal_checkpoint", "idx_state", "pending_text", "binary_content", "PRAGMA", "INSERT", "UPDATE", "DELETE")


class Watch:
    """What was asked since the last `clear`: statements without their values, and instructions run, in hundreds."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps = 0

    def clear(self) -> None:
        self.statements.clear()
        self.steps = 0


@contextmanager
def watched() -> Iterator[Watch]:
    """Every connection opened inside is watched, whatever opens it."""
    watch, connect = Watch(), sqlite3.connect

    class Watched(sqlite3.Connection):
        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            self.set_progress_handler(None, 0)

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if any(word in statement for word in _SEARCHED) and not any(word in statement for word in _BACKGROUND):
                watch.statements.append(statement)
            return super().execute(statement, *values)

        def set_progress_handler(self, handler: Callable[[], object] | None, steps: int) -> None:
            every = max(1, steps // STEP)
            passed = 0

            def counted() -> object:
                nonlocal passed
                watch.steps += 1
                passed += 1
                return handler() if handler is not None and passed % every == 0 else 0

            super().set_progress_handler(counted, STEP)

    with patch.object(sqlite3, "connect", lambda *words, **more: connect(*words, **more, factory=Watched)):
        yield watch
