"""Laws of the parser: what it applied it reads again, nothing it cannot read is applied, no text breaks it."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts
from fhirmedia.r4.evaluator import matches
from fhirmedia.r4.query import Match, Not, TokenTest
from fhirmedia.r4.query_numbers import parse_number
from fhirmedia.r4.query_parser import ParsedSearch, parse_search
from fhirmedia.r4.query_string import decode_query, encode_query, split_unescaped, unescape
from fhirmedia.r4.values import IndexEntries
from tests.fhir.search_reading import MADE_UP, match, search
from tests.laws.searches import corpora


def escaped(text: str) -> str:
    for sign in "\\,$|":
        text = text.replace(sign, "\\" + sign)
    return text


def parse(pairs: list[tuple[str, str]], *, lenient: bool = False) -> ParsedSearch:
    return parse_search(pairs, context=MADE_UP, type="Media", compartment=None, lenient=lenient)


def refusal(act: Callable[[], object]) -> Category | None:
    """How the act fails, None if it does not; anything but a Failure passes through."""
    try:
        act()
    except Failure as failure:
        return failure.category
    return None


written = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
dates = st.builds(
    lambda prefix, year, rest: f"{prefix}{year}{rest}",
    st.sampled_from(["", "ge", "lt", "ap", "ne"]),
    st.integers(1900, 2100),
    st.sampled_from(["", "-02", "-02-03", "-02-03T04:05", "-02-03T04:05:06+01:00", "-02-03T04:05:06 01:00"]),
)
numbers = st.builds(
    lambda prefix, number: f"{prefix}{number}", st.sampled_from(["", "gt", "ap", "ne"]), st.integers(-99, 99)
)
ids = st.from_regex(r"[A-Za-z0-9\-.]{1,8}", fullmatch=True)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(",".join)


pairs = st.one_of(
    st.tuples(st.sampled_from(["status", "status:not", "_id"]), several(written.map(escaped))),
    st.tuples(st.just("status"), several(st.builds(lambda s, c: f"{escaped(s)}|{escaped(c)}", written, written))),
    st.tuples(st.sampled_from(["when", "_lastUpdated"]), several(dates)),
    st.tuples(st.just("subject"), several(st.one_of(ids, ids.map("Patient/{}".format), ids.map("http://a/{}".format)))),
    st.tuples(st.just("subject:Patient"), several(ids)),
    st.tuples(st.sampled_from(["name", "name:exact"]), several(written.map(lambda text: escaped("a" + text)))),
    st.tuples(st.sampled_from(["url", "url:below"]), several(written.map(lambda text: escaped("http://" + text)))),
    st.tuples(st.just("dose"), several(numbers)),
    st.tuples(st.just("length"), several(numbers.map(lambda number: f"{number}||mg"))),
    st.tuples(st.just("relation"), several(st.builds(lambda id, code: f"{id}${escaped(code)}", ids, written))),
    st.tuples(st.sampled_from(["status:missing", "when:missing"]), st.sampled_from(["true", "false"])),
)


@given(st.lists(pairs, max_size=5), st.sampled_from([None, "7", "5000", "0"]), st.sampled_from([None, "-when,_id"]))
def test_what_was_applied_is_read_again(
    given_pairs: list[tuple[str, str]], count: str | None, sort: str | None
) -> None:
    sent = [*given_pairs, *([("_count", count)] if count else []), *([("_sort", sort)] if sort else [])]
    parsed = parse(sent)
    again = parse(decode_query(encode_query(parsed.applied)))
    assert again == parsed
    assert parsed.ignored == ()
    assert len(parsed.applied) == len(sent)


@given(st.lists(pairs, max_size=3), st.sampled_from([("nonsense", "x"), ("when", "")]), st.integers(0, 3))
def test_leniency_drops_what_it_forgives_and_nothing_else(
    sent: list[tuple[str, str]], odd: tuple[str, str], place: int
) -> None:
    with_odd = [*sent[:place], odd, *sent[place:]]
    forgiving = parse(with_odd, lenient=True)
    assert forgiving.ignored == (odd[0],)
    assert forgiving.query == parse(sent).query
    assert forgiving.applied == parse(sent).applied
    with pytest.raises(Failure):
        parse(with_odd)


@given(st.lists(pairs, max_size=3), st.lists(pairs, max_size=3))
def test_parameters_are_joined_by_and(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    joined = parse([*one, *other]).query
    assert str(joined).startswith("(all (of-type Media)")
    for condition in parse(one).query.parts + parse(other).query.parts:  # type: ignore[union-attr]  # it is an All
        assert condition in joined.parts  # type: ignore[union-attr]  # it is an All


names = st.one_of(
    st.sampled_from(["status", "when", "subject", "name:contains", "url:above", "dose", "length", "relation",
                     "_sort", "_count", "_total", "_elements", "_summary", "subject:Patient",
                     "subject:identifier", "when:missing"]),
    st.text(max_size=12),
)  # fmt: skip


@given(st.lists(st.tuples(names, st.text(max_size=20)), max_size=4), st.booleans())
def test_any_text_is_read_or_refused(sent: list[tuple[str, str]], lenient: bool) -> None:
    assert refusal(lambda: parse(sent, lenient=lenient)) in (None, Category.INVALID, Category.TOO_COSTLY)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    assert refusal(lambda: decode_query(raw)) in (None, Category.INVALID)


@given(st.lists(st.tuples(written, st.text(st.characters(codec="utf-8", exclude_characters="\0"))), max_size=5))
def test_encoding_and_decoding_are_inverse(sent: list[tuple[str, str]]) -> None:
    assert decode_query(encode_query(tuple(sent))) == sent


@given(st.lists(written, min_size=1, max_size=4), st.sampled_from(",|$"))
def test_escaped_separators_never_separate(parts: list[str], separator: str) -> None:
    pieces = split_unescaped(separator.join(map(escaped, parts)), separator)
    assert [unescape(piece) for piece in pieces] == parts


@given(written)
def test_a_lone_backslash_is_refused(text: str) -> None:
    assume(text[0] not in "\\,$|")
    assert unescape("a\\" + text) is None
    assert unescape(escaped(text) + "\\") is None


@given(corpora(), st.sampled_from(["a", "b", "s|a", "|a", "s|", "a,b"]))
def test_not_and_plain_are_everything(corpus: list[tuple[IndexEntries, Facts]], value: str) -> None:
    plain, negated = match(search(MADE_UP, f"status={value}")), search(MADE_UP, f"status:not={value}")
    assert Not(plain) in negated.query.parts  # type: ignore[union-attr]  # it is an All
    for entries, facts in corpus:
        assert matches(plain, entries, facts) != matches(Not(plain), entries, facts)


@given(st.decimals(-1000, 1000, places=2), st.integers(0, 3))
def test_a_number_stands_for_what_rounds_to_it(number: Decimal, places: int) -> None:
    shown = f"{number:.{places}f}"
    test = parse_number(shown)
    assert test is not None
    half = Decimal(1).scaleb(-places) / 2
    assert (test.lo, test.hi) == (float(Decimal(shown) - half), float(Decimal(shown) + half))


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("5.4", 5.35, 5.45),
        ("100", 99.5, 100.5),
        ("1e2", 50, 150),
        ("gt5.40", 5.4, 5.4),
        ("ap-10", -11, -9),
        ("ne1", 0.5, 1.5),
    ],
)
def test_numbers(text: str, lo: float, hi: float) -> None:
    test = parse_number(text)
    assert test is not None
    assert (test.lo, test.hi) == (lo, hi)


@pytest.mark.parametrize(
    "text", ["", "x", "1.", ".5", "1e", "NaN", "inf", "1_0", "１", "1e999", "9" * 50, "gt", "1,0", " 1"]
)
def test_what_is_no_number(text: str) -> None:
    assert parse_number(text) is None


def test_a_code_is_literal_whatever_it_contains() -> None:
    assert match(search(MADE_UP, r"_id=a\,b\|c\$d\\e")) == Match("_id", (TokenTest("a,b|c$d\\e"),))
