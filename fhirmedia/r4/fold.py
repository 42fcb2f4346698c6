"""How text is made comparable, by our own code, before any engine sees it: folded letters, words, spellings.

Engines split on spaces and compare code points, nothing more; so every engine gives the same answer.
"""

import hashlib
import re
import unicodedata

from fhirmedia.r4.values import StringValue

INDEXED_LENGTH = 200
"""Code points of a string that are indexed; queries are cut likewise."""
INDEXED_BYTES = 500
"""Exact texts, codes and URIs above this size in UTF-8 are indexed by their SHA-256."""
WORD_LENGTH = 64

_LETTERS = str.maketrans({
    "ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ŧ": "t", "ŋ": "n", "ħ": "h",
})  # fmt: skip
_BASE = str.maketrans({"å": "a", "ä": "a", "æ": "a", "ö": "o", "ø": "o"})
_DIGRAPH = str.maketrans({"å": "aa", "ä": "ae", "æ": "ae", "ö": "oe", "ø": "oe"})
_APOSTROPHES = str.maketrans(dict.fromkeys("'‘’ʼ‛"))
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Letters without case, accents and compatibility forms (ø becomes o, æ ae, þ th); idempotent."""
    if text.isascii():
        return text.lower()
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    return "".join(c for c in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(c))


def plain(text: str) -> str:
    """Folded words with one space between them; apostrophes vanish (O'Brien becomes obrien)."""
    return _BETWEEN_WORDS.sub(" ", fold(text).translate(_APOSTROPHES)).strip()


def words(text: str) -> tuple[str, ...]:
    """The words of the plain form, each cut to 64 code points."""
    return tuple(word[:WORD_LENGTH] for word in plain(text).split())


def forms(word: str) -> frozenset[str]:
    """The plain spellings a word may be met in: folded, by base letter (ä as a), by digraph (ä as ae): one to three.

    A query word hits when one of its forms is a prefix of one of the value's.
    """
    if word.isascii():
        return frozenset((plain(word),))
    lower = unicodedata.normalize("NFC", word).casefold()
    return frozenset((plain(lower), plain(lower.translate(_BASE)), plain(lower.translate(_DIGRAPH))))


def indexed_plain(text: str) -> str:
    """The plain form as it is indexed: cut to 200 code points."""
    return _cut(plain(text))


def _cut(form: str) -> str:
    return form[:INDEXED_LENGTH].rstrip()


def indexed_forms(text: str) -> tuple[str, ...]:
    """The spellings of a text as they are indexed, in order, its plain form among them; see `forms`."""
    if text.isascii():
        return (indexed_plain(text),)
    return tuple(sorted({_cut(form) for form in forms(text)}))


def indexed_exact(text: str) -> str:
    """The text in NFC as it is indexed: its SHA-256 in hexadecimal where it is longer than 500 bytes."""
    return bounded(unicodedata.normalize("NFC", text))


def bounded(text: str) -> str:
    """The text, or its SHA-256 in hexadecimal where it is longer than 500 bytes."""
    if len(text) <= INDEXED_BYTES // 4:
        return text
    encoded = text.encode()
    return text if len(encoded) <= INDEXED_BYTES else hashlib.sha256(encoded).hexdigest()


def string_values(text: str) -> tuple[StringValue, ...]:
    """One string as engines store it: a value for each of its spellings."""
    exact = indexed_exact(text)
    return tuple(StringValue(form, exact) for form in indexed_forms(text))
