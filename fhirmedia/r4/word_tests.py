"""Whether a text contains the words asked for, in any of their spellings."""

import re

from fhirmedia.r4.fold import forms
from fhirmedia.r4.query import Text

_WORD = re.compile(r"(?:[^\W_]|['‘’ʼ‛\u0300-\u036f])+")


def text_matches(query: Text, text: str) -> bool:
    """Some alternative has all its terms in the text, and no excluded term is there."""
    words = [forms(word) for word in _WORD.findall(text)]
    if any(_contains(words, term) for term in query.excluded):
        return False
    return any(all(_contains(words, term) for term in terms) for terms in query.alternatives)


def _contains(words: list[frozenset[str]], term: str) -> bool:
    """A word prefix (a single letter only as a whole word), or with blanks a phrase of whole adjacent words."""
    wanted = [forms(word) for word in _WORD.findall(term)]
    if not wanted:
        return False
    if len(wanted) > 1:
        starts = range(len(words) - len(wanted) + 1)
        return any(all(words[at + i] & want for i, want in enumerate(wanted)) for at in starts)
    return any(_begins(form, want) for word in words for form in word for want in wanted[0])


def _begins(form: str, want: str) -> bool:
    return form == want if len(want) == 1 else form.startswith(want)
