"""Which engine is right for a query, by the query alone."""

import pytest

from fhirmedia.backends.following.choosing import Choice, choose
from fhirmedia.core.records import Key
from fhirmedia.r4.query import (
    EVERYTHING,
    All,
    Any,
    Chain,
    FactIn,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    ReferenceTest,
    SortKey,
    Text,
    TokenTest,
)

HELD = frozenset({"Media", "Patient"})
MEDIA = OfType(frozenset({"Media"}))
KIND = Match("kind", (TokenTest("image"),))


def of(parameter: str, *keys: str) -> Match:
    return Match(parameter, tuple(ReferenceTest(Key("Patient", key)) for key in keys))


def chosen(*parts: Query, held: frozenset[str] = HELD) -> Choice:
    return choose(All((MEDIA, *parts)), held=held)


@pytest.mark.parametrize(
    ("part", "patients"),
    [
        (KIND, ()),
        (InCompartment("p"), ("p",)),
        (of("patient", "p"), ("p",)),
        (of("subject", "p", "q"), ("p", "q")),
        (FactIn("sole_patient", frozenset({"q", "p"})), ("p", "q")),
        (FactIn("unit", frozenset({"u"})), ()),
        (of("operator", "p"), ()),
        (of("patient", *(f"p{number}" for number in range(21))), ()),
        (Match("patient", (ReferenceTest(Key("Patient", "p")), ReferenceTest(url="https://other/Patient/p"))), ()),
        (Match("subject", (ReferenceTest(Key("Group", "g")),)), ()),
        (Any((of("patient", "p"), KIND)), ()),
        (Not(of("patient", "p")), ()),
        (Match("_id", (TokenTest("m"),)), None),
        (Match("identifier", (TokenTest("1", "urn:x"), TokenTest("2"))), None),
        (Match("sop-instance", (TokenTest("1.2.3"),)), None),
        (Match("identifier", (TokenTest(None, "urn:x"),)), ()),
        (Not(Match("_id", (TokenTest("m"),))), ()),
        (Chain("patient", OfType(frozenset({"Patient"}))), ()),
        (Any((KIND, Not(Has("subject", MEDIA)))), ()),
    ],
)
def test_by_what_is_asked(part: Query, patients: tuple[str, ...] | None) -> None:
    choice = chosen(KIND, part)
    assert choice.is_beside == (patients is not None)
    assert choice.patients == (patients or ())
    assert choice.why


def test_of_a_patient_the_database_follows_references() -> None:
    choice = chosen(InCompartment("p"), Chain("operator", OfType(frozenset({"Practitioner"}))))
    assert not choice.is_beside


def test_by_types() -> None:
    assert not choose(EVERYTHING, held=HELD).is_beside
    assert not choose(Any(()), held=HELD).is_beside
    assert choose(MEDIA, held=HELD) == Choice(True, "across patients")
    assert choose(Any((MEDIA, All((OfType(frozenset({"Patient"})), KIND)))), held=HELD).is_beside
    choice = choose(OfType(frozenset({"Media", "Task", "Basic"})), held=HELD)
    assert choice == Choice(False, "the index does not hold Basic, Task")


def test_the_fewest_patients_that_are_named() -> None:
    assert chosen(of("patient", "p", "q"), InCompartment("p")).patients == ("p",)
    assert chosen(FactIn("sole_patient", frozenset({"x"})), of("subject", "p", "q")).patients == ("x",)


def test_parameters_that_came_later() -> None:
    late = frozenset({"photographer"})

    def asked(*parts: Query, sort: str = "when") -> bool:
        return choose(All((MEDIA, *parts)), held=HELD, sort=(SortKey(sort),), late=late).is_beside

    assert asked(KIND)
    assert not asked(Match("photographer", (ReferenceTest(Key("Practitioner", "a")),)))
    assert not asked(Any((KIND, Not(Missing("photographer")))))
    assert not asked(Text("photographer:text", (("word",),)))
    assert asked(Text("_content", (("word",),)))
    assert not asked(sort="photographer")
