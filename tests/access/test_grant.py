"""A Grant: rules unite, restrictions intersect, nothing is reached that nobody named."""

from dataclasses import replace
from typing import Any as Anything

import pytest

from fhirmedia.access.fact_rules import fact_holds
from fhirmedia.access.grant import ACTIONS, Action, Grant, NarrowedQuery, Rule, types_named
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.query import (
    EVERYTHING,
    NOTHING,
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
    Text,
    TokenTest,
    leaves,
)

MEDIA = Key("Media", "m")
NOBODY = Facts()
IN_A, IN_B = Facts(unit="a"), Facts(unit="b")
UNIT_A, UNIT_B = FactIn("unit", frozenset({"a"})), FactIn("unit", frozenset({"b"}))
PHOTOS = FactToken("kind", frozenset({"photo"}))
WORDS = Match("status", (TokenTest("completed"),))


def rule(actions: str, types: str, rows: Query = EVERYTHING) -> Rule:
    names: dict[str, Action] = {action[0]: action for action in ACTIONS}
    return Rule(frozenset(names[letter] for letter in actions), frozenset(types.split()), rows)


def refused(act: Anything) -> Category:
    with pytest.raises(Failure) as caught:
        act()
    return caught.value.category


def test_an_empty_grant_allows_nothing() -> None:
    grant = Grant(())
    assert not any(grant.may(action, "Media") for action in ACTIONS)
    assert not any(grant.admits(action, MEDIA, NOBODY) for action in ACTIONS)
    assert all(grant.rows(action, "Media") == NOTHING for action in ACTIONS)
    assert grant.listable(["Media"]) == frozenset()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("type", ["Media", "Patient"])
def test_a_rule_allows_its_own_actions_on_its_own_types(action: Action, type: str) -> None:
    grant = Grant((rule("ru", "Media"),))
    allowed = action in ("read", "update") and type == "Media"
    assert grant.may(action, type) == allowed
    assert grant.admits(action, Key(type, "x"), NOBODY) == allowed
    assert (grant.rows(action, type) == EVERYTHING) == allowed
    if allowed:
        grant.require(action, type)
    else:
        assert refused(lambda: grant.require(action, type)) is Category.FORBIDDEN


def test_rules_unite() -> None:
    grant = Grant((rule("r", "Media", UNIT_A), rule("r", "Media", UNIT_B), rule("d", "Media", UNIT_B)))
    assert grant.admits("read", MEDIA, IN_A)
    assert grant.admits("read", MEDIA, IN_B)
    assert not grant.admits("read", MEDIA, NOBODY)
    assert not grant.admits("delete", MEDIA, IN_A)
    assert grant.rows("read", "Media") == Any((UNIT_A, UNIT_B))


def test_restrictions_intersect() -> None:
    grant = Grant((rule("r", "Media"), rule("r", "Media", UNIT_A)), (UNIT_A, PHOTOS))
    photo = replace(IN_A, tokens={"kind": ("photo",)})
    assert grant.admits("read", MEDIA, photo)
    assert not grant.admits("read", MEDIA, IN_A)
    assert not grant.admits("read", MEDIA, replace(photo, unit="b"))
    assert grant.rows("read", "Media") == All((UNIT_A, PHOTOS))
    assert grant.rows("read", "Patient") == NOTHING


def test_rows_that_are_everything_leave_only_the_restrictions() -> None:
    assert Grant((rule("r", "Media", UNIT_A), rule("r", "Media"))).rows("read", "Media") == EVERYTHING


FACTS = Facts(
    patients=("p",),
    unit="u",
    enterprise="e",
    authors=("Practitioner/a", "Practitioner/b"),
    encounter="Encounter/1",
    status="completed",
    source="patient",
    confidentiality="R",
    labels=("s|x", "s|y"),
    tokens={"kind": ("s|photo", "photo"), "none": ()},
)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (EVERYTHING, True),
        (NOTHING, False),
        (All((EVERYTHING, NOTHING)), False),
        (Any((EVERYTHING, NOTHING)), True),
        (Not(NOTHING), True),
        (Not(EVERYTHING), False),
        (OfType(frozenset({"Media"})), True),
        (OfType(frozenset({"Patient"})), False),
        (FactIn("sole_patient", frozenset({"p"})), True),
        (FactIn("sole_patient", frozenset({"q"})), False),
        (FactIn("unit", frozenset({"u", "v"})), True),
        (FactIn("unit", frozenset({"v"})), False),
        (FactIn("unit", frozenset()), False),
        (FactIn("enterprise", frozenset({"e"})), True),
        (FactIn("enterprise", frozenset({"u"})), False),
        (FactIn("encounter", frozenset({"Encounter/1"})), True),
        (FactIn("encounter", frozenset({"1"})), False),
        (FactIn("status", frozenset({"completed"})), True),
        (FactIn("status", frozenset({"draft"})), False),
        (FactIn("source", frozenset({"patient"})), True),
        (FactIn("source", frozenset({"staff"})), False),
        (FactIn("confidentiality", frozenset({"R"})), True),
        (FactIn("confidentiality", frozenset({"N"})), False),
        (FactIn("id", frozenset({"m"})), True),
        (FactIn("id", frozenset({"n"})), False),
        (FactHas("labels", frozenset({"s|y", "z"})), True),
        (FactHas("labels", frozenset({"s|z"})), False),
        (FactHas("authors", frozenset({"Practitioner/b"})), True),
        (FactHas("authors", frozenset({"s|x"})), False),
        (FactToken("kind", frozenset({"photo"})), True),
        (FactToken("kind", frozenset({"s|photo"})), True),
        (FactToken("kind", frozenset({"t|photo", "film"})), False),
        (FactToken("none", frozenset({"photo"})), False),
        (FactToken("absent", frozenset({"photo"})), False),
    ],
)
def test_each_kind_of_fact(query: Query, holds: bool) -> None:
    assert fact_holds(query, MEDIA, facts=FACTS) == holds
    assert fact_holds(Not(query), MEDIA, facts=FACTS) != holds


@pytest.mark.parametrize("patients", [(), ("p", "q"), ("q", "p"), ("p", "p")])
def test_several_patients_or_none_are_no_sole_patient(patients: tuple[str, ...]) -> None:
    assert not fact_holds(FactIn("sole_patient", frozenset({"p"})), MEDIA, facts=Facts(patients=patients))


@pytest.mark.parametrize("fact", ["unit", "enterprise", "encounter", "status", "sole_patient"])
def test_a_missing_fact_is_none_of_the_values(fact: Anything) -> None:
    assert not fact_holds(FactIn(fact, frozenset({"", "None"})), MEDIA, facts=NOBODY)


FOREIGN = [
    WORDS,
    Missing("status"),
    InCompartment("p"),
    Chain("subject", EVERYTHING),
    Has("subject", EVERYTHING),
    Text("text", (("word",),)),
]


@pytest.mark.parametrize("node", FOREIGN)
def test_rules_and_restrictions_speak_of_facts_alone(node: Query) -> None:
    for hidden in (node, All((UNIT_A, node)), Any((node,)), Not(node)):
        assert refused(lambda bad=hidden: Grant((rule("r", "Media", bad),))) is Category.INTERNAL
        assert refused(lambda bad=hidden: Grant((rule("r", "Media"),), (bad,))) is Category.INTERNAL


def test_only_narrow_makes_a_narrowed_query() -> None:
    assert refused(lambda: NarrowedQuery(EVERYTHING, object())) is Category.INTERNAL
    assert refused(lambda: NarrowedQuery(EVERYTHING, None)) is Category.INTERNAL
    made = Grant((rule("rs", "Media"),)).narrow(EVERYTHING, types=("Media",))
    assert refused(lambda: replace(made, query=EVERYTHING, seal=None)) is Category.INTERNAL


def test_narrow_puts_types_rows_and_restrictions_beside_the_question() -> None:
    grant = Grant((rule("rs", "Media Patient", UNIT_A),), (PHOTOS,))
    narrowed = grant.narrow(WORDS, types=("Media", "Patient")).query
    assert narrowed == All((OfType(frozenset({"Media", "Patient"})), UNIT_A, PHOTOS, WORDS))
    assert grant.narrow(WORDS, types=["Media", "Patient"]).query == narrowed


def test_types_with_rows_of_their_own_stay_apart() -> None:
    grant = Grant((rule("rs", "Media", UNIT_A), rule("rs", "Patient Encounter", UNIT_B)))
    media, others = OfType(frozenset({"Media"})), OfType(frozenset({"Patient", "Encounter"}))
    asked = ("Media", "Patient", "Encounter")
    reach = grant.narrow(EVERYTHING, types=asked).query
    assert reach in (
        Any((All((media, UNIT_A)), All((others, UNIT_B)))),
        Any((All((others, UNIT_B)), All((media, UNIT_A)))),
    )
    assert grant.narrow(EVERYTHING, types=("Media",)).query == All((media, UNIT_A))


def test_a_listed_record_is_both_searched_and_read() -> None:
    grant = Grant((rule("r", "Media", UNIT_A), rule("s", "Media", PHOTOS)))
    assert grant.narrow(EVERYTHING, types=("Media",)).query == All((OfType(frozenset({"Media"})), UNIT_A, PHOTOS))


@pytest.mark.parametrize("letters", ["r", "s", "cud"])
def test_listing_takes_read_and_search(letters: str) -> None:
    grant = Grant((rule("rs", "Media"), rule(letters, "Patient")))
    assert grant.listable(("Media", "Patient")) == {"Media"}
    assert refused(lambda: grant.narrow(EVERYTHING, types=("Media", "Patient"))) is Category.FORBIDDEN
    assert refused(lambda: grant.narrow(EVERYTHING, types=("Patient",))) is Category.FORBIDDEN


def test_a_search_over_no_type_finds_nothing() -> None:
    assert Grant((rule("rs", "Media"),)).narrow(EVERYTHING, types=()).query == NOTHING


MEDIA_TYPE, PATIENT_TYPE = OfType(frozenset({"Media"})), OfType(frozenset({"Patient"}))


@pytest.mark.parametrize("form", [Chain, Has])
@pytest.mark.parametrize("wrap", [lambda node: node, Not, lambda node: All((WORDS, node)), lambda node: Any((node,))])
def test_inner_queries_are_narrowed_for_their_own_types(form: Anything, wrap: Anything) -> None:
    grant = Grant((rule("rs", "Media", UNIT_A), rule("s", "Patient", UNIT_B)))
    asked = wrap(form("subject", All((PATIENT_TYPE, WORDS))))
    narrowed = grant.narrow(asked, types=("Media",)).query
    inner = wrap(form("subject", All((PATIENT_TYPE, UNIT_B, WORDS))))
    outer = inner.parts if isinstance(inner, All) else (inner,)
    assert narrowed == All((MEDIA_TYPE, UNIT_A, *outer))


SAYS = Text("_content", (("zebra",),))
BYTES = rule("r", "Binary")


@pytest.mark.parametrize("field", ["_content", "_text", "text"])
@pytest.mark.parametrize(
    "wrap", [lambda node: node, Not, lambda node: All((WORDS, node)), lambda node: Any((WORDS, Not(node)))]
)
def test_who_may_not_read_asks_nothing_of_what_documents_say(field: str, wrap: Anything) -> None:
    asked = wrap(Text(field, (("zebra",),)))
    counting = Grant((rule("s", "Media", PHOTOS),))
    assert refused(lambda: counting.narrow(asked, types=("Media",), listing=False)) is Category.FORBIDDEN
    assert counting.narrow(Text("code:text", (("zebra",),)), types=("Media",), listing=False)
    both = Grant((rule("s", "Media", PHOTOS), rule("r", "Media", UNIT_A), BYTES))
    narrowed = both.narrow(asked, types=("Media",), listing=False).query
    parts = asked.parts if isinstance(asked, All) else (asked,)
    assert narrowed == All((MEDIA_TYPE, UNIT_A, PHOTOS, *parts))


@pytest.mark.parametrize("listing", [True, False])
def test_words_of_contents_take_the_right_to_read_these(listing: bool) -> None:
    rules = (rule("rs", "Media"), rule("s", "Binary"))
    refusal = refused(lambda: Grant(rules).narrow(All((WORDS, Not(SAYS))), types=("Media",), listing=listing))
    assert refusal is Category.FORBIDDEN
    inner = Has("subject", All((MEDIA_TYPE, SAYS)))
    assert (
        refused(lambda: Grant((*rules, rule("rs", "Patient"))).narrow(inner, types=("Patient",))) is Category.FORBIDDEN
    )
    assert Grant(rules).narrow(Text("_text", (("zebra",),)), types=("Media",), listing=listing)
    assert Grant((*rules, BYTES)).narrow(SAYS, types=("Media",), listing=listing)


@pytest.mark.parametrize("form", [Chain, Has])
def test_words_of_documents_inside_take_the_right_to_read_there(form: Anything) -> None:
    asked = form("subject", All((PATIENT_TYPE, SAYS)))
    searching = Grant((rule("rs", "Media"), rule("s", "Patient", UNIT_B)))
    assert refused(lambda: searching.narrow(asked, types=("Media",))) is Category.FORBIDDEN
    reading = Grant((rule("s", "Media"), rule("s", "Patient", UNIT_B), rule("r", "Patient", UNIT_A), BYTES))
    narrowed = reading.narrow(asked, types=("Media",), listing=False).query
    assert narrowed == All((MEDIA_TYPE, form("subject", All((PATIENT_TYPE, UNIT_A, UNIT_B, SAYS)))))


@pytest.mark.parametrize("form", [Chain, Has])
def test_inner_queries_of_inner_queries_are_narrowed(form: Anything) -> None:
    grant = Grant((rule("rs", "Media"), rule("s", "Patient", UNIT_A), rule("s", "Encounter", UNIT_B)))
    innermost = OfType(frozenset({"Encounter"}))
    asked = form("a", All((PATIENT_TYPE, form("b", innermost))))
    wanted = form("a", All((PATIENT_TYPE, UNIT_A, form("b", All((innermost, UNIT_B))))))
    assert grant.narrow(asked, types=("Media",)).query == All((MEDIA_TYPE, wanted))


@pytest.mark.parametrize("form", [Chain, Has])
def test_an_inner_query_needs_search_on_every_type_it_names(form: Anything) -> None:
    grant = Grant((rule("rs", "Media"), rule("r", "Patient")))
    for inner in (PATIENT_TYPE, OfType(frozenset({"Media", "Patient"})), Any((MEDIA_TYPE, PATIENT_TYPE))):
        asked = form("x", inner)
        assert refused(lambda bad=asked: grant.narrow(bad, types=("Media",))) is Category.FORBIDDEN
    assert grant.narrow(form("x", MEDIA_TYPE), types=("Media",))


@pytest.mark.parametrize("form", [Chain, Has])
def test_an_inner_query_that_names_no_type_is_a_mistake(form: Anything) -> None:
    grant = Grant((rule("rs", "Media"),))
    assert refused(lambda: grant.narrow(form("x", WORDS), types=("Media",))) is Category.INTERNAL


@pytest.mark.parametrize(
    ("query", "types"),
    [
        (MEDIA_TYPE, {"Media"}),
        (All((MEDIA_TYPE, WORDS)), {"Media"}),
        (All((OfType(frozenset({"Media", "Patient"})), PATIENT_TYPE)), {"Patient"}),
        (Any((MEDIA_TYPE, PATIENT_TYPE)), {"Media", "Patient"}),
        (All((Any((MEDIA_TYPE, PATIENT_TYPE)), WORDS)), {"Media", "Patient"}),
        (Any(()), set()),
        (Any((MEDIA_TYPE, WORDS)), None),
        (All((WORDS,)), None),
        (Not(MEDIA_TYPE), None),
        (EVERYTHING, None),
        (Chain("x", MEDIA_TYPE), None),
    ],
)
def test_types_named(query: Query, types: set[str] | None) -> None:
    assert types_named(query) == types


def test_other_nodes_pass_through_as_they_are() -> None:
    grant = Grant((rule("rs", "Media"),))
    for node in (
        WORDS,
        Missing("a"),
        InCompartment("p"),
        Text("text", (("a",),)),
        UNIT_A,
        PHOTOS,
        FactHas("labels", frozenset({"x"})),
    ):
        assert grant.narrow(node, types=("Media",)).query == All((MEDIA_TYPE, node))


def test_grants_are_compared_by_what_they_say() -> None:
    first, second = Grant((rule("r", "Media", UNIT_A),)), Grant((rule("r", "Media", UNIT_A),))
    assert first == second
    assert hash(first) == hash(second)
    assert first != Grant((rule("r", "Media", UNIT_B),))


def test_inner_queries_can_be_answered_apart_and_widen_nothing() -> None:
    grant = Grant((rule("rs", "Media", UNIT_A), rule("rs", "Patient", UNIT_B)))
    chain = Chain("patient", OfType(frozenset({"Patient"})))
    has = Has("subject", All((OfType(frozenset({"Media"})), Chain("patient", OfType(frozenset({"Patient"}))))))
    narrowed = grant.narrow(All((WORDS, Any((chain, Not(has))))), types=["Media"])
    inner = narrowed.inner()
    forms = {type(node): (node, inside) for node, inside in inner.items()}
    assert set(forms) == {Chain, Has}
    for node, inside in inner.items():
        assert isinstance(node, Chain | Has)
        assert inside.query == (node.target if isinstance(node, Chain) else node.source)
    # What is inside was cut as well: to the unit whose Patients may be searched, to that whose Media may.
    assert UNIT_B in parts_of(forms[Chain][1].query)
    assert UNIT_A in parts_of(forms[Has][1].query)
    assert [type(node) for node in forms[Has][1].inner()] == [Chain]

    answers = {forms[Chain][0]: EVERYTHING, forms[Has][0]: NOTHING}
    answered = narrowed.answered(answers)
    reach = grant.narrow(EVERYTHING, types=["Media"]).query
    assert answered.query == All((*parts_of(reach), WORDS, Any((EVERYTHING, Not(NOTHING)))))
    assert answered.inner() == {}
    plain = grant.narrow(Any((WORDS, Not(Missing("kind")))), types=["Media"])
    assert plain.inner() == {}
    assert plain.answered({}) == plain


def parts_of(query: Query) -> tuple[Query, ...]:
    return query.parts if isinstance(query, All) else (query,)


def test_a_further_test_takes_nothing_of_the_limits_away() -> None:
    narrowed = Grant((rule("s", "Media", UNIT_A),)).narrow(EVERYTHING, types=["Media"], listing=False)
    further = narrowed.and_also(WORDS)
    assert further.query == All((narrowed.query, WORDS))
    assert UNIT_A in leaves(further.query)
