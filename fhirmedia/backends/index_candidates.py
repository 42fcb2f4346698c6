"""Where a search begins: the smallest set of resources known to contain every answer.

Trusted in this order: ids, one Patient, a few Patients, then whatever `index_drivers` finds to have the fewest rows.
What negates or tests for absence never begins a search.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from fhirmedia.access.grant import types_named
from fhirmedia.backends.index_compile import Compiler, SearchTerms
from fhirmedia.backends.index_dialect import TRUE, Dialect, Sql, every, sql
from fhirmedia.backends.index_resource import Row, row_by_rid, row_of
from fhirmedia.backends.index_tables import PATIENT
from fhirmedia.backends.index_values import HOT
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    FactIn,
    Has,
    InCompartment,
    Match,
    OfType,
    Query,
    ReferenceTest,
    Text,
    TokenTest,
    leaves,
)
from fhirmedia.r4.word_tests import words_in

_FEW = 100
"""More Patients than this do not begin a search."""

_LIGHT = 64
"""So many tests of a candidate, at most, are little work."""

READ_AT_MOST = 300
"""Up to so many candidates, the words of each are read; it takes about as long to find a common word in an archive."""

_OF_R = re.compile(r"\br\.")


class Snapshot(SearchTerms, Protocol):
    """What planning may ask of the database, all of it cheap."""

    def count(self, rows: Sql) -> int:
        """How many rows a SELECT gives."""

    def numbers(self, rows: Sql) -> list[int]:
        """The rows of a SELECT of one number each."""

    def types(self) -> list[str]:
        """Every type that has a resource, in order."""

    def size(self) -> int:
        """About how many resources there are, rather too many than too few."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """A FROM clause and its own condition; `rows` is how many at most, None if nobody knows.

    `over`: there are more than so many. `joined` follows the source where a column of the alias `r` is asked for. `met`
    is the part of the query that every candidate fulfils, if the source says precisely that. `listed`: they are known
    by their rids already.
    """

    name: str
    source: Sql
    base: Sql
    row: Row
    rows: int | None = None
    met: Query | None = None
    joined: str = ""
    over: int = 0
    listed: bool = False

    def first(self, limit: int) -> Sql:
        """A SELECT of so many candidates at most."""
        return sql("SELECT 1 FROM {} WHERE {} LIMIT {}", self.source, self.base, Sql("?", (limit,)))

    def source_for(self, *pieces: Sql) -> Sql:
        """The FROM clause of a statement made of these pieces."""
        if self.joined and any(_OF_R.search(piece.text) for piece in pieces):
            return sql("{} " + self.joined, self.source)
        return self.source


EVERYTHING = Candidates("all", Sql("res_row r"), TRUE, row_of("r"))
"""All resources."""


def by_type(query: Query, dialect: Dialect) -> Candidates:
    """All resources of the types the query names, if it names any."""
    types = types_named(query)
    if types is None:
        return EVERYTHING
    named = OfType(types)
    met = named if named in conjuncts(query) else None
    return replace(EVERYTHING, base=dialect.among("r.type", types), met=met)


def conjuncts(query: Query) -> Iterator[Query]:
    """The parts that must all hold."""
    if isinstance(query, All):
        for part in query.parts:
            yield from conjuncts(part)
    else:
        yield query


def is_light(query: Query) -> bool:
    """Whether judging one candidate is little work: no other resources, and not many tests."""
    return sum(map(_weight, leaves(query))) <= _LIGHT


def _weight(leaf: Query) -> int:
    match leaf:
        case Match(_, tests):
            return len(tests)
        case Text():
            return 2 * words_in(leaf)
        case Chain() | Has():
            return _LIGHT + 1
        case _:
            return 1


def has_words(query: Query) -> bool:
    """Whether words are asked for, other than of what a Chain or Has leads to."""
    return any(isinstance(leaf, Text) for leaf in leaves(query))


def by_key(query: Query, compiler: Compiler, snapshot: Snapshot) -> Candidates | None:
    """Where ids bound the answer: look-ups by type and id."""
    ids = _ids_named(query)
    if ids is None:
        return None
    types = types_named(query)
    among = compiler.dialect.among
    base = every((among("r.type", snapshot.types() if types is None else types), among("r.id", ids)))
    return Candidates("ids", Sql("res_row r"), base, row_of("r"))


def _ids_named(query: Query) -> frozenset[str] | None:
    """The ids that bound the answer, or None."""
    match query:
        case FactIn("id", values):
            return values
        case Match("_id", tests) if all(isinstance(test, TokenTest) and test.code is not None for test in tests):
            return frozenset(test.code for test in tests if isinstance(test, TokenTest) and test.code is not None)
        case All(parts):
            return _smallest(map(_ids_named, parts))
        case Any(parts):
            return _union(map(_ids_named, parts))
        case _:
            return None


def by_patient(query: Query, dialect: Dialect) -> Candidates | None:
    """Where Patients bound the answer: their rows, for a single one in the order of a timeline."""
    patients = patients_named(query)
    if patients is None or not 0 < len(patients) <= _FEW:
        return None
    if len(patients) == 1:
        (patient,) = patients
        return Candidates(
            "patient",
            Sql("idx_patient p"),
            Sql("p.patient = ?", (patient,)),
            Row("p.rid", dialect.tested("p.type"), "p.id", "p.recency", "r", patient),
            joined="CROSS JOIN res_row r ON r.rid = p.rid",
        )
    rows = sql("SELECT t.rid FROM idx_patient t WHERE {}", dialect.among("t.patient", patients))
    return from_rows("patients", rows)


def from_rows(name: str, rows: Sql) -> Candidates:
    """Those whose rids a SELECT gives, each perhaps several times."""
    return _by_rid(name, sql("(SELECT DISTINCT rid FROM ({})) d", rows))


def from_rids(name: str, rids: list[int]) -> Candidates:
    """Those with these rids."""
    source = Sql("(SELECT value AS rid FROM json_each(?)) d", (json.dumps(rids),))
    return replace(_by_rid(name, source), rows=len(rids), listed=True)


def _by_rid(name: str, source: Sql) -> Candidates:
    return Candidates(name, source, TRUE, row_by_rid("d.rid", "r"), joined="CROSS JOIN res_row r ON r.rid = d.rid")


def patients_named(query: Query) -> frozenset[str] | None:
    """Ids of Patients such that every answer has a row with one of them; None if the query does not say."""
    match query:
        case InCompartment(patient):
            return frozenset({patient})
        case FactIn("sole_patient", values):
            return values
        case Match(parameter, tests) if parameter not in HOT:
            keys = [test.key for test in tests if isinstance(test, ReferenceTest) and test.identifier is None]
            people = {key.id for key in keys if key is not None and key.type == PATIENT}
            bound = len(keys) == len(tests) and all(key is not None and key.type == PATIENT for key in keys)
            return frozenset(people) if bound else None
        case All(parts):
            if types_named(query) == frozenset({PATIENT}) and (ids := _ids_named(query)) is not None:
                return ids
            return _smallest(map(patients_named, parts))
        case Any(parts):
            return _union(map(patients_named, parts))
        case _:
            return None


def _smallest(bounds: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    return min((bound for bound in bounds if bound is not None), key=len, default=None)


def _union(bounds: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    union: set[str] = set()
    for bound in bounds:
        if bound is None:
            return None
        union |= bound
    return frozenset(union)
