"""Whether a text contains the words asked for, in any of their spellings."""

import re
from collections.abc import Sequence
from functools import lru_cache

from fhirmedia.r4.fold import WORD_LENGTH, forms
from fhirmedia.r4.query import Text

Spellings = frozenset[str]
"""The forms of one word."""

BREAK = "\n\x1e\n"
"""Between the values of one text; no phrase goes across it."""

_WORD = re.compile(r"(?:[^\W_]|['‘’ʼ‛\u0300-\u036f])+")


def spelled(text: str) -> list[Spellings]:
    """The words of a text or of a term, in order, each with its forms cut to the indexed length."""
    return [spelled_word(word) for word in words_of(text)]


def words_of(text: str) -> list[str]:
    """The words of a text as they stand."""
    return _WORD.findall(text)


def text_matches(query: Text, text: str) -> bool:
    """Some alternative has all its terms in the text, and no excluded term is there."""
    return words_match(query, [word for value in text.split(BREAK) for word in (*spelled(value), frozenset[str]())])


def words_match(query: Text, words: Sequence[Spellings]) -> bool:
    """The same of a text whose words are known."""
    if any(_contains(words, term) for term in query.excluded):
        return False
    return any(all(_contains(words, term) for term in terms) for terms in query.alternatives)


def _contains(words: Sequence[Spellings], term: str) -> bool:
    """A word prefix (a single letter only as a whole word), or with blanks a phrase of whole adjacent words."""
    wanted = spelled(term)
    if not wanted:
        return False
    if len(wanted) > 1:
        starts = range(len(words) - len(wanted) + 1)
        return any(all(words[at + i] & want for i, want in enumerate(wanted)) for at in starts)
    return any(_begins(form, want) for word in words for form in word for want in wanted[0])


def _begins(form: str, want: str) -> bool:
    return form == want if len(want) == 1 else form.startswith(want)


@lru_cache(maxsize=16_384)
def words_in(query: Text) -> int:
    """How many words are asked for, those of phrases each."""
    terms = (term for terms in (*query.alternatives, query.excluded) for term in terms)
    return sum(len(words_of(term)) for term in terms)


@lru_cache(maxsize=65_536)
def spelled_word(word: str) -> Spellings:
    """The forms of one word."""
    return frozenset(form[:WORD_LENGTH] for form in forms(word))
