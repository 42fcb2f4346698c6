"""Words in the database's own full-text index: one document per resource, its tokens marked with their field.

Engine and evaluator share our own folding; the engine only splits at blanks and compares code points. A document has a
line for each word, with every form of it; `words_hold` reads it again where order matters, which a list of tokens
cannot tell.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache

from fhirmedia.backends.index_dialect import FALSE, Sql, every, sql
from fhirmedia.r4.query import Text
from fhirmedia.r4.word_tests import BREAK, Spellings, spelled, spelled_word, words_match, words_of

CREATE = "CREATE VIRTUAL TABLE idx_words USING fts5(body, tokenize='ascii', prefix='3 4')"
"""Every sign beyond ASCII belongs to a word, so the mark of a field does; prefixes count it, too."""

_FIRST_MARK = 0x4E00
_BLANK = "\u2420"
"""In place of a blank inside a form (the forms of ½ have one)."""
_BETWEEN = "\x1e"

INSERT = "INSERT INTO idx_words (rowid, body) VALUES (?, ?)"
DELETE = "DELETE FROM idx_words WHERE rowid = ?"
DOCUMENT = "SELECT body FROM idx_words WHERE rowid = ?"
EMPTY = ("DROP TABLE IF EXISTS idx_words", CREATE)
"""Not a DELETE, which needs the index it removes to be sound."""


def document(texts: Mapping[str, str], marks: Mapping[str, str]) -> str:
    """What is indexed of a resource: the words of its fields; empty if they have none."""
    return "\n".join(line for field, text in texts.items() for line in _lines(text, marks[field]))


def mark_of(rank: int) -> str:
    """The sign that the tokens of the field with this rank begin with."""
    return chr(_FIRST_MARK + rank)


def _lines(text: str, sign: str) -> Iterable[str]:
    for value in text.split(BREAK):
        yield from _frequent(value, sign) if len(value) <= _FREQUENT else _value_lines(value, sign)


def _value_lines(value: str, sign: str) -> tuple[str, ...]:
    """A line for each word of one value, and one that ends it; none for a value without words."""
    lines = [_line(sign, word) for word in words_of(value)]
    return (*lines, sign + _BETWEEN) if lines else ()


_frequent = lru_cache(maxsize=16_384)(_value_lines)
_FREQUENT = 100
"""Values up to this many characters are remembered: names of codes, devices and departments come again and again."""


@lru_cache(maxsize=32_768)
def _line(sign: str, word: str) -> str:
    """All forms of a word, marked."""
    return " ".join(sign + form.replace(" ", _BLANK) for form in sorted(spelled_word(word)))


def word_rows(query: Text, rank: int) -> Sql:
    """A SELECT of the rids whose words the query selects, by the rank of its field; FALSE where nothing can be."""
    sign = mark_of(rank)
    expression = _expression(query, sign) if rank > 0 else None
    if expression is None:
        return FALSE
    rows = Sql("SELECT t.rowid AS rid FROM idx_words t WHERE t.idx_words MATCH ?", (expression,))
    return every((rows, _held(query, sign))) if _needs_order(query) else rows


def words_of_one(query: Text, rank: int, rid: str) -> Sql:
    """Whether the resource with this rid has the words, read from its own document, whatever others there are."""
    if rank <= 0:
        return FALSE
    return sql(f"EXISTS (SELECT 1 FROM idx_words t WHERE t.rowid = {rid} AND {{}})", _held(query, mark_of(rank)))


def _held(query: Text, sign: str) -> Sql:
    return Sql("words_hold(t.body, ?)", (json.dumps([sign, query.alternatives, query.excluded]),))


def equip(connection: sqlite3.Connection) -> None:
    """Give a connection the function `words_hold`."""
    connection.create_function("words_hold", 2, _words_hold, deterministic=True)


def _words_hold(body: str, asked: str) -> bool:
    sign, alternatives, excluded = json.loads(asked)
    document = _Document(body, sign)
    if any(map(document.holds, excluded)):
        return False
    return any(all(map(document.holds, terms)) for terms in alternatives)


class _Document:
    """A document with its terms of one field; it is only taken apart where the order of words matters."""

    def __init__(self, body: str, sign: str) -> None:
        self._body = "\n" + body
        self._sign = sign

    @cached_property
    def _words(self) -> list[Spellings]:
        return _words_of(self._body, self._sign)

    def holds(self, term: str) -> bool:
        """As `word_tests` defines it."""
        words = spelled(term)
        if len(words) == 1:
            return any(self._has(form, whole=len(form) == 1) for form in words[0])
        if not all(any(self._has(form, whole=True) for form in word) for word in words):
            return False
        return words_match(Text("", ((term,),), ()), self._words)

    def _has(self, form: str, *, whole: bool) -> bool:
        """Whether a token begins with the form, or is it."""
        token = self._sign + form.replace(" ", _BLANK)
        ends = ("\n", " ") if whole else ("",)
        found = any(start + token + end in self._body for start in "\n " for end in ends)
        return found or (whole and self._body.endswith(("\n" + token, " " + token)))


def _words_of(body: str, sign: str) -> list[Spellings]:
    lines = (line for line in body.split("\n") if line[:1] == sign)
    return [frozenset(token[1:].replace(_BLANK, " ") for token in line.split(" ")) for line in lines]


def _needs_order(query: Text) -> bool:
    terms = (term for terms in (*query.alternatives, query.excluded) for term in terms)
    return any(len(spelled(term)) > 1 for term in terms)


def _expression(query: Text, sign: str) -> str | None:
    """The match expression, true of all that the query selects; None where nothing can be selected."""
    wanted = [
        " AND ".join(_term(term, sign) for term in terms)
        for terms in query.alternatives
        if terms and all(spelled(term) for term in terms)
    ]
    if not wanted:
        return None
    some = " OR ".join(f"({each})" for each in wanted)
    # A phrase that must be absent may have its words apart: it is judged by `words_hold`.
    unwanted = [_term(term, sign) for term in query.excluded if len(spelled(term)) == 1]
    return f"({some}) NOT ({' OR '.join(unwanted)})" if unwanted else some


def _term(term: str, sign: str) -> str:
    """A word by its beginning, or every word of a phrase whole."""
    words = spelled(term)
    if len(words) == 1:
        return _any_form(words[0], sign, begins=True)
    return f"({' AND '.join(_any_form(word, sign, begins=False) for word in words)})"


def _any_form(word: Spellings, sign: str, *, begins: bool) -> str:
    tokens = []
    for form in sorted(word):
        token = f'"{sign}{form.replace(" ", _BLANK)}"'
        tokens.append(f"{token} *" if begins and len(form) > 1 else token)
    return f"({' OR '.join(tokens)})"
