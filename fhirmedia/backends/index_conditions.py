"""Tests of values as conditions on the columns of a value table: one table of rules for each kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fhirmedia.backends.index_dialect import Dialect, Sql, every, some
from fhirmedia.backends.index_terms import IDENTIFIER, NO_SYSTEM, UNKNOWN
from fhirmedia.backends.index_values import NARROW, OF_URL, WIDE
from fhirmedia.r4.query import (
    CompositeTest,
    DateTest,
    NumberTest,
    Prefix,
    QuantityTest,
    ReferenceTest,
    StringTest,
    Test,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.value_tests import below_codes, below_versions

TABLE_OF_KIND = {
    "token": "idx_token",
    "date": "idx_date",
    "period": "idx_date",
    "reference": "idx_reference",
    "string": "idx_string",
    "uri": "idx_uri",
    "number": "idx_number",
    "quantity": "idx_quantity",
}

Systems = Callable[[str], int]
"""The number of a token system."""

Compared = Callable[[str, int], Sql]
"""A bound of a stored range compared (`<`, `<=`, `>`, `>=`) with a time."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row of the alias `t` must fulfil; `seekable`: the primary key leads to those rows."""

    sql: Sql
    seekable: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Conditions (OR) on the rows of some kinds, all in one table; `suffix` extends the parameter's code."""

    kinds: tuple[str, ...]
    conditions: tuple[Condition, ...]
    suffix: str = ""

    @property
    def table(self) -> str:
        """Where the rows are."""
        return TABLE_OF_KIND[self.kinds[0]]


def lookups(tests: Sequence[Test], dialect: Dialect, *, systems: Systems) -> list[Lookup]:
    """The rows that satisfy some of the tests, one Lookup for each table; composite tests have none of their own."""
    alike: dict[type[Test], list[Test]] = {}
    for test in tests:
        alike.setdefault(type(test), []).append(test)
    found = [lookup for same in alike.values() for lookup in _lookups_of_a_kind(same, dialect, systems=systems)]
    return [lookup if len(lookup.conditions) <= _FEW else _in_fewer(lookup) for lookup in found]


_FEW = 100
"""Conditions of one Lookup; each may become a SELECT of its own, of which SQLite takes 500 in one statement."""


def _in_fewer(lookup: Lookup) -> Lookup:
    """The same, several conditions told as one."""
    every_one = lookup.conditions
    size = -(-len(every_one) // _FEW)
    parts = (every_one[at : at + size] for at in range(0, len(every_one), size))
    fewer = (Condition(some(each.sql for each in part), all(each.seekable for each in part)) for part in parts)
    return replace(lookup, conditions=tuple(fewer))


def _lookups_of_a_kind(tests: Sequence[Test], dialect: Dialect, *, systems: Systems) -> list[Lookup]:
    match tests[0]:
        case TokenTest():
            tokens = [test for test in tests if isinstance(test, TokenTest)]
            return [Lookup(("token",), token_conditions(tokens, dialect, systems=systems))]
        case DateTest():
            return [Lookup((NARROW, WIDE), tuple(_stored_date(test) for test in tests if isinstance(test, DateTest)))]
        case ReferenceTest():
            references = [test for test in tests if isinstance(test, ReferenceTest)]
            named = [test.identifier for test in references if test.identifier is not None]
            found = (
                Lookup(("reference",), reference_conditions(references, dialect)),
                Lookup(("token",), token_conditions(named, dialect, systems=systems), suffix=IDENTIFIER),
            )
            return [lookup for lookup in found if lookup.conditions]
        case StringTest():
            return [
                Lookup(("string",), tuple(string_condition(test) for test in tests if isinstance(test, StringTest)))
            ]
        case UriTest():
            uris = [test for test in tests if isinstance(test, UriTest)]
            return [Lookup(("uri",), uri_conditions(uris, dialect))]
        case NumberTest():
            numbers = (number_condition(test) for test in tests if isinstance(test, NumberTest))
            return [Lookup(("number",), tuple(map(Condition, numbers)))]
        case QuantityTest():
            quantities = (quantity_condition(test, systems=systems) for test in tests if isinstance(test, QuantityTest))
            return [Lookup(("quantity",), tuple(map(Condition, quantities)))]
        case CompositeTest():
            return []


def _stored_date(test: DateTest) -> Condition:
    def compared(column: str) -> Compared:
        return lambda sign, time: Sql(f"t.{column} {sign} ?", (time,))

    return Condition(date_condition(test, lo=compared("lo"), hi=compared("hi")))


def date_condition(test: DateTest, *, lo: Compared, hi: Compared) -> Sql:
    """A stored `[lo, hi)` against the test's range."""
    s, e = test.lo, test.hi
    match test.prefix:
        case "eq":
            return every((lo(">=", s), hi("<=", e)))
        case "ne":
            return some((lo("<", s), hi(">", e)))
        case "gt":
            return hi(">", e)
        case "lt":
            return lo("<", s)
        case "ge":
            return hi(">", s)
        case "le":
            return lo("<", e)
        case "sa":
            return lo(">=", e)
        case "eb":
            return hi("<=", s)
        case "ap":
            return every((lo("<", e), hi(">", s)))


_NUMBER: dict[Prefix, Callable[[float, float], Sql]] = {
    "eq": lambda s, e: Sql("t.lo >= ? AND t.hi < ?", (s, e)),
    "ne": lambda s, e: Sql("(t.lo < ? OR t.hi >= ?)", (s, e)),
    "gt": lambda _, e: Sql("t.hi > ?", (e,)),
    "lt": lambda s, _: Sql("t.lo < ?", (s,)),
    "ge": lambda s, _: Sql("t.hi >= ?", (s,)),
    "le": lambda _, e: Sql("t.lo <= ?", (e,)),
    "sa": lambda _, e: Sql("t.lo > ?", (e,)),
    "eb": lambda s, _: Sql("t.hi < ?", (s,)),
    "ap": lambda s, e: Sql("t.lo <= ? AND t.hi >= ?", (e, s)),
}


def number_condition(test: NumberTest) -> Sql:
    """A stored `[lo, hi]`, both ends included, against the range `[s, e)` the query's digits stand for."""
    return _NUMBER[test.prefix](test.lo, test.hi)


def quantity_condition(test: QuantityTest, *, systems: Systems) -> Sql:
    """The number, and whichever of system, code and unit the test names."""
    parts = [number_condition(test.number)]
    if test.system is not None:
        parts.append(Sql("t.system = ?", (systems(test.system),)))
    if test.code is not None:
        parts.append(Sql("t.code = ?", (test.code,)))
    if test.unit is not None:
        parts.append(Sql("(t.code = ? OR t.unit = ?)", (test.unit, test.unit)))
    return every(parts)


def string_condition(test: StringTest) -> Condition:
    """`starts` as a range of code points."""
    match test.mode:
        case "starts":
            return Condition(starts_with("t.plain", test.text), seekable=bool(test.text))
        case "contains":
            return Condition(Sql("instr(t.plain, ?) > 0", (test.text,)))
        case "exact":
            return Condition(Sql("t.exact = ?", (test.text,)))


def starts_with(column: str, prefix: str) -> Sql:
    """Whether the column begins with the prefix, as a range that an index can walk."""
    after = _after(prefix)
    if after is None:
        return Sql(f"{column} >= ?", (prefix,))
    return Sql(f"{column} >= ? AND {column} < ?", (prefix, after))


def _after(prefix: str) -> str | None:
    """The first text beyond all that begin with the prefix; None if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)


def uri_conditions(tests: Sequence[UriTest], dialect: Dialect) -> tuple[Condition, ...]:
    """Equal and above as lists of whole URIs, below and beginnings as ranges."""
    listed = {test.value for test in tests if test.mode != "begins"}
    for test in tests:
        if test.mode == "above":
            cuts = [test.value[:at] for at, letter in enumerate(test.value) if letter == "/"]
            listed.update(form for cut in cuts for form in (cut, cut + "/"))
    begins = [test.value for test in tests if test.mode == "begins"]
    begins.extend(test.value.removesuffix("/") + "/" for test in tests if test.mode == "below")
    ways = (dialect.among("t.value", listed), *(starts_with("t.value", prefix) for prefix in begins))
    return tuple(Condition(way, seekable=True) for way in ways)


def token_conditions(tests: Sequence[TokenTest], dialect: Dialect, *, systems: Systems) -> tuple[Condition, ...]:
    """One condition for each system named, and one for codes of any system."""
    conditions = []
    groups: dict[int | None, list[TokenTest]] = {}
    for test in tests:
        groups.setdefault(_system_number(test, systems), []).append(test)
    for system, alike in groups.items():
        same_system = Sql("t.system = ?", (system,)) if system is not None else None
        if any(test.code is None for test in alike):
            conditions.append(Condition(same_system or every(())))
            continue
        asked = {test.code for test in alike if test.code is not None}
        under = {begin for test in alike if test.below and test.code for begin in below_codes(test.code)}
        ways = (dialect.among("t.code", asked), *(starts_with("t.code", begin) for begin in sorted(under)))
        bounds = () if same_system is None else (same_system,)
        conditions.extend(Condition(every((way, *bounds)), seekable=True) for way in ways)
    return tuple(conditions)


def _system_number(test: TokenTest, systems: Systems) -> int | None:
    if test.no_system:
        return NO_SYSTEM if test.system is None else UNKNOWN
    return None if test.system is None else systems(test.system)


def reference_conditions(tests: Sequence[ReferenceTest], dialect: Dialect) -> tuple[Condition, ...]:
    """Local Keys of any version, Keys of one version, URLs, canonicals below others; identifiers are tokens."""
    conditions = []
    tests = [test for test in tests if test.identifier is None]
    keys = {str(test.key) for test in tests if test.key is not None and test.version is None}
    if keys:
        conditions.append(Condition(every((dialect.among("t.target", keys), Sql("t.version >= 0"))), seekable=True))
    for test in tests:
        if test.key is not None and test.version is not None:
            one = Sql("t.target = ? AND t.version = ?", (str(test.key), test.version))
            conditions.append(Condition(one, seekable=True))
    urls = {test.url for test in tests if test.url is not None and test.key is None}
    if urls:
        of_url = Sql("t.version = ?", (OF_URL,))
        conditions.append(Condition(every((dialect.among("t.target", urls), of_url)), seekable=True))
        under = sorted({begin for test in tests if test.below and test.url for begin in below_versions(test.url)})
        conditions.extend(Condition(every((starts_with("t.target", begin), of_url)), seekable=True) for begin in under)
    return tuple(conditions)
