"""Words asked for: `text`, `_text`, `_content` and the modifier `:text` (FHIR R4, search 3.1.1.4.19 and 3.1.1.4.5).

Of strings no words are kept: theirs are looked for in the plain forms that any search of strings compares.

Words are joined by AND, each the beginning of a word; `"a phrase"` is adjacent whole words, `a OR b` an alternative,
`-a` must be absent. There are no wildcards, no field names and no brackets; a comma is FHIR's own OR.
"""

import re

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.fold import indexed_plain, plain
from fhirmedia.r4.query import All, Any, Match, Query, StringTest, Text
from fhirmedia.r4.query_asked import Asked
from fhirmedia.r4.query_string import split_unescaped, unescape
from fhirmedia.r4.word_tests import words_in

MAX_WORDS = 32
_PIECE = re.compile(r'\s*(-?)(?:"([^"]*)"|([^\s"]+))')
_PARTED = frozenset({"HumanName", "Address"})
"""Types of which each later word has a value of its own."""
_FORBIDDEN = re.compile(r"[*~^:(){}\[\]<>]")


def word_query(field: str, text: str, *, code: str, grammar: bool = True) -> Query:
    """The Query for the words in `text`, of the parameter `code`; without `grammar` every word is only a word.

    Raises Failure INVALID for signs that mean nothing here, an open quotation mark or no positive word; TOO_COSTLY for
    more than 32 words.
    """
    pieces = [unescape(piece) for piece in split_unescaped(text, ",")]
    if len(pieces) > MAX_WORDS:
        raise _too_many(code)
    read = [_read(field, piece, code, grammar=grammar) for piece in pieces]
    if sum(map(words_in, read)) > MAX_WORDS:
        raise _too_many(code)
    return read[0] if len(read) == 1 else Any(tuple(read))


def string_word_query(asked: Asked, text: str) -> Query:
    """The Query for strings in which each word of `text` begins some word, in any order; a comma is OR.

    Raises Failure INVALID for a text without words, TOO_COSTLY for more than 32 words.
    """
    pieces = [unescape(piece) for piece in split_unescaped(text, ",")]
    if len(pieces) > MAX_WORDS:
        raise _too_many(asked.code)
    read = [_words_of(piece, asked.code) for piece in pieces]
    if sum(map(len, read)) > MAX_WORDS:
        raise _too_many(asked.code)
    each = [[Match(asked.code, _beginning(word, asked)) for word in words] for words in read]
    found: list[Query] = [words[0] if len(words) == 1 else All(tuple(words)) for words in each]
    return found[0] if len(found) == 1 else Any(tuple(found))


def _words_of(text: str | None, code: str) -> list[str]:
    if text is None:
        raise _escaped(code)
    words = plain(text).split()
    if not words:
        raise _refuse(code, "the value has neither letters nor digits")
    return words


def _beginning(word: str, asked: Asked) -> tuple[StringTest, ...]:
    first = StringTest("starts", indexed_plain(word))
    if asked.element_types and asked.element_types <= _PARTED:
        return (first,)
    return first, StringTest("contains", f" {indexed_plain(word)}")


def _read(field: str, text: str | None, code: str, *, grammar: bool) -> Text:
    if text is None:
        raise _escaped(code)
    if not grammar:
        alternatives: list[list[str]] = [[word for word in text.split() if plain(word)]]
        excluded: list[str] = []
    else:
        alternatives, excluded = _parsed(text, code)
    found = tuple(tuple(terms) for terms in alternatives)
    if not all(found):
        raise _refuse(code, "each alternative has at least one word that must be there")
    return Text(field, found, tuple(excluded))


def _parsed(text: str, code: str) -> tuple[list[list[str]], list[str]]:
    alternatives: list[list[str]] = [[]]
    excluded: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise _refuse(code, "a quotation mark is not closed")
        at = piece.end()
        sign, phrase, word = piece.groups()
        if word == "OR" and not sign:
            alternatives.append([])
            continue
        said = word if phrase is None else phrase
        if word is not None and _FORBIDDEN.search(word):
            raise _refuse(code, "words have no wildcards, field names or brackets; put '\"' around a phrase")
        if not plain(said):
            raise _refuse(code, "a word has neither letters nor digits")
        (excluded if sign else alternatives[-1]).append(" ".join(said.split()))
    return alternatives, excluded


def _too_many(code: str) -> Failure:
    return Failure(Category.TOO_COSTLY, f"parameter '{code}': at most {MAX_WORDS} words")


def _escaped(code: str) -> Failure:
    return _refuse(code, "a backslash may only stand before a comma, a dollar sign, a bar or a backslash")


def _refuse(code: str, rule: str) -> Failure:
    return Failure(Category.INVALID, f"parameter '{code}': {rule}", code="value", expression=f"http.{code}")
