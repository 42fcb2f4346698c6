"""In which order texts stand: a key for each, by the alphabet of a language that `profiles/collation.json` has.

Keys compare by code points, as engines do. Letters that an alphabet has behind z are kept apart by three signs which
no folding touches; all else is folded. Equal keys stand in the order of their resources.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fhirmedia.r4.fold import indexed_plain
from fhirmedia.r4.profiles_path import profiles

SORTED = ":sort"
"""Suffix of a string parameter's code for the keys its values are sorted by."""

_BEHIND_Z = "ǀǁǂ"
"""Letters between z and the next script that have neither case nor accents."""


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """What is read as something else, and where the letters behind z stand."""

    read_as: Mapping[str, str]
    places: Mapping[int, str]


@cache
def _alphabets() -> Mapping[str, _Alphabet]:
    stated = json.loads(profiles().joinpath("collation.json").read_text("utf-8"))
    return {
        language: _Alphabet(
            entry["as"],
            {
                ord(letter): place
                for place, letters in zip(_BEHIND_Z, entry["last"], strict=False)
                for letter in letters
            },
        )
        for language, entry in stated.items()
    }


def collation_key(text: str, language: str) -> str:
    """What the text is sorted by in one of the languages of the table, cut to the indexed length; empty for no word."""
    alphabet = _alphabets()[language]
    letters = unicodedata.normalize("NFC", text).casefold()
    for written, read in alphabet.read_as.items():
        letters = letters.replace(written, read)
    return indexed_plain(letters.translate(alphabet.places))
