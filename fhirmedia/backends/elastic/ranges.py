"""What prefixes ask of ranges (FHIR R4, search 3.1.1.4.3), as clauses; the tables of `r4.value_tests` in other words.

Times are kept as `[lo, hi)` in whole milliseconds, numbers as `[lo, hi]`, open ends of numbers left out.
"""

from fhirmedia.backends.elastic.clauses import NONE, Clause, any_of, covering, inside, overlapping
from fhirmedia.r4.query import DateTest, NumberTest


def time_clause(test: DateTest, field: str) -> Clause:
    """Some stretch of time stands so to the query's own `[lo, hi)`."""
    s, e = test.lo, test.hi
    match test.prefix:
        case "eq":
            return inside(field, gte=s, lt=e) if s < e else NONE
        case "ne":
            return any_of([overlapping(field, lt=s), overlapping(field, gte=e)])
        case "gt":
            return overlapping(field, gte=e)
        case "lt":
            return overlapping(field, lt=s)
        case "ge":
            return overlapping(field, gte=s)
        case "le":
            return overlapping(field, lt=e)
        case "sa":
            return inside(field, gte=e)
        case "eb":
            return inside(field, lt=s)
        case "ap":
            # An empty range lies in what begins before it and ends after it.
            return overlapping(field, gte=s, lt=e) if s < e else covering(field, gte=s - 1, lte=s)


def number_clause(test: NumberTest, field: str) -> Clause:
    """Some number or range of numbers stands so to the query's `[lo, hi)`, or to the exact number where both are it."""
    s, e = test.lo, test.hi
    match test.prefix:
        case "eq":
            return inside(field, gte=s, lt=e) if s < e else NONE
        case "ne":
            return any_of([overlapping(field, lt=s), overlapping(field, gte=e)])
        case "gt":
            return overlapping(field, gt=e)
        case "lt":
            return overlapping(field, lt=s)
        case "ge":
            return overlapping(field, gte=s)
        case "le":
            return overlapping(field, lte=e)
        case "sa":
            return inside(field, gt=e)
        case "eb":
            return inside(field, lt=s)
        case "ap":
            return overlapping(field, gte=s, lte=e)
