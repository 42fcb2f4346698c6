"""What documents look like: which types stand in which index, and which parameters have values of which kind."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from fhirmedia.r4.collation import SORTED
from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.registry import Registry, SearchParameter
from fhirmedia.r4.texts import CONTENT, NARRATIVE, OF_CODED
from fhirmedia.r4.tokens import OF_TYPE
from fhirmedia.r4.ucum import CANONICAL

FORMAT = 6
"""Number of the form documents have; raised whenever a document made before would be read wrongly."""

COLLATION = "collation"
"""The kind of values that are sorted by and nothing else."""

Scalar = Literal["long", "double", "keyword"]
"""What a parameter is sorted by."""

_NUMERIC: dict[str, Scalar] = {"date": "long", "number": "double", "quantity": "double"}
_UNSORTED = frozenset({"composite", "special"})


@dataclass(frozen=True, slots=True)
class Family:
    """Types that share an index; `kinds` says of each code of theirs which kinds its values are of.

    A code is a parameter's, one of its identifiers by type (`identifier:of-type`), or a part of a composite
    (`relationship$1`). `texts` are fields of words, `facets` the token parameters that are counted by value; `parts`
    numbers of the parts composites have, those of contained resources included.
    """

    name: str
    types: frozenset[str]
    kinds: Mapping[str, frozenset[str]] = field(repr=False)
    texts: frozenset[str] = field(repr=False)
    facets: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shape:
    """All families. A type is in one of them at most."""

    families: tuple[Family, ...]

    @property
    def types(self) -> frozenset[str]:
        """The types documents are kept of."""
        return frozenset(each for family in self.families for each in family.types)

    def family(self, type: str) -> Family | None:
        """Where documents of a type are kept."""
        return next((family for family in self.families if type in family.types), None)

    def holding(self, types: Collection[str] | None) -> tuple[Family, ...]:
        """The families in which there may be documents of these types; None for whatever type."""
        return tuple(each for each in self.families if types is None or not each.types.isdisjoint(types))

    def scalar(self, code: str) -> Scalar | None:
        """What resources of all types are sorted by under a code; None where nobody has it, or not to sort by."""
        kinds = {kind for family in self.families for kind in family.kinds.get(code, ())} - _UNSORTED
        if not kinds:
            return None
        found = {_NUMERIC.get(kind, "keyword") for kind in kinds}
        if "keyword" in found:
            return "keyword"
        return "double" if "double" in found else "long"


@lru_cache(maxsize=16_384)
def is_sorted(code: str) -> bool:
    """Whether it has a sort key: parts of composites and identifiers by type have none, and ids are sorted by Key."""
    return "$" not in code and code != "_id" and (":" not in code or code.endswith(SORTED))


Listing = Mapping[str, Mapping[str, Sequence[str]]]
"""The families by name: their `types` and `facets`."""


def listing() -> Listing:
    """What is kept in the engine, as `profiles/search-engine.json` lists it."""
    found: Listing = json.loads((profiles() / "search-engine.json").read_text("utf-8"))
    return found


def shape_of(registry: Registry, listed: Listing) -> Shape:
    """What a Registry says at this moment about the types that are listed."""
    return Shape(tuple(_family(registry, name, row["types"], row["facets"]) for name, row in listed.items()))


def _family(registry: Registry, name: str, types: Sequence[str], facets: Sequence[str]) -> Family:
    kinds: dict[str, set[str]] = {}
    texts = {NARRATIVE, CONTENT}
    for each in types:
        for parameter in registry.types[each].indexed.values():
            for code, kind in _codes(parameter):
                kinds.setdefault(code, set()).add(kind)
            if parameter.kind == "special":
                texts.add(parameter.code)
            elif parameter.kind == "token":
                texts.add(parameter.code + OF_CODED)
    fixed = {code: frozenset(several) for code, several in kinds.items()}
    parts = {
        part.parameter.partition("$")[2]
        for served in registry.types.values()
        for parameter in served.indexed.values()
        for part in parameter.components
    }
    return Family(name, frozenset(types), fixed, frozenset(texts), frozenset(facets), frozenset(parts))


def _codes(parameter: SearchParameter) -> Iterator[tuple[str, str]]:
    yield parameter.code, parameter.kind
    if parameter.kind == "token":
        yield parameter.code + OF_TYPE, "token"
    if parameter.kind == "string":
        yield parameter.code + SORTED, COLLATION
    if parameter.kind == "quantity":
        yield parameter.code + CANONICAL, "quantity"
    yield from ((part.parameter, part.kind) for part in parameter.components)


def fingerprint_of(registry: Registry, listed: Listing, *, zone: str, base_url: str, language: str) -> str:
    """What documents are made by: the parameters of the program, the zone of dates, the base below which references are
    ours, the language names are sorted in, the form of documents.

    Parameters that were added to an installation are left out: a document gets those when it is written anew.
    """
    added = {str(each["url"]) for each in registry.added}
    rows = [
        (
            each,
            code,
            found.kind,
            found.url,
            found.expression,
            found.targets,
            [part.expression for part in found.components],
        )
        for row in listed.values()
        for each in sorted(row["types"])
        for code, found in sorted(registry.types[each].indexed.items())
        if found.url not in added
    ]
    said = json.dumps([FORMAT, zone, base_url, language, listed, rows])
    return hashlib.sha256(said.encode()).hexdigest()[:32]
