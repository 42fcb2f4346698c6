"""The clauses our searches are made of. There are these and no others: no scripts, no patterns, nothing scored."""

from collections.abc import Iterable, Sequence, Sized
from typing import Any, NewType

from fhirmedia.core.errors import Category, Failure

Clause = NewType("Clause", dict[str, Any])

MOST_TERMS = 65_536
"""Terms of one list the engine takes (`index.max_terms_count`)."""

EVERY = Clause({"match_all": {}})
NONE = Clause({"match_none": {}})


def all_of(clauses: Iterable[Clause]) -> Clause:
    """Every clause holds; without any: everything."""
    kept: list[Clause] = []
    barred: list[Clause] = []
    for clause in clauses:
        inner = clause.get("bool", {})
        if clause == NONE:
            return NONE
        if inner and inner.keys() <= {"filter", "must_not"}:
            kept.extend(inner.get("filter", ()))
            barred.extend(inner.get("must_not", ()))
        elif clause != EVERY:
            kept.append(clause)
    if not kept and not barred:
        return EVERY
    if len(kept) == 1 and not barred:
        return kept[0]
    return Clause({"bool": {**({"filter": kept} if kept else {}), **({"must_not": barred} if barred else {})}})


def any_of(clauses: Iterable[Clause]) -> Clause:
    """Some clause holds; without any: nothing."""
    kept = [clause for clause in clauses if clause != NONE]
    if EVERY in kept:
        return EVERY
    if not kept:
        return NONE
    if len(kept) == 1:
        return kept[0]
    return Clause({"bool": {"should": kept, "minimum_should_match": 1}})


def none_of(clauses: Sequence[Clause]) -> Clause:
    """No clause holds."""
    kept = [clause for clause in clauses if clause != NONE]
    if EVERY in kept:
        return NONE
    if len(kept) == 1:
        (twice,) = kept[0].values()
        if kept[0].keys() == {"bool"} and twice.keys() == {"must_not"}:
            return any_of(twice["must_not"])
    return Clause({"bool": {"must_not": kept}}) if kept else EVERY


def term(field: str, value: str) -> Clause:
    """The field has this term."""
    return Clause({"term": {field: value}})


def require_few(values: Sized) -> None:
    """Raises Failure NOT_IMPLEMENTED for more values than the engine takes in one list."""
    if len(values) > MOST_TERMS:
        raise Failure(Category.NOT_IMPLEMENTED, f"The search engine takes at most {MOST_TERMS} values of one kind.")


def terms(field: str, values: Iterable[str]) -> Clause:
    """The field has one of these terms. Raises Failure NOT_IMPLEMENTED for more than the engine takes."""
    listed = sorted(set(values))
    require_few(listed)
    if len(listed) < 2:
        return term(field, listed[0]) if listed else NONE
    return Clause({"terms": {field: listed}})


def prefix(field: str, beginning: str) -> Clause:
    """The field has a term that begins so."""
    return Clause({"prefix": {field: {"value": beginning}}})


def holding(field: str, inside: str) -> Clause:
    """The field has a term with this inside; the engine looks through all terms of the field."""
    escaped = "".join(f"\\{sign}" if sign in "\\*?" else sign for sign in inside)
    return Clause({"wildcard": {field: {"value": f"*{escaped}*"}}})


def exists(field: str) -> Clause:
    """The field has any term."""
    return Clause({"exists": {"field": field}})


def overlapping(field: str, **ends: float) -> Clause:
    """The field has a range that shares something with the one between the ends (`gte`, `gt`, `lte`, `lt`)."""
    return Clause({"range": {field: {**ends, "relation": "intersects"}}})


def inside(field: str, **ends: float) -> Clause:
    """The field has a range that lies within the ends."""
    return Clause({"range": {field: {**ends, "relation": "within"}}})


def covering(field: str, **ends: float) -> Clause:
    """The field has a range that holds all between the ends."""
    return Clause({"range": {field: {**ends, "relation": "contains"}}})


def within_one(path: str, clause: Clause) -> Clause:
    """One of the rows kept under the path fulfils the clause."""
    return Clause({"nested": {"path": path, "query": clause, "ignore_unmapped": True, "score_mode": "none"}})


def phrase(field: str, words: Sequence[Sequence[str]], *, mark: str, apart: int) -> Clause:
    """One spelling of each word, each in the block behind that of the one before.

    Blocks begin with the mark; from the first mark of a block to each of its spellings there are at most `apart` terms.
    """
    rule = _spellings(words[0])
    for spellings in words[1:]:
        begun = {"all_of": {"ordered": True, "intervals": [rule, _one(mark)]}}
        rule = {"all_of": {"ordered": True, "max_gaps": apart, "intervals": [begun, _spellings(spellings)]}}
    return Clause({"intervals": {field: rule}})


def _spellings(words: Sequence[str]) -> dict[str, Any]:
    each = [_one(word) for word in words]
    return each[0] if len(each) == 1 else {"any_of": {"intervals": each}}


def _one(word: str) -> dict[str, Any]:
    return {"match": {"query": word}}
