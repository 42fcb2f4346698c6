"""Scopes are read to the letter of their grammar, compared by `covers`, and never grow."""

import pytest

from fhirmedia.access.scopes import (
    LETTERS,
    LIST_MAX_BYTES,
    LIST_MAX_TOKENS,
    Scope,
    covers,
    limit,
    parse_scopes,
    render,
    shortest,
)
from fhirmedia.core.errors import Category, Failure

TYPES = ("Media", "Patient", "AuditEvent")
SCOPABLE = {("Media", "kind"), ("Media", "status"), ("Patient", "active")}


def parse(text: str) -> tuple[Scope, ...]:
    return parse_scopes(text, served_types=TYPES, scopable=lambda type, name: (type, name) in SCOPABLE)


def texts(text: str) -> list[str]:
    return [render(scope) for scope in parse(text)]


@pytest.mark.parametrize("level", ["patient", "user", "system"])
@pytest.mark.parametrize("type", ["*", *TYPES])
@pytest.mark.parametrize(("word", "letters"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
def test_v1_words_stand_for_v2_letters(level: str, type: str, word: str, letters: str) -> None:
    assert texts(f"{level}/{type}.{word}") == [f"{level}/{type}.{letters}"]


@pytest.mark.parametrize("bits", range(1, 32))
def test_every_ordered_choice_of_letters_is_itself(bits: int) -> None:
    letters = "".join(letter for place, letter in enumerate(LETTERS) if bits >> place & 1)
    assert texts(f"user/Media.{letters}") == [f"user/Media.{letters}"]
    assert parse(f"user/Media.{letters}")[0].letters == frozenset(letters)


UNDEFINED = [
    "patient/Media.dus", "patient/Media.sr", "patient/Media.dr", "patient/Media.rr", "patient/Media.cc",
    "patient/Media.", "patient/Media", "patient/Media.x", "patient/Media.rsx", "patient/Media.Read",
    "patient/Media.READ", "patient/Media.RS", "patient/Media.reads", "patient/Media.cruds.read",
    "patient/Media.read.write", "patient/Media.readwrite", "patient/Media.**", "patient/Media.*s", "patient/Media.r*",
    "Patient/Media.rs", "PATIENT/Media.rs", "practitioner/Media.rs", "/Media.rs", "Media.rs", "patient:Media.rs",
    "patient/Media:rs", "patient/Media/rs", "patient\uff0fMedia.rs".encode("ascii", "ignore").decode(),
    "patient/media.rs", "patient/MEDIA.rs", "patient/Observation.rs", "patient/Medias.rs", "patient/.rs",
    "patient/Me*.rs", "patient/Media,Patient.rs", "patient%2FMedia.rs", "patient/Media%2Ers", "patient/Media.%72s",
    "patient/M%65dia.rs", "patient/Media.rs?", "patient/Media.rs?kind", "patient/Media.rs?kind=", "patient/Media.rs?=a",
    "patient/Media.rs?kind=a&", "patient/Media.rs?&kind=a", "patient/Media.rs?kind=a&&kind=b",
    "patient/Media.rs?kind=a?status=b", "patient/Media.rs??kind=a", "patient/Media.rs?kind=a=b",
    "patient/Media.rs?kind=a,,b", "patient/Media.rs?kind=,a", "patient/Media.rs?kind=a,", "patient/Media.rs?kind=a|",
    "patient/Media.rs?kind=|", "patient/Media.rs?kind=|a", "patient/Media.rs?kind=a|b|c", "patient/Media.rs?kind=%41",
    "patient/Media.rs?_filter=a",
    "patient/Media.rs?kind:not=a", "patient/Media.rs?kind:in=a", "patient/Media.rs?subject.name=a",
    "patient/Media.rs?note=a", "patient/Media.rs?kind=a&note=a", "patient/Media.rs?active=true",
    "patient/*.rs?note=a", "patient/Media.read?kind=a", "patient/Media.*?kind=a", "patient/Media.?kind=a",
    "patient/AuditEvent.rs?kind=a", "openid", "fhirUser", "launch/patient", "offline_access", "__fhirmedia.introspect",
]  # fmt: skip


@pytest.mark.parametrize("token", UNDEFINED)
def test_undefined_tokens_grant_nothing_and_leave_the_others_alone(token: str) -> None:
    assert parse(token) == ()
    assert texts(f"user/Patient.r {token} system/Media.s") == ["system/Media.s", "user/Patient.r"]


@pytest.mark.parametrize(
    "text",
    [
        "", " ", " patient/Media.rs", "patient/Media.rs ", "patient/Media.rs  user/Media.rs",
        "patient/Media.rs\tuser/Media.rs", "patient/Media.rs\nuser/Media.rs", "patient/Media.rs\n",
        "patient/Media.rs\r\n", "patient/Media.rs\x00", "patient/Media.rs\x7f", "patient/Media.rs\x0buser/Media.rs",
        "patient/Media.rs\u00a0user/Media.rs", "patient/Media.rs\u2003user/Media.rs",
        "patient/Media.rs\u3000user/Media.rs", "patient/Media.rs\u2028user/Media.rs", "patient\u2215Media.rs",
        "patient/Media\u2024rs", 'patient/Media.rs?kind="a"', "patient/Media.rs?kind=a\\,b", "patient/Media.rs\ud800",
    ],
)  # fmt: skip
def test_hostile_separators_and_signs_refuse_the_whole_list(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(text)
    assert caught.value.category is Category.INVALID
    assert caught.value.issues[0].code == "invalid"


def test_a_list_has_at_most_eight_kilobytes() -> None:
    longest = "user/Media.rs " + "x" * (LIST_MAX_BYTES - 14)
    assert texts(longest) == ["user/Media.rs"]
    with pytest.raises(Failure) as caught:
        parse(longest + "x")
    assert caught.value.issues[0].code == "too-long"


def test_a_list_has_at_most_two_hundred_tokens() -> None:
    assert texts(" ".join(["user/Media.r"] * LIST_MAX_TOKENS)) == ["user/Media.r"]
    with pytest.raises(Failure) as caught:
        parse(" ".join(["user/Media.r"] * (LIST_MAX_TOKENS + 1)))
    assert caught.value.issues[0].code == "too-long"


def test_failures_hold_nothing_of_the_list() -> None:
    with pytest.raises(Failure) as caught:
        parse("patient/Secret.rs\t")
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "constraints"),
    [
        ("kind=photo", (("kind", {"photo"}),)),
        ("kind=b,a,a", (("kind", {"a", "b"}),)),
        ("kind=http://example.org/kinds|photo", (("kind", {"http://example.org/kinds|photo"}),)),
        ("status=completed&kind=photo", (("kind", {"photo"}), ("status", {"completed"}))),
        ("kind=a&kind=b", (("kind", {"a"}), ("kind", {"b"}))),
        ("kind=a&kind=a", (("kind", {"a"}),)),
    ],
)
def test_granular_scopes_keep_their_constraints(text: str, constraints: tuple[tuple[str, set[str]], ...]) -> None:
    (scope,) = parse(f"patient/Media.rs?{text}")
    assert scope.constraints == tuple((name, frozenset(values)) for name, values in constraints)
    assert parse(render(scope)) == (scope,)


def test_a_star_takes_parameters_that_work_on_some_type() -> None:
    assert texts("user/*.rs?active=true") == ["user/*.rs?active=true"]


def test_the_shortest_form_joins_letters_and_drops_what_is_covered() -> None:
    assert texts("user/Media.r user/Media.s user/Media.rs?kind=a user/*.d user/Media.d") == [
        "user/*.d", "user/Media.rds",
    ]  # fmt: skip


def test_the_shortest_form_keeps_levels_types_and_constraints_apart() -> None:
    text = "patient/Media.r system/Media.r user/Media.r user/Media.s?kind=a user/Patient.r"
    assert texts(text) == text.split(" ")


def a_scope(text: str) -> Scope:
    (scope,) = parse(text)
    return scope


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("user/Media.rs", "user/Media.rs"),
        ("user/Media.cruds", "user/Media.rs"),
        ("user/*.rs", "user/Media.rs"),
        ("user/*.rs", "user/*.r"),
        ("user/Media.rs", "user/Media.rs?kind=a"),
        ("user/Media.rs?kind=a,b", "user/Media.rs?kind=a"),
        ("user/Media.rs?kind=a", "user/Media.rs?kind=a&status=b"),
        ("user/Media.rs?kind=a", "user/Media.rs?kind=s|a"),
    ],
)
def test_covers(a: str, b: str) -> None:
    assert covers(a_scope(a), a_scope(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("user/Media.rs", "patient/Media.rs"),
        ("user/Media.rs", "system/Media.rs"),
        ("user/Media.r", "user/Media.rs"),
        ("user/Media.rs", "user/*.rs"),
        ("user/Media.rs", "user/Patient.rs"),
        ("user/Media.rs?kind=a", "user/Media.rs"),
        ("user/Media.rs?kind=a", "user/Media.rs?kind=a,b"),
        ("user/Media.rs?kind=a", "user/Media.rs?status=a"),
        ("user/Media.rs?kind=a&status=b", "user/Media.rs?kind=a"),
        ("user/Media.rs?kind=s|a", "user/Media.rs?kind=a"),
        ("user/Media.rs?kind=s|a", "user/Media.rs?kind=t|a"),
        ("user/*.rs?kind=a", "user/Media.rs"),
    ],
)
def test_does_not_cover(a: str, b: str) -> None:
    assert not covers(a_scope(a), a_scope(b))


@pytest.mark.parametrize(
    ("asked", "ceiling", "given"),
    [
        ("user/*.cruds", "user/Media.rs", "user/Media.rs"),
        ("user/Media.rs", "user/*.cruds", "user/Media.rs"),
        ("user/Media.cr", "user/Media.rs", "user/Media.r"),
        ("user/Media.cr", "user/Media.s", ""),
        ("user/Media.rs", "patient/Media.rs system/*.cruds", ""),
        ("user/Media.rs", "user/Patient.rs", ""),
        ("user/*.rs", "user/*.r", "user/*.r"),
        ("user/Media.rs?kind=a", "user/Media.rs", "user/Media.rs?kind=a"),
        ("user/Media.rs", "user/Media.rs?kind=a", "user/Media.rs?kind=a"),
        ("user/Media.rs?status=b", "user/*.rs?kind=a", "user/Media.rs?kind=a&status=b"),
        ("user/Media.rs patient/*.rs", "user/*.r patient/Media.s", "patient/Media.s user/Media.r"),
        ("user/Media.cruds", "user/Media.r user/Media.s?kind=a", "user/Media.r user/Media.s?kind=a"),
    ],
)
def test_limit(asked: str, ceiling: str, given: str) -> None:
    assert " ".join(render(scope) for scope in limit(parse(asked), parse(ceiling))) == given


def test_limit_by_nothing_is_nothing() -> None:
    assert limit(parse("user/*.cruds"), ()) == ()
    assert shortest(()) == ()
