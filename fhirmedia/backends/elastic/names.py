"""What the indices of a generation are called: `fhirmedia-3f2a-res`, and the name they are written under."""

import re
from collections.abc import Iterable

from fhirmedia.backends.elastic.shape import Family
from fhirmedia.core.errors import Category, Failure

_GENERATION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class Names:
    """Names that begin with the prefix of an installation."""

    def __init__(self, prefix: str, families: Iterable[str]) -> None:
        self._prefix = prefix
        self._families = "|".join(map(re.escape, families))

    def index(self, generation: str, family: Family) -> str:
        """Where it is searched. Raises Failure INTERNAL for a generation that cannot be part of a name."""
        if not _GENERATION.fullmatch(generation):
            raise Failure(Category.INTERNAL, "A generation is named by small letters, digits and hyphens.")
        return f"{self._prefix}-{generation}-{family.name}"

    def written(self, generation: str, family: Family) -> str:
        """The alias it is written under: an index that is gone is never made anew by a write."""
        return f"{self.index(generation, family)}-write"

    def pattern(self) -> str:
        """What all of the installation match, and perhaps others."""
        return f"{self._prefix}-*"

    def generation(self, index: str) -> str | None:
        """The generation an index is of; None for an index of somebody else."""
        found = re.fullmatch(rf"{re.escape(self._prefix)}-({_GENERATION.pattern})-(?:{self._families})", index)
        return found[1] if found else None
