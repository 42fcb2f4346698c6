"""Random searches over the archives: queries, grants and pages, each kind of them about equally often."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.core.records import Key
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import (
    EVERYTHING,
    All,
    Any,
    Chain,
    CompositeTest,
    DateTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    NumberTest,
    OfType,
    Prefix,
    QuantityTest,
    Query,
    ReferenceTest,
    SortKey,
    StringTest,
    Test,
    Text,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.values import BEGINNING, END
from tests.laws.archives import (
    ADDRESSES,
    CODES,
    DAY,
    FIELDS,
    HOUR,
    IDS,
    PATIENTS,
    SYSTEMS,
    TEXTS,
    TYPES,
    UNITS,
    URIS,
    WORDS,
)

PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
DATED = ("when", "created", "started", "_lastUpdated")
NEWEST = (SortKey("when", descending=True),)

T = TypeVar("T")


class Asker:
    """Asks whatever a seed says; hypothesis gives the seeds, since its own draws favour few kinds of search."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.pick = self.random.choice
        self.tests: dict[str, Callable[[], Test]] = {
            "_id": lambda: TokenTest(self.pick(IDS)),
            "_lastUpdated": self.date,
            "status": self.token,
            "when": self.date,
            "created": self.date,
            "started": self.date,
            "subject": self.reference,
            "patient": lambda: ReferenceTest(Key("Patient", self.pick(PATIENTS))),
            "name": self.string,
            "url": lambda: UriTest(
                self.pick(("exact", "below", "above", "begins")), self.pick((*URIS, "http://a/b/c/d"))
            ),
            "dose": self.number,
            "length": self.quantity,
            "mixed": lambda: self.pick((self.date, self.number))(),
            "odd": lambda: self.pick((self.token, self.string))(),
            "relation": lambda: CompositeTest((("relation$1", self.reference()), ("relation$2", self.token()))),
            "nothing": self.token,
            "subject:Task.status": self.token,
            "subject:Task.created": self.date,
            "subject:Task.patient": self.reference,
            "subject:Task.name": self.string,
            "subject:Task.url": lambda: UriTest(self.pick(("exact", "below", "above", "begins")), self.pick(URIS)),
            "subject:Task.dose": self.number,
            "subject:Task.length": self.quantity,
            "subject:Task.relation": lambda: CompositeTest(
                (("subject:Task.relation$1", self.reference()), ("subject:Task.relation$2", self.token()))
            ),
        }

    def some(self, choices: tuple[T, ...], *, least: int = 0) -> frozenset[T]:
        return frozenset(self.random.sample(choices, self.random.randint(least, min(3, len(choices)))))

    def moment(self) -> int:
        return self.pick((BEGINNING, END)) if self.random.random() < 0.05 else self.random.randint(-8, 24) * DAY // 2

    def token(self) -> TokenTest:
        code = self.pick(CODES)
        return self.pick(
            (
                TokenTest(code),
                TokenTest(code, self.pick(SYSTEMS)),
                TokenTest(system=self.pick(SYSTEMS)),
                TokenTest(code, no_system=True),
                TokenTest(code, "http://nowhere"),
                TokenTest(code, below=True),
                TokenTest(code, self.pick(SYSTEMS), below=True),
            )
        )

    def date(self) -> DateTest:
        lo = self.moment()
        prefix = "ge" if self.random.random() < 0.3 else self.pick(PREFIXES)
        return DateTest(prefix, lo, min(lo + self.pick((1, HOUR, DAY, 10 * DAY)), END))

    def reference(self) -> ReferenceTest:
        return self.pick(
            (
                ReferenceTest(Key("Patient", self.pick(PATIENTS))),
                ReferenceTest(self.key(), self.pick((None, 1, 2))),
                ReferenceTest(url=self.pick(ADDRESSES), below=self.pick((True, False))),
                ReferenceTest(identifier=self.token()),
            )
        )

    def key(self) -> Key:
        return Key(self.pick(TYPES), self.pick(IDS))

    def string(self) -> StringTest:
        return StringTest(self.pick(("starts", "contains", "exact")), self.pick(("", "a", "ADA", *TEXTS)))

    def number(self) -> NumberTest:
        prefix, half = self.pick(PREFIXES), self.random.randint(-1, 14)
        margin = 0.5 if prefix in ("eq", "ne", "ap") else 0.0
        return NumberTest(prefix, half / 2 - margin, half / 2 + margin)

    def quantity(self) -> QuantityTest:
        def maybe(*choices: str) -> str | None:
            return self.pick((None, None, *choices))

        return QuantityTest(self.number(), maybe("s"), maybe(*CODES), maybe(*CODES))

    def match(self) -> Match:
        parameter = self.pick(tuple(self.tests))
        # A long list is bound in another way than a short one.
        count = self.random.randint(9, 12) if self.random.random() < 0.15 else self.pick((1, 1, 2, 3))
        return Match(parameter, tuple(self.tests[parameter]() for _ in range(count)))

    def fact(self) -> Query:
        return self.pick(
            (
                FactIn("unit", self.some(UNITS)),
                FactIn("sole_patient", self.some(PATIENTS, least=1)),
                FactIn("sole_patient", frozenset({self.pick(PATIENTS)})),
                FactIn("status", self.some(CODES)),
                FactIn("id", self.some(IDS)),
                FactIn(self.pick(("enterprise", "encounter", "source")), frozenset({"e", "Encounter/1", "staff"})),
                FactIn("confidentiality", frozenset("N")),
                FactHas("labels", self.some(("l|x", "l|y", 'l|"\\'))),
                FactHas("authors", self.some(("Task/1", "Task/2"))),
                FactToken("kind", self.some(("s|a", "s|b", "a", "b"))),
            )
        )

    def leaf(self) -> Query:
        match self.random.randrange(14):
            case 12 | 13:
                return self.words()
            case 0:
                return Missing(self.pick(tuple(self.tests)))
            case 1:
                return OfType(self.some(TYPES, least=1))
            case 2:
                return InCompartment(self.pick(PATIENTS))
            case 3 | 4:
                return self.fact()
            case 5:
                return self.stretch(self.pick(DATED), self.random.randint(-4, 12), days=self.pick((1, 5, 20)))
        return self.match()

    def words(self) -> Text:
        def term() -> str:
            picked = self.random.choices(WORDS, k=self.pick((1, 1, 1, 2)))
            return " ".join(picked) if len(picked) > 1 else picked[0][: self.pick((2, 3, 20))]

        alternatives = tuple(tuple(term() for _ in range(self.pick((1, 1, 2)))) for _ in range(self.pick((1, 1, 2))))
        return Text(self.pick((*FIELDS, "nowhere")), alternatives, tuple(term() for _ in range(self.pick((0, 0, 1)))))

    def stretch(self, parameter: str, first: int, *, days: int) -> Query:
        lo, hi = first * DAY, (first + days) * DAY
        return All((Match(parameter, (DateTest("ge", lo, lo),)), Match(parameter, (DateTest("lt", hi, hi),))))

    def query(self, *, depth: int = 2) -> Query:
        if depth == 0 or self.random.random() < 0.5:
            return self.leaf()
        inner = tuple(self.query(depth=depth - 1) for _ in range(self.pick((1, 2, 2, 3))))
        bounded = All((OfType(self.some(TYPES, least=1)), inner[0]))
        link = self.pick(("subject", "patient"))
        return self.pick(
            (All(inner), All(inner), Any(inner), Any(inner), Not(inner[0]), Chain(link, bounded), Has(link, bounded))
        )

    def grant(self) -> Grant:
        kinds = frozenset(TYPES)
        rules = tuple(Rule(frozenset(ACTIONS), kinds, self.fact()) for _ in range(self.pick((0, 1, 2))))
        everyone = Rule(frozenset(ACTIONS), kinds, EVERYTHING)
        limits = (Not(self.fact()),) if self.random.random() < 0.3 else ()
        return Grant(rules or (everyone,), limits)

    def types(self) -> frozenset[str]:
        return self.some(TYPES, least=1)

    def sort(self) -> tuple[SortKey, ...]:
        if self.random.random() < 0.4:
            return self.pick(((), NEWEST))
        unsorted = ("odd", "relation")
        sortable = [parameter for parameter in self.tests if parameter not in unsorted and "." not in parameter]
        return tuple(
            SortKey(parameter, self.pick((True, False)))
            for parameter in self.random.sample(sortable, self.pick((1, 1, 2, 3)))
        )

    def search(self) -> tuple[Query, Page]:
        if self.random.random() < 0.15:
            # Sorted by the very date that is searched, a few rows a page: read along the order, within bounds.
            parameter = self.pick(DATED)
            query = self.stretch(parameter, self.random.randint(-4, 4), days=self.random.randint(8, 20))
            return query, Page(self.random.randint(1, 3), (SortKey(parameter, self.pick((True, False))),))
        total, limit = self.pick(("none", "accurate", "bounded")), self.pick((0, 5, 1000))
        return self.query(), Page(self.pick((1, 2, 5, 12)), self.sort(), total=total, total_limit=limit)
