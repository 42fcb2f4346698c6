"""Where in time the values that satisfy date tests can begin, so that an index by beginning can be entered there."""

from collections.abc import Iterable
from dataclasses import dataclass

from fhirmedia.backends.index_compile import SearchTerms
from fhirmedia.backends.index_tables import NARROW_MS
from fhirmedia.r4.query import DateTest, Match, Query
from fhirmedia.r4.values import BEGINNING, END


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where ranges that satisfy some tests can begin: in `[first, last)`, wide ones in `[wide_first, last)`."""

    first: int
    last: int
    wide_first: int

    def __and__(self, other: "Stretch") -> "Stretch":
        return Stretch(max(self.first, other.first), min(self.last, other.last), max(self.wide_first, other.wide_first))


def stretch_of(test: DateTest, *, slack: int) -> Stretch | None:
    """Where ranges satisfying the test begin, narrow ones being no longer than `slack`; None if it is no bound."""
    s, e = test.lo, test.hi
    match test.prefix:
        case "eq":
            return Stretch(s, e, s)
        case "gt":
            return Stretch(e - slack, END, BEGINNING)
        case "lt" | "eb":
            return Stretch(BEGINNING, s, BEGINNING)
        case "ge":
            return Stretch(s - slack, END, BEGINNING)
        case "le":
            return Stretch(BEGINNING, e, BEGINNING)
        case "sa":
            return Stretch(e, END, e)
        case "ap":
            return Stretch(s - slack, e, BEGINNING)
        case "ne":
            return None


def stretches_of(parts: Iterable[Query], terms: SearchTerms) -> dict[str, list[Stretch]]:
    """The stretches of each date parameter.

    One, the intersection, where every resource has one value at most; else one for each test, since two tests may be
    met by two different values.
    """
    found: dict[str, list[Stretch]] = {}
    for part in parts:
        if isinstance(part, Match) and len(part.tests) == 1 and isinstance(part.tests[0], DateTest):
            stretch = stretch_of(part.tests[0], slack=1 if part.parameter == "_lastUpdated" else NARROW_MS)
            if stretch is not None:
                found.setdefault(part.parameter, []).append(stretch)
    for parameter, stretches in found.items():
        if len(stretches) > 1 and not any(many for _, many in terms.kinds(parameter).values()):
            together = stretches[0]
            for stretch in stretches[1:]:
                together &= stretch
            found[parameter] = [together]
    return found
