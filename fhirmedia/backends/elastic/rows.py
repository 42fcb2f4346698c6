"""Rows of a document, in each of which a search must be met whole: composites, quantities, what is contained.

The engine keeps each row as a document of its own and refuses a document with more than 10 000 of them. So there is a
bound, in rows and in bytes: what has no room is left out whole, by kind, and the document says under `cut` which kinds
are. A search that asks rows of a kind has to look for documents without them, see `kinds_asked`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from fhirmedia.backends.elastic.placing import Json, Values, alternatives
from fhirmedia.r4.codec import dump
from fhirmedia.r4.contained import is_inside
from fhirmedia.r4.query import CompositeTest, Match, QuantityTest, Query
from fhirmedia.r4.values import SearchValue

ROWS_AT_MOST = 5_000
ROWS_BYTES = 4 * 2**20

_QUANTITIES, _COMPOSITES, _INSIDE, _COMPOSITES_INSIDE = "q", "g", "c", "cg"
"""The kinds, in the order in which they find room."""


def put_rows(document: Json, values: Iterable[tuple[str, Values]]) -> None:
    """Put in what these values of a resource, by code, say in rows; quantities of its own stand there already.

    Rows are made one by one, so that what has no room is not made either.
    """
    own: dict[str, list[tuple[str, Values]]] = {}
    contained: dict[str, list[tuple[str, Values]]] = {}
    inside: list[tuple[str, Values]] = []
    for code, several in values:
        if "$" in code:
            name, _, number = code.partition("$")
            (contained if is_inside(code) else own).setdefault(name, []).append((number, several))
        elif is_inside(code):
            inside.append((code, several))
    if not (own or contained or inside or "q" in document):
        return
    kinds: tuple[tuple[str, str, Iterator[Json]], ...] = (
        (_QUANTITIES, "q", iter(document.pop("q", ()))),
        (_COMPOSITES, "g", _combinations(own)),
        (_INSIDE, "c", _rows_inside(inside)),
        (_COMPOSITES_INSIDE, "g", _combinations(contained)),
    )
    rows_left, bytes_left, cut = ROWS_AT_MOST, ROWS_BYTES, list[str]()
    for kind, name, rows in kinds:
        found: list[Json] = []
        size = 0
        for row in rows:
            found.append(row)
            size += len(dump(row))
            if len(found) > rows_left or size > bytes_left:
                cut.append(kind)
                break
        else:
            rows_left, bytes_left = rows_left - len(found), bytes_left - size
            if found:
                document.setdefault(name, []).extend(found)
    if cut:
        document["cut"] = sorted(cut)


def kinds_asked(leaf: Query) -> frozenset[str]:
    """The kinds of rows that one test of a query looks for."""
    if not isinstance(leaf, Match):
        return frozenset()
    within = is_inside(leaf.parameter)
    kinds = set[str]()
    for test in leaf.tests:
        if isinstance(test, CompositeTest):
            kinds.add(_COMPOSITES_INSIDE if within else _COMPOSITES)
        elif within:
            kinds.add(_INSIDE)
        elif isinstance(test, QuantityTest):
            kinds.add(_QUANTITIES)
    return frozenset(kinds)


def _rows_inside(values: Iterable[tuple[str, Values]]) -> Iterator[Json]:
    """What contained resources say by each parameter."""
    for code, several in values:
        for row in alternatives(several):
            yield {"p": code, **row}


def _combinations(composites: dict[str, list[tuple[str, Values]]]) -> Iterator[Json]:
    """One row for each repetition of a composite, with the values of each part; one for each of its quantities.

    A composite one of whose parts nobody has is met by nothing.
    """
    for composite, parts in composites.items():
        if len(parts) < 2:
            continue
        by_number = {number: _grouped(values) for number, values in parts}
        for group in sorted(set.intersection(*(set(groups) for groups in by_number.values()))):
            each = [alternatives(groups[group]) for groups in by_number.values()]
            for combined in product(*each):
                yield {"p": composite, **dict(zip(by_number, combined, strict=True))}


def _grouped(values: Values) -> dict[int, Sequence[SearchValue]]:
    found: dict[int, list[SearchValue]] = {}
    for value in values:
        found.setdefault(value.group, []).append(value)
    return dict(found)
