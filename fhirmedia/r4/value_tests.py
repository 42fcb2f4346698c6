"""Whether one value satisfies one test: the tables of FHIR R4, search, prefixes and parameter types."""

from fhirmedia.r4.query import (
    DateTest,
    NumberTest,
    QuantityTest,
    ReferenceTest,
    StringTest,
    Test,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.values import (
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)


def satisfies(value: SearchValue, test: Test) -> bool:
    """Whether the value satisfies the test; a test of another kind is never satisfied.

    A composite test concerns several parameters and is never satisfied by one value.
    """
    match value, test:
        case TokenValue(), TokenTest():
            return token_satisfies(value, test)
        case DateValue(), DateTest():
            return date_satisfies(value, test)
        case ReferenceValue(), ReferenceTest():
            return reference_satisfies(value, test)
        case StringValue(), StringTest():
            return string_satisfies(value, test)
        case UriValue(), UriTest():
            return uri_satisfies(value, test)
        case NumberValue(lo, hi), NumberTest():
            return number_satisfies(lo, hi, test=test)
        case QuantityValue(), QuantityTest():
            return quantity_satisfies(value, test)
        case _:
            return False


def token_satisfies(value: TokenValue, test: TokenTest) -> bool:
    """`code`, `system|code`, `system|` and `|code`."""
    if test.no_system and value.system is not None:
        return False
    if test.system is not None and value.system != test.system:
        return False
    if test.code is None or value.code == test.code:
        return True
    return test.below and value.code is not None and value.code.startswith(tuple(below_codes(test.code)))


def below_codes(code: str) -> tuple[str, str]:
    """How what is below a media type begins: a subtype of it, or the same with parameters."""
    return f"{code}/", f"{code};"


def date_satisfies(value: DateValue, test: DateTest) -> bool:
    """`[lo, hi)` against the query's `[s, e)`; where the standard leaves room no overlapping value is dropped."""
    lo, hi, s, e = value.lo, value.hi, test.lo, test.hi
    match test.prefix:
        case "eq":
            return lo >= s and hi <= e
        case "ne":
            return lo < s or hi > e
        case "gt":
            return hi > e
        case "lt":
            return lo < s
        case "ge":
            return hi > s
        case "le":
            return lo < e
        case "sa":
            return lo >= e
        case "eb":
            return hi <= s
        case "ap":
            return lo < e and hi > s


def reference_satisfies(value: ReferenceValue, test: ReferenceTest) -> bool:
    """A local Key (of that version, if one is asked for), an absolute URL or what is below it, a logical identifier."""
    if test.identifier is not None:
        return value.identifier is not None and token_satisfies(value.identifier, test.identifier)
    if test.key is not None:
        return value.key == test.key and test.version in (None, value.version)
    if test.url is None or value.url is None:
        return False
    return value.url == test.url or (test.below and value.url.startswith(below_versions(test.url)))


def below_versions(canonical: str) -> tuple[str, str]:
    """How canonicals begin whose business version is under the one that this canonical names, by whole parts."""
    return f"{canonical}.", f"{canonical}-"


def string_satisfies(value: StringValue, test: StringTest) -> bool:
    """`starts` and `contains` on the plain form, `exact` on the text itself."""
    match test.mode:
        case "starts":
            return value.plain.startswith(test.text)
        case "contains":
            return test.text in value.plain
        case "exact":
            return value.exact == test.text


def uri_satisfies(value: UriValue, test: UriTest) -> bool:
    """Equal; equal or underneath; equal or above, by whole segments; what begins so."""
    match test.mode:
        case "exact":
            return value.value == test.value
        case "below":
            return _is_below(value.value, test.value)
        case "above":
            return _is_below(test.value, value.value)
        case "begins":
            return value.value.startswith(test.value)


def _is_below(lower: str, upper: str) -> bool:
    return lower == upper or lower.startswith(upper.removesuffix("/") + "/")


def number_satisfies(lo: float, hi: float, *, test: NumberTest) -> bool:
    """`[lo, hi]` against the query's `[s, e)`; all but `eq`, `ne` and `ap` come with `s` = `e`, the exact number."""
    s, e = test.lo, test.hi
    match test.prefix:
        case "eq":
            return lo >= s and hi < e
        case "ne":
            return lo < s or hi >= e
        case "gt":
            return hi > e
        case "lt":
            return lo < s
        case "ge":
            return hi >= s
        case "le":
            return lo <= e
        case "sa":
            return lo > e
        case "eb":
            return hi < s
        case "ap":
            return lo <= e and hi >= s


def quantity_satisfies(value: QuantityValue, test: QuantityTest) -> bool:
    """The number, and the unit: system and code, or code or printed unit, or whichever."""
    if test.system is not None and value.system != test.system:
        return False
    if test.code is not None and value.code != test.code:
        return False
    if test.unit is not None and test.unit not in (value.code, value.unit):
        return False
    return number_satisfies(value.lo, value.hi, test=test.number)
