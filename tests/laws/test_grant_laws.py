"""Laws of access: covering is an order that means what it says, cutting never adds, engines read rules alike."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.access.caller import Caller
from fhirmedia.access.fact_rules import fact_holds
from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.access.policy import grant_for
from fhirmedia.access.scopes import LETTERS, Scope, covers, limit, parse_scopes, render, shortest
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import CONFIDENTIALITY, Facts, Key
from fhirmedia.r4.evaluator import Indexed, matches
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    TokenTest,
)
from fhirmedia.r4.registry import Registry, load_registry
from fhirmedia.r4.values import IndexEntries, ReferenceValue, TokenValue

TYPES = ("Media", "Patient", "Organization", "AuditEvent")
PARAMETERS = {"Media": ("kind", "status"), "Patient": ("kind",), "Organization": (), "AuditEvent": ()}


@cache
def registry() -> Registry:
    """Few types, two of them with a scopable parameter of the same name."""
    loaded = load_registry()
    kind = loaded.types["Media"].parameters["kind"]
    patient = loaded.types["Patient"]
    types = {name: loaded.types[name] for name in TYPES}
    return replace(
        loaded, types={**types, "Patient": replace(patient, parameters={**patient.parameters, "kind": kind})}
    )


def scopable(type: str, parameter: str) -> bool:
    return parameter in PARAMETERS[type]


# Scopes

codes = st.sampled_from(["a", "b", "s|a", "s|b", "t|a"])
constraints = st.lists(
    st.tuples(st.sampled_from(["kind", "status"]), st.frozensets(codes, min_size=1, max_size=3)), max_size=2
).map(lambda pairs: tuple(sorted(set(pairs), key=lambda pair: (pair[0], sorted(pair[1])))))
scopes = st.builds(
    Scope,
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(["*", "*", "Media", *TYPES]),
    st.frozensets(st.sampled_from(LETTERS), min_size=1) | st.just(frozenset(LETTERS)),
    st.just(()) | constraints,
)
scope_lists = st.lists(scopes, min_size=1, max_size=4)

# Facts keep each coded value with its system and bare.
tokens = st.dictionaries(
    st.sampled_from(["kind", "status"]),
    st.lists(st.sampled_from(["s|a", "s|b", "t|a", "a"]), max_size=2).map(
        lambda values: tuple(dict.fromkeys(form for value in values for form in (value, value.rpartition("|")[2])))
    ),
)
facts = st.builds(
    Facts,
    patients=st.sampled_from([("p",), ("p",), ("q",), ("p", "q"), ()]),
    unit=st.sampled_from(["u", "u", "v", None]),
    enterprise=st.sampled_from(["e", "e", "f", None]),
    authors=st.lists(st.sampled_from(["Practitioner/1", "Patient/p"]), max_size=2).map(tuple),
    encounter=st.sampled_from([None, "Encounter/1"]),
    status=st.sampled_from([None, "completed"]),
    source=st.sampled_from(["staff", "patient", "external"]),
    confidentiality=st.sampled_from(CONFIDENTIALITY),
    labels=st.lists(st.sampled_from(["s|x", "s|y"]), max_size=2).map(tuple),
    tokens=tokens,
)
keys = st.builds(Key, st.sampled_from(["Media", *TYPES]), st.sampled_from(["p", "q", "m"]))
records = st.tuples(keys, facts)
callers = st.builds(
    Caller,
    st.just("s"),
    st.just("c"),
    st.just(()),
    patient=st.sampled_from(["p", "p", None]),
    units=st.sampled_from([frozenset("u"), frozenset("uv"), frozenset()]),
    all_units=st.booleans(),
    enterprise=st.sampled_from([None, None, "e"]),
    roles=st.frozensets(st.sampled_from(["auditor", "label-manager", "importer"])),
)


def allowed(caller: Caller, given: tuple[Scope, ...], record: tuple[Key, Facts]) -> frozenset[str]:
    key, known = record
    grant = grant_for(replace(caller, scopes=given), registry())
    return frozenset(action for action in ACTIONS if grant.admits(action, key, known))


@given(scopes)
def test_covers_is_reflexive(scope: Scope) -> None:
    assert covers(scope, scope)


@given(scopes, scopes, scopes)
def test_covers_is_transitive(a: Scope, b: Scope, c: Scope) -> None:
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(scopes, scopes)
def test_what_two_scopes_share_is_covered_by_both(a: Scope, b: Scope) -> None:
    for both in limit([a], [b]):
        assert covers(a, both)
        assert covers(b, both)


@given(scopes, scopes, callers, records)
def test_what_is_covered_allows_no_more(a: Scope, b: Scope, caller: Caller, record: tuple[Key, Facts]) -> None:
    narrower = limit([b], [a])  # b itself where a covers it
    assert allowed(caller, narrower, record) <= allowed(caller, (a,), record)
    if covers(a, b):
        assert allowed(caller, (b,), record) <= allowed(caller, (a,), record)


@given(scope_lists, scope_lists, callers, records)
def test_a_limit_allows_what_both_allow_and_nothing_else(
    asked: list[Scope], ceiling: list[Scope], caller: Caller, record: tuple[Key, Facts]
) -> None:
    both = allowed(caller, limit(asked, ceiling), record)
    by_level = frozenset[str]()
    for level in ("patient", "user", "system"):
        ours, theirs = (tuple(s for s in side if s.level == level) for side in (asked, ceiling))
        by_level |= allowed(caller, ours, record) & allowed(caller, theirs, record)
    assert both == by_level


@given(scope_lists, callers, records)
def test_the_shortest_form_means_the_same(given_scopes: list[Scope], caller: Caller, record: tuple[Key, Facts]) -> None:
    short = shortest(given_scopes)
    assert allowed(caller, short, record) == allowed(caller, tuple(given_scopes), record)
    assert len(short) <= len(given_scopes)
    assert shortest(reversed(short)) == short


@given(scope_lists)
def test_rendered_scopes_are_read_back(given_scopes: list[Scope]) -> None:
    whole = [scope for scope in given_scopes if all(_works(scope.type, name) for name, _ in scope.constraints)]
    if whole:
        text = " ".join(render(scope) for scope in whole)
        assert parse_scopes(text, served_types=TYPES, scopable=scopable) == shortest(whole)


def _works(type: str, parameter: str) -> bool:
    return any(scopable(each, parameter) for each in (TYPES if type == "*" else (type,)))


PIECES = [
    "patient",
    "user",
    "system",
    "/",
    "*",
    "Media",
    "Patient",
    "media",
    ".",
    "read",
    "write",
    "c",
    "r",
    "u",
    "d",
    "s",
]
noise = st.lists(
    st.sampled_from([*PIECES, "rs", "cruds", "?", "kind", "=", "a", "s|a", ",", "&", " ", "%2e", ":", "\t", "\u00a0"]),
    max_size=24,
).map("".join)
near_misses = st.lists(
    st.builds(
        lambda scope, place, sign: render(scope)[:place] + sign + render(scope)[place:],
        scopes,
        st.integers(0, 40),
        st.sampled_from(["", "", ".", "?", "c", "s", "/", "*", " ", "|", ",", "&"]),
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(noise | near_misses | st.text(max_size=80), scope_lists, callers, records)
def test_no_text_yields_more_than_it_says_within_the_ceiling(
    text: str, ceiling: list[Scope], caller: Caller, record: tuple[Key, Facts]
) -> None:
    try:
        found = parse_scopes(text, served_types=TYPES, scopable=scopable)
    except Failure:
        return
    heads = [token.partition("?")[0] for token in text.split(" ")]
    for scope in found:
        # Each scope stands in the text: its level and type, and its letters in order or by their v1 word.
        starts = tuple(f"{scope.level}/{kind}." for kind in ("*", scope.type))
        named = "".join(head.partition(".")[2] for head in heads if head.startswith(starts))
        spelled = named.replace("read", "rs").replace("write", "cud").replace("*", LETTERS)
        assert scope.letters <= set(spelled)
        for name, values in scope.constraints:
            assert name in text
            assert all(value in text for value in values)
    cut = limit(found, ceiling)
    assert all(any(covers(top, scope) for top in ceiling) and any(covers(own, scope) for own in found) for scope in cut)
    assert allowed(caller, cut, record) <= allowed(caller, found, record) & allowed(caller, tuple(ceiling), record)


# Grants

singles: Mapping[str, list[str]] = {
    "sole_patient": ["p", "q"],
    "unit": ["u", "v"],
    "enterprise": ["e", "f"],
    "encounter": ["Encounter/1"],
    "status": ["completed"],
    "source": ["staff", "patient"],
    "confidentiality": ["N", "R", "V"],
    "id": ["p", "m"],
}
fact_ins = st.sampled_from(sorted(singles)).flatmap(
    lambda name: st.builds(FactIn, st.just(name), st.frozensets(st.sampled_from(singles[name])))  # type: ignore[arg-type]  # the names are those of SingleFact
)
fact_leaves = (
    fact_ins
    | st.builds(FactHas, st.just("labels"), st.frozensets(st.sampled_from(["s|x", "s|z"])))
    | st.builds(FactHas, st.just("authors"), st.frozensets(st.sampled_from(["Practitioner/1", "Practitioner/2"])))
    | st.builds(FactToken, st.sampled_from(["kind", "status"]), st.frozensets(codes))
    | st.builds(OfType, st.frozensets(st.sampled_from(TYPES)))
)


def trees(leaves: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    def grow(inner: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
        parts = st.lists(inner, max_size=3).map(tuple)
        return st.builds(All, parts) | st.builds(Any, parts) | st.builds(Not, inner)

    return st.recursive(leaves, grow, max_leaves=6)


fact_queries = trees(fact_leaves)
rules = st.builds(Rule, st.frozensets(st.sampled_from(ACTIONS)), st.frozensets(st.sampled_from(TYPES)), fact_queries)
grants = st.builds(Grant, st.lists(rules, max_size=4).map(tuple), st.lists(fact_queries, max_size=2).map(tuple))


def indexed(key: Key, known: Facts) -> Indexed:
    """An indexed resource whose values follow from its facts; it points to the Patients of its facts."""
    values = {
        "kind": tuple(TokenValue(None, code) for code in known.tokens.get("kind", ())),
        "subject": tuple(ReferenceValue(Key("Patient", patient)) for patient in known.patients),
    }
    return Indexed(IndexEntries(key, {name: each for name, each in values.items() if each}, known.patients), known)


class SmallWorld:
    """Current resources by Key."""

    def __init__(self, members: list[tuple[Key, Facts]]) -> None:
        self.members = {key: indexed(key, known) for key, known in members}

    def at(self, key: Key) -> Indexed | None:
        return self.members.get(key)

    def everything(self) -> list[Indexed]:
        return list(self.members.values())

    def select(self, query: Query) -> frozenset[Key]:
        return frozenset(
            key for key, each in self.members.items() if matches(query, each.entries, each.facts, world=self)
        )


worlds = st.lists(records, min_size=3, max_size=6, unique_by=lambda record: record[0]).map(SmallWorld)
plain_leaves = (
    st.builds(Match, st.just("kind"), st.just((TokenTest("a"),)))
    | st.builds(Missing, st.just("kind"))
    | st.builds(InCompartment, st.sampled_from("pq"))
    | st.builds(OfType, st.frozensets(st.sampled_from(TYPES)))
)
inner = st.builds(
    lambda types, query: All((OfType(types), query)),
    st.frozensets(st.sampled_from(TYPES), min_size=1, max_size=2),
    trees(plain_leaves),
)
chained = st.builds(Chain, st.just("subject"), inner) | st.builds(Has, st.just("subject"), inner)
questions = trees(plain_leaves) | trees(chained | plain_leaves) | chained | chained.map(Not)
often = st.sampled_from([All(()), FactIn("sole_patient", frozenset("p")), FactIn("unit", frozenset("u"))])
listers = st.builds(
    lambda types, rows, grant, limits: Grant(
        (Rule(frozenset({"read", "search"}), types, rows), *grant.rules), grant.restrictions if limits else ()
    ),
    st.frozensets(st.sampled_from(TYPES), min_size=2),
    often,
    grants,
    st.booleans(),
)
"""Grants that list something, as most do."""


@given(fact_queries, records)
def test_rules_compiled_and_rules_evaluated_agree(query: Query, record: tuple[Key, Facts]) -> None:
    key, known = record
    expected = matches(query, indexed(key, known).entries, known)
    assert fact_holds(query, key, facts=known) == expected


@given(grants, records)
def test_admits_agrees_with_the_rows_an_engine_gets(grant: Grant, record: tuple[Key, Facts]) -> None:
    key, known = record
    for action in ACTIONS:
        rows = matches(grant.rows(action, key.type), indexed(key, known).entries, known)
        assert grant.admits(action, key, known) == rows
        assert grant.may(action, key.type) or not rows


@given(listers, questions, worlds)
def test_narrowing_never_adds_and_gives_only_what_may_be_read_and_searched(
    grant: Grant, query: Query, world: SmallWorld
) -> None:
    types = grant.listable(TYPES)
    try:
        narrowed = world.select(grant.narrow(query, types=types).query)
    except Failure:
        return
    for key in narrowed:
        assert key.type in types
        assert grant.admits("read", key, world.members[key].facts)
        assert grant.admits("search", key, world.members[key].facts)
    if _is_plain(query):
        assert narrowed == {
            key
            for key in world.select(query)
            if key.type in types
            and grant.admits("read", key, world.members[key].facts)
            and grant.admits("search", key, world.members[key].facts)
        }


def _is_plain(query: Query) -> bool:
    match query:
        case All(parts) | Any(parts):
            return all(map(_is_plain, parts))
        case Not(part):
            return _is_plain(part)
        case Chain() | Has():
            return False
        case _:
            return True


@given(listers, fact_queries, questions, worlds)
def test_one_more_restriction_adds_no_row(grant: Grant, restriction: Query, query: Query, world: SmallWorld) -> None:
    tighter = Grant(grant.rules, (*grant.restrictions, restriction))
    for key, each in world.members.items():
        for action in ACTIONS:
            assert not tighter.admits(action, key, each.facts) or grant.admits(action, key, each.facts)
    if _is_plain(query):
        types = grant.listable(TYPES)
        wide, tight = (world.select(each.narrow(query, types=types).query) for each in (grant, tighter))
        assert tight <= wide


@given(listers, questions, worlds)
def test_hidden_records_change_no_answer(grant: Grant, query: Query, world: SmallWorld) -> None:
    """Non-interference of the query: without the records the Caller may not search, it selects the same ones."""
    types = grant.listable(TYPES)
    visible = [(key, each.facts) for key, each in world.members.items() if grant.admits("search", key, each.facts)]
    try:
        narrowed = grant.narrow(query, types=types).query
    except Failure:
        return
    assert world.select(narrowed) == SmallWorld(visible).select(narrowed)
