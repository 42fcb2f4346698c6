"""What names are sorted by: the alphabet of a language, without case, accents and signs."""

import json
import re
from contextlib import suppress
from itertools import product
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.errors import Failure
from fhirmedia.core.settings import Settings, load_settings
from fhirmedia.r4.collation import collation_key
from fhirmedia.r4.fold import INDEXED_LENGTH, plain
from fhirmedia.r4.profiles_path import profiles

LANGUAGES = tuple(json.loads(profiles().joinpath("collation.json").read_text("utf-8")))

IN_ORDER = {
    "sv": "Aas Adam adel Müller Myra Zorn Ås Åsa Äng Ærø Öberg Ødegård",
    "nb": "Adam Müller Myra Zorn Äng Ærø Öberg Ødegård Aas Åsa",
    "en": "Aas Adam Ærø Äng Åsa Müller Myra Öberg Ødegård Zorn",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_are_in_the_order_of_the_alphabet(language: str) -> None:
    names = IN_ORDER[language].split()
    assert sorted(names, key=lambda name: collation_key(name, language)) == names


def test_every_language_that_can_be_set_has_an_alphabet() -> None:
    for language in LANGUAGES:
        assert load_settings({"FHIRMEDIA_LANGUAGE": language}).language == language
    assert Settings().language in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_case_signs_and_how_a_letter_is_composed_make_no_difference(language: str) -> None:
    for one, other in (("ÅKESSON", "åkesson"), ("A\u030akesson", "Åkesson"), ("O'Brien", "OBrien"), ("é", "E")):
        assert collation_key(one, language) == collation_key(other, language)
    assert collation_key("!?", language) == ""


@given(st.text(max_size=300), st.sampled_from(LANGUAGES))
def test_a_key_is_bounded_and_has_words_alone(text: str, language: str) -> None:
    key = collation_key(text, language)
    assert len(key) <= INDEXED_LENGTH
    assert re.fullmatch(r"(?:[^\W_]+(?: [^\W_]+)*)?", key)
    assert key == plain(key)


@given(st.text(st.sampled_from("abcxyz -'Q9"), max_size=20), st.sampled_from(["sv", "en"]))
def test_what_has_no_letter_behind_z_is_sorted_as_it_is_folded(text: str, language: str) -> None:
    assert collation_key(text, language) == plain(text)


def test_every_alphabet_can_be_set_and_no_other() -> None:
    accepted = set()
    for pair in map("".join, product(ascii_lowercase, repeat=2)):
        with suppress(Failure):
            accepted.add(load_settings({"FHIRMEDIA_LANGUAGE": pair}).language)
    assert accepted == set(LANGUAGES)
