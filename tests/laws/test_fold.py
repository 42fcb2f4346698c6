"""Laws of folded text: folding twice changes nothing, case never matters, Nordic spellings meet."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.fold import (
    bounded,
    fold,
    forms,
    indexed_exact,
    indexed_forms,
    indexed_plain,
    plain,
    string_values,
    words,
)
from fhirmedia.r4.query import Text
from fhirmedia.r4.values import StringValue
from fhirmedia.r4.word_tests import text_matches


def every_letter() -> list[str]:
    return [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]


def test_folding_is_idempotent_and_blind_to_case_over_all_of_unicode() -> None:
    for letter in every_letter():
        if letter.isascii() or "CJK" in unicodedata.name(letter, ""):
            continue
        once = fold(letter)
        assert fold(once) == once, letter
        assert fold(letter.upper()) == fold(letter.lower()) == once, letter


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert plain(plain(text)) == plain(text)


@given(st.text(), st.text())
def test_folding_a_whole_is_folding_its_parts(first: str, second: str) -> None:
    assert fold(f"{first} {second}") == f"{fold(first)} {fold(second)}"


@given(st.text())
def test_composed_and_decomposed_text_is_the_same(text: str) -> None:
    assert plain(unicodedata.normalize("NFD", text)) == plain(unicodedata.normalize("NFC", text))


@given(st.text())
def test_words_are_single_and_have_nothing_but_letters_and_digits(text: str) -> None:
    for word in words(text):
        assert word
        assert len(word) <= 64
        assert word.isalnum()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sørensen", "sorensen"),
        ("HÄGG", "hagg"),
        ("O’Brien", "obrien"),
        ("O'Brien", "obrien"),
        ("Anna-Lena  Öberg", "anna lena oberg"),
        ("Þórður", "thordur"),
        ("straße", "strasse"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("...", ""),
        ("snake_case", "snake case"),
    ],
)
def test_plain_text(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    "spellings",
    [("Hägg", "Hægg", "Haegg"), ("Sørensen", "Sörensen", "Soerensen"), ("Åse", "Aase"), ("Ærø", "Aero")],
)
def test_nordic_spellings_meet(spellings: tuple[str, ...]) -> None:
    for one in spellings:
        for other in spellings:
            assert forms(one) & forms(other), (one, other)


@given(st.text(min_size=1))
def test_a_word_has_one_to_three_forms_of_which_one_is_plain(word: str) -> None:
    assert 1 <= len(forms(word)) <= 3
    assert plain(word) in forms(word)


def test_what_is_indexed_is_bounded() -> None:
    assert len(indexed_plain("å" * 1000)) == 200
    assert indexed_plain("a" * 199 + " b") == "a" * 199
    assert bounded("x" * 500) == "x" * 500
    assert len(bounded("x" * 501)) == 64
    assert len(bounded("å" * 251)) == 64
    assert indexed_exact("a\u030a") == "å"
    assert string_values("Åse") == (StringValue("aase", "Åse"), StringValue("ase", "Åse"))
    assert {len(form) for form in indexed_forms("å" * 300)} == {200}


@given(st.text())
def test_the_spellings_of_a_text_have_its_plain_form_among_them(text: str) -> None:
    assert 1 <= len(indexed_forms(text)) <= 3
    assert indexed_plain(text) in indexed_forms(text)
    assert indexed_forms(indexed_plain(text)) == (indexed_plain(text),)


def test_words_are_found_by_prefix_phrase_and_exclusion() -> None:
    text = "Erythema på höger underarm, O'Brien"
    assert text_matches(Text("text", (("eryt",),)), text)
    assert text_matches(Text("text", (("hoger underarm",),)), text)
    assert text_matches(Text("text", (("nothing",), ("under", "obri"))), text)
    assert not text_matches(Text("text", (("hoger under",),)), text)
    assert not text_matches(Text("text", (("e",),)), text)
    assert not text_matches(Text("text", (("eryt",),), excluded=("hoeger",)), text)
    assert not text_matches(Text("text", (("...",),)), text)
