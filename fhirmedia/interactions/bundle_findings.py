"""Work through many entries: everything wrong with them told at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.custody.proposal import located

ISSUES_MAX = 200


@dataclass(slots=True)
class Findings:
    """What is wrong with the entries; of several failures the first decides the category."""

    category: Category | None = None
    issues: list[Issue] = field(default_factory=list)

    @contextmanager
    def of(self, place: str, kind: str | None = None) -> Iterator[None]:
        """Keep a Failure, told below the entry of this place, or below its resource, which is of this type."""
        try:
            yield
        except Failure as failure:
            self.add(located(failure, place, kind))

    def add(self, failure: Failure) -> None:
        """Keep a Failure that says itself where it belongs."""
        self.category = self.category or failure.category
        self.issues += failure.issues[: ISSUES_MAX - len(self.issues)]

    def settle(self) -> None:
        """Raise what was found, if anything was."""
        if self.category is not None:
            raise Failure(self.category, issues=self.issues)
