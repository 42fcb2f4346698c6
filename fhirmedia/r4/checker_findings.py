"""What the checker has found so far."""

from fhirmedia.core.errors import Issue
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.paths import Path, written

ISSUES_MAX = 50
"""Findings told at once; the walk ends there."""


class EnoughError(Exception):
    """Leaves the walk when ISSUES_MAX findings are told."""


class Findings:
    """The issues of one check; `local_ids` are the ids that `#id` may name in the `resource` being walked."""

    __slots__ = ("issues", "local_ids", "resource")

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.local_ids: frozenset[str] = frozenset()
        self.resource: JsonObject = {}

    def add(self, code: str, rule: str, path: Path) -> None:
        """Tell that the element at `path` breaks `rule` (the end of a sentence); raises EnoughError at the limit."""
        expression = written(path)
        self.issues.append(Issue(code, f"{expression} {rule}", expression))
        if len(self.issues) >= ISSUES_MAX:
            raise EnoughError
