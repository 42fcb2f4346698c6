"""Random corpora and random queries over the made-up world, small enough that queries often hit some and miss some."""

from hypothesis import strategies as st

from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.query import (
    All,
    Any,
    CompositeTest,
    DateTest,
    FactHas,
    FactIn,
    FactToken,
    InCompartment,
    Match,
    Missing,
    Not,
    NumberTest,
    OfType,
    QuantityTest,
    Query,
    ReferenceTest,
    SortKey,
    StringTest,
    Test,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

codes = st.sampled_from(["a", "b", "c"])
systems = st.sampled_from(["s", "t"])
maybe_systems = st.sampled_from([None, "s", "t"])
ids = st.sampled_from(["1", "2", "3"])
keys = st.builds(Key, st.sampled_from(["Media", "Patient"]), ids)
numbers = st.integers(0, 6)
texts = st.sampled_from(["ada", "ad", "ada b", "b", "bo"])
uris = st.sampled_from(["http://a", "http://a/b", "http://a/b/c", "http://ab"])
canonicals = st.sampled_from(["http://a", "http://a|1", "http://a|1.2", "http://a|1-b", "http://a|12", "http://a/b"])
prefixes = st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])

tokens = st.builds(TokenValue, maybe_systems, codes)
dates = st.builds(lambda lo, length: DateValue(lo, lo + length), numbers, st.integers(1, 4))
references = st.one_of(
    st.builds(ReferenceValue, keys, st.sampled_from([None, 1, 2])),
    st.builds(lambda uri: ReferenceValue(url=uri), canonicals),
    st.builds(lambda key, token: ReferenceValue(key, identifier=token), keys, tokens),
)
strings = st.builds(lambda text, exact: StringValue(text, exact), texts, texts)
spans = st.builds(lambda lo, length: NumberValue(lo, lo + length), numbers, st.integers(0, 2))
quantities = st.builds(
    lambda span, system, code, unit: QuantityValue(span.lo, span.hi, system, code, unit),
    spans,
    maybe_systems,
    codes,
    codes,
)

VALUES: dict[str, st.SearchStrategy[SearchValue]] = {
    "status": tokens,
    "when": dates,
    "subject": references,
    "name": strings,
    "url": st.builds(UriValue, uris),
    "dose": spans,
    "length": quantities,
    "relation$1": st.builds(ReferenceValue, keys, group=st.integers(0, 1)),
    "relation$2": st.builds(TokenValue, maybe_systems, codes, st.integers(0, 1)),
}

token_tests = st.one_of(
    st.builds(TokenTest, codes),
    st.builds(TokenTest, codes, systems),
    st.builds(lambda system: TokenTest(system=system), systems),
    st.builds(lambda code: TokenTest(code, no_system=True), codes),
)
reference_tests = st.one_of(
    st.builds(lambda key, version: ReferenceTest(key=key, version=version), keys, st.sampled_from([None, 1])),
    st.builds(lambda uri, below: ReferenceTest(url=uri, below=below), canonicals, st.booleans()),
    st.builds(lambda token: ReferenceTest(identifier=token), token_tests),
)


def _number_test(prefix: str, lo: int) -> NumberTest:
    margin = {"eq": 0.5, "ne": 0.5, "ap": 1.0}.get(prefix, 0.0)
    return NumberTest(prefix, lo - margin, lo + margin)  # type: ignore[arg-type]  # sampled from the prefixes


number_tests = st.builds(_number_test, prefixes, numbers)
quantity_tests = st.one_of(
    st.builds(QuantityTest, number_tests),
    st.builds(lambda number, system, code: QuantityTest(number, system, code), number_tests, systems, codes),
    st.builds(lambda number, unit: QuantityTest(number, unit=unit), number_tests, codes),
)

TESTS: dict[str, st.SearchStrategy[Test]] = {
    "status": token_tests,
    "when": st.builds(
        lambda prefix, lo, length: DateTest(prefix, lo, lo + length), prefixes, numbers, st.integers(1, 4)
    ),
    "subject": reference_tests,
    "name": st.builds(StringTest, st.sampled_from(["starts", "contains", "exact"]), texts),
    "url": st.builds(UriTest, st.sampled_from(["exact", "below", "above", "begins"]), uris),
    "dose": number_tests,
    "length": quantity_tests,
    "relation": st.builds(
        lambda reference, token: CompositeTest((("relation$1", reference), ("relation$2", token))),
        reference_tests,
        token_tests,
    ),
}

facts = st.builds(
    Facts,
    patients=st.lists(ids, max_size=2, unique=True).map(tuple),
    unit=st.sampled_from([None, "u1", "u2"]),
    status=st.sampled_from([None, "a", "b"]),
    confidentiality=st.sampled_from(["N", "R"]),
    labels=st.lists(codes, max_size=2, unique=True).map(tuple),
    tokens=st.lists(st.builds(lambda s, c: f"{s}|{c}", systems, codes), max_size=2).map(
        lambda kept: {"kind": tuple(kept)}
    ),
)


@st.composite
def entries(draw: st.DrawFn, key: Key) -> IndexEntries:
    values = {code: tuple(draw(st.lists(each, max_size=2))) for code, each in VALUES.items()}
    return IndexEntries(
        key, {code: kept for code, kept in values.items() if kept}, draw(st.lists(ids, max_size=2).map(tuple))
    )


@st.composite
def corpora(draw: st.DrawFn) -> list[tuple[IndexEntries, Facts]]:
    """Up to eight resources with distinct Keys."""
    found = draw(
        st.lists(
            st.builds(Key, st.sampled_from(["Media", "Patient"]), st.sampled_from("123456")), max_size=8, unique=True
        )
    )
    return [(draw(entries(key)), draw(facts)) for key in found]


matches_of_a_parameter = st.sampled_from(sorted(TESTS)).flatmap(
    lambda code: st.lists(TESTS[code], min_size=1, max_size=3).map(lambda tests: Match(code, tuple(tests)))
)
types = st.lists(st.sampled_from(["Media", "Patient"]), max_size=2).map(frozenset)
single_facts = st.sampled_from(["unit", "status", "sole_patient", "confidentiality", "id"])
leaves: st.SearchStrategy[Query] = st.one_of(
    matches_of_a_parameter,
    st.builds(Missing, st.sampled_from(sorted(VALUES))),
    st.builds(OfType, types),
    st.builds(InCompartment, ids),
    st.builds(FactIn, single_facts, st.frozensets(st.sampled_from(["u1", "a", "N", "1"]))),
    st.builds(FactHas, st.just("labels"), st.frozensets(codes)),
    st.builds(FactToken, st.just("kind"), st.frozensets(st.sampled_from(["s|a", "a", "b"]))),
)
queries: st.SearchStrategy[Query] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: All(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: Any(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
sorts = st.lists(
    st.builds(SortKey, st.sampled_from([*sorted(code for code in VALUES if "$" not in code), "_id"]), st.booleans()),
    max_size=3,
).map(tuple)
