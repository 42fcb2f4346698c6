"""A document of words is asked as the reference evaluator asks a text, and taken apart for phrases alone."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhirmedia.backends import index_words
from fhirmedia.backends.index_words import _words_hold, document, mark_of
from fhirmedia.r4.query import Text
from fhirmedia.r4.word_tests import BREAK, text_matches

WORDS = ("a", "ab", "b", "hägg", "haegg", "hagg", "½", "1", "Sørensen", "soren", "o'neill", "straße", mark_of(1))
FIELD, SIGN = "_content", mark_of(1)
MARKS = {FIELD: SIGN, "text": mark_of(2)}
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=3).map(BREAK.join)
terms = st.one_of(st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(" ".join))


@given(texts, texts, st.lists(st.lists(terms, max_size=2), max_size=2), st.lists(terms, max_size=1))
@example("a hägg", "ab", [["ab"]], [])
@example("ab a", "", [["a"]], [])
@example("b a", "", [["b"]], ["a b"])
@example("", "", [["-"]], [])
def test_documents_hold_what_texts_match(said: str, other: str, wanted: list[list[str]], unwanted: list[str]) -> None:
    body = document({"text": other, FIELD: said}, MARKS)
    query = Text(FIELD, tuple(map(tuple, wanted)), tuple(unwanted))
    assert _words_hold(body, json.dumps([SIGN, wanted, unwanted])) == text_matches(query, said)


def test_only_phrases_whose_words_are_all_there_are_looked_for_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_words, "_words_of", lambda _body, _sign: pytest.fail("taken apart"))
    body = document({FIELD: "a long text about a lung"}, MARKS)
    assert _words_hold(body, json.dumps([SIGN, [["lu", "text"]], ["heart", "lung heart"]]))
