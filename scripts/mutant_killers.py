"""Which test killed which mutant the last time: `scripts/mutants.py` tries that one first, and any other after it.

The table is kept beside the tests (`tests/mutant_killers.json`: by test, the mutants by the beginning of their name's
SHA-256). It decides nothing but the order: a mutant it does not know, or whose killer is gone, takes longer.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


class Killers:
    """The table in a file; it may be missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
        self._test_of = {mark: test for test, marks in known.items() for mark in marks}

    def of(self, mutant: str) -> str | None:
        """The test that killed the mutant of this name."""
        return self._test_of.get(_mark(mutant))

    def note(self, mutant: str, test: str) -> None:
        """That one killed it now."""
        self._test_of[_mark(mutant)] = test

    def keep(self, mutants: Iterable[str]) -> None:
        """Write the table, of these mutants alone."""
        by_test: dict[str, list[str]] = {}
        for mark in sorted(map(_mark, mutants)):
            if mark in self._test_of:
                by_test.setdefault(self._test_of[mark], []).append(mark)
        self._path.write_text(json.dumps(by_test, indent=1, sort_keys=True) + "\n")


def _mark(mutant: str) -> str:
    return hashlib.sha256(mutant.encode()).hexdigest()[:12]
