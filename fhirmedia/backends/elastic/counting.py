"""How many resources have which value, and how many Patients they are about, of one generation.

Different Patients are counted one by one up to a hundred and estimated above: the floor for those who may not list
records lies far below.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhirmedia.backends.elastic import terms
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.index import Bucket

Json = dict[str, Any]

MOST_VALUES = 10_000
"""Of one facet; a search with more is refused."""

ONE_BY_ONE = 100
_NEARLY = 1_000
"""Up to about here an estimate is the number."""

SPANS = ("year", "month")


def division_by(*facets: str, with_patients: bool) -> Json:
    """The question how the answer divides by each of these facets."""
    divisions: Json = {}
    for facet in facets:
        divisions[facet] = {"terms": {"field": f"f.{facet}", "size": MOST_VALUES, "min_doc_count": 1}}
        if with_patients:
            divisions[facet]["aggs"] = PEOPLE
    return {"size": 0, "track_total_hits": False, "aggs": divisions}


PEOPLE: Mapping[str, Json] = {
    "some": {"terms": {"field": "sole", "size": ONE_BY_ONE, "min_doc_count": 1}},
    "about": {"cardinality": {"field": "sole", "precision_threshold": _NEARLY}},
}


def people_body() -> Json:
    """The question about how many Patients the answer is."""
    return {"size": 0, "track_total_hits": False, "aggs": dict(PEOPLE)}


def people_in(found: Json | None) -> int:
    """The answer to it."""
    return _number(_people(found["aggregations"])) if found is not None else 0


def buckets_in(found: Json | None, by: str, *, with_patients: bool) -> list[Bucket]:
    """The buckets of a facet in an answer, most frequent first. Raises Failure TOO_COSTLY for too many values."""
    if found is None:
        return []
    division = found["aggregations"][by]
    if division["sum_other_doc_count"] or division["doc_count_error_upper_bound"]:
        text = f"The resources have more than {MOST_VALUES} different values; narrow the search."
        raise Failure(Category.TOO_COSTLY, text)
    if by in SPANS:
        made = [_bucket(None, row["key"], [row], with_patients=with_patients) for row in division["buckets"]]
    else:
        made = _tokens(division["buckets"], with_patients=with_patients)
    return sorted(made, key=lambda each: (-each.count, each.system or "", each.code))


def _tokens(rows: Sequence[Json], *, with_patients: bool) -> list[Bucket]:
    """Values that differ in their spelling alone are one, shown as it is mostly written."""
    alike: dict[tuple[str | None, str], list[tuple[str | None, Json]]] = {}
    for row in rows:
        system, code, spelling = terms.read_facet(row["key"])
        alike.setdefault((system, code), []).append((spelling, row))
    made = []
    for (system, code), variants in alike.items():
        written = [(-row["doc_count"], spelling) for spelling, row in variants if spelling is not None]
        shown = min(written)[1] if written else code
        made.append(_bucket(system, shown, [row for _, row in variants], with_patients=with_patients))
    return made


def _bucket(system: str | None, code: str, rows: Sequence[Json], *, with_patients: bool) -> Bucket:
    count = sum(row["doc_count"] for row in rows)
    if not with_patients:
        return Bucket(system, code, count)
    several = [_people(row) for row in rows]
    known = [people for people in several if isinstance(people, frozenset)]
    if len(known) == len(several):
        return Bucket(system, code, count, len(frozenset().union(*known)))
    return Bucket(system, code, count, max(map(_number, several)))


def _people(answer: Json) -> frozenset[str] | int:
    """Who they are where they are few, else about how many."""
    some = answer["some"]
    if len(some["buckets"]) < ONE_BY_ONE and not some["sum_other_doc_count"]:
        return frozenset(str(row["key"]) for row in some["buckets"])
    return max(int(answer["about"]["value"]), ONE_BY_ONE)


def _number(people: frozenset[str] | int) -> int:
    return len(people) if isinstance(people, frozenset) else people
