"""From a Query to one clause; what each test means is said in `r4.value_tests`."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import assert_never

from fhirmedia.backends.elastic import clauses, terms
from fhirmedia.backends.elastic.clauses import NONE, Clause, all_of, any_of, none_of
from fhirmedia.backends.elastic.ranges import number_clause, time_clause
from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.contained import is_inside
from fhirmedia.r4.query import (
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
    QuantityTest,
    Query,
    ReferenceTest,
    StringTest,
    Test,
    Text,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.value_tests import below_codes, below_versions
from fhirmedia.r4.word_tests import spelled

_FACTS = {
    "sole_patient": "sole",
    "unit": "acl.unit",
    "enterprise": "acl.enterprise",
    "encounter": "acl.encounter",
    "status": "acl.status",
    "source": "acl.source",
    "confidentiality": "acl.conf",
}

Place = Callable[[str], str]
"""The field of a kind of value: `t` of a parameter, or of one part of a composite."""


def clause_of(query: Query) -> Clause:
    """What the engine is asked. Raises NOT_IMPLEMENTED for too long lists, INTERNAL for a query inside the query."""
    match query:
        case All(parts):
            return all_of(map(clause_of, parts))
        case Any(parts):
            return any_of(map(clause_of, parts))
        case Not(part):
            return none_of([clause_of(part)])
        case Match():
            return _match(query)
        case Missing(parameter):
            return none_of([clauses.term("has", parameter)])
        case OfType(types):
            return clauses.terms("rt", types)
        case InCompartment(patient):
            return clauses.term("cp", patient)
        case Text():
            return _text(query)
        case FactIn(fact, values):
            if fact == "id":
                return clauses.terms("t._id", map(terms.any_system, values))
            return clauses.terms(_FACTS[fact], map(terms.fact, values))
        case FactHas(fact, values):
            return clauses.terms(f"acl.{fact}", map(terms.fact, values))
        case FactToken(parameter, values):
            return clauses.terms("acl.tokens", (terms.scoped(parameter, value) for value in values))
        case Chain() | Has():
            raise Failure(Category.INTERNAL, "A query inside the query was not answered before it was asked.")
        case _:
            assert_never(query)


def _match(query: Match) -> Clause:
    clauses.require_few(query.tests)
    if is_inside(query.parameter):
        return _match_inside(query)
    found = [_test(test, partial(_field, query.parameter), query.parameter) for test in query.tests]
    return any_of(_gathered(found))


def _match_inside(query: Match) -> Clause:
    """Of contained resources: one of the rows of the parameter."""
    composites = [test for test in query.tests if isinstance(test, CompositeTest)]
    found = [
        all_of(_quantity(test, _inside_field))
        if isinstance(test, QuantityTest)
        else _test(test, _inside_field, query.parameter)
        for test in query.tests
        if not isinstance(test, CompositeTest)
    ]
    one = all_of([clauses.term("c.p", query.parameter), any_of(_gathered(found))])
    return any_of([*(_composite(test.parts) for test in composites), clauses.within_one("c", one) if found else NONE])


def _field(parameter: str, kind: str) -> str:
    return f"s.{parameter}.{kind}" if kind in ("plain", "exact") else f"{kind}.{parameter}"


def _inside_field(kind: str) -> str:
    return f"c.{kind}"


def _part_field(number: str, kind: str) -> str:
    return f"g.{number}.{kind}"


def _gathered(found: Iterable[Clause]) -> list[Clause]:
    """The same alternatives, those of one field that are single terms as one list of terms."""
    lists: dict[str, list[str]] = {}
    rest: list[Clause] = []
    for clause in found:
        for field, value in clause.get("term", {}).items():
            lists.setdefault(field, []).append(value)
        for field, values in clause.get("terms", {}).items():
            lists.setdefault(field, []).extend(values)
        if not clause.keys() & {"term", "terms"}:
            rest.append(clause)
    return [clauses.terms(field, values) for field, values in lists.items()] + rest


def _test(test: Test, place: Place, parameter: str) -> Clause:
    match test:
        case TokenTest():
            return _token(test, place("t"))
        case DateTest():
            return time_clause(test, place("d"))
        case ReferenceTest():
            return _reference(test, place)
        case StringTest():
            return _string(test, place)
        case UriTest():
            return _uri(test, place("u"))
        case NumberTest():
            return number_clause(test, place("n"))
        case QuantityTest():
            return clauses.within_one(
                "q", all_of([clauses.term("q.p", parameter), *_quantity(test, lambda kind: f"q.{kind}")])
            )
        case CompositeTest(parts):
            return _composite(parts)
        case _:
            assert_never(test)


def _token(test: TokenTest, field: str) -> Clause:
    if test.no_system and test.system is not None:
        return NONE
    if test.code is None:
        if test.no_system:
            return clauses.prefix(field, terms.without_system(""))
        return clauses.exists(field) if test.system is None else clauses.term(field, terms.of_system(test.system))
    if test.no_system:
        named = terms.without_system
    elif test.system is not None:
        named = partial(terms.within, test.system)
    else:
        named = terms.any_system
    exact = clauses.term(field, named(test.code))
    if not test.below:
        return exact
    return any_of([exact, *(clauses.prefix(field, named(code)) for code in below_codes(test.code))])


def _reference(test: ReferenceTest, place: Place) -> Clause:
    if test.identifier is not None:
        return _token(test.identifier, place("ri"))
    if test.key is not None:
        wanted = str(test.key) if test.version is None else terms.versioned(test.key, test.version)
        return clauses.term(place("r"), wanted)
    if test.url is None:
        return NONE
    exact = clauses.term(place("r"), terms.address(test.url))
    if not test.below:
        return exact
    return any_of([exact, *(clauses.prefix(place("r"), terms.address(url)) for url in below_versions(test.url))])


def _string(test: StringTest, place: Place) -> Clause:
    if test.mode == "exact":
        return clauses.term(place("exact"), test.text)
    if not test.text:
        return clauses.exists(place("plain"))
    find = clauses.prefix if test.mode == "starts" else clauses.holding
    return find(place("plain"), test.text)


def _uri(test: UriTest, field: str) -> Clause:
    exact = clauses.term(field, test.value)
    match test.mode:
        case "exact":
            return exact
        case "below":
            return any_of([exact, clauses.prefix(field, test.value.removesuffix("/") + "/")])
        case "begins":
            return clauses.prefix(field, test.value)
        case "above":
            steps = [at for at, sign in enumerate(test.value) if sign == "/"]
            over = [test.value[: at + more] for at in steps for more in (0, 1)]
            return clauses.terms(field, [test.value, *over])


def _quantity(test: QuantityTest, place: Place) -> list[Clause]:
    found = [number_clause(test.number, place("v"))]
    if test.system is not None:
        found.append(clauses.term(place("system"), test.system))
    if test.code is not None:
        found.append(clauses.term(place("code"), test.code))
    if test.unit is not None:
        found.append(any_of(clauses.term(place(name), test.unit) for name in ("code", "unit")))
    return found


def _composite(parts: Sequence[tuple[str, Test]]) -> Clause:
    found = [clauses.term("g.p", parts[0][0].partition("$")[0])]
    for parameter, test in parts:
        place = partial(_part_field, parameter.partition("$")[2])
        found.extend(_quantity(test, place) if isinstance(test, QuantityTest) else [_test(test, place, parameter)])
    return clauses.within_one("g", all_of(found))


def _text(query: Text) -> Clause:
    field = f"x.{query.field}"
    wanted = any_of(all_of(_words(field, term) for term in alternative) for alternative in query.alternatives)
    return all_of([wanted, none_of([_words(field, term) for term in query.excluded])])


def _words(field: str, text: str) -> Clause:
    """One word begins so; a single letter is the whole word; several are a phrase."""
    wanted = [sorted(map(terms.one_token, spellings)) for spellings in spelled(text)]
    if not wanted:
        return NONE
    if len(wanted) > 1:
        return clauses.phrase(field, wanted, mark=terms.MARK, apart=terms.APART)
    return any_of(clauses.term(field, form) if len(form) == 1 else clauses.prefix(field, form) for form in wanted[0])
