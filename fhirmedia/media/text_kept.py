"""What is kept of a text for searching: its words, the first ones in order, later ones once each."""

import re
from collections.abc import Iterator
from typing import Final

FIRST_WORDS: Final = 16_000
"""So many words keep their order, and so are found in phrases."""

KEPT_MAX: Final = 1_000_000
"""Characters kept of one text."""

BREAK: Final = "\n\x1e\n"
"""Between what no phrase goes across; the sign of `r4.word_tests`, which a test compares."""

_LONGEST = 256
"""Characters of a word that are kept; the index cuts it shorter once it is folded."""

_WORD = re.compile(r"(?:[^\W_]|['‘’ʼ‛\u0300-\u036f])+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_PIECE = 64 * 1024


class KeptWords:
    """Takes a text in pieces, none of which ends inside a word."""

    def __init__(self) -> None:
        self.cut = False
        """Whether something was left out for want of room."""
        self._first: list[str] = []
        self._known: set[str] = set()
        self._later: list[str] = []
        self._room = KEPT_MAX

    def add(self, text: str) -> bool:
        """Keep what belongs to the words; False once there is no room for more."""
        for match in _WORD.finditer(_SURROGATES.sub(" ", text.replace("\u00ad", ""))):
            word = match[0][:_LONGEST]
            is_first = len(self._first) < FIRST_WORDS
            folded = word.casefold()
            if not is_first and folded in self._known:
                continue
            self._room -= len(word) + (1 if is_first else len(BREAK))
            if self._room < 0:
                self.cut = True
                return False
            (self._first if is_first else self._later).append(word)
            self._known.add(folded)
        return True

    def __str__(self) -> str:
        return BREAK.join((" ".join(self._first), *self._later))


def flowing(pieces: Iterator[str]) -> Iterator[str]:
    """The same text in larger pieces, each of which ends where one of `pieces` ended in a blank or a new line."""
    waiting: list[str] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= _PIECE and piece[-1:].isspace():
            yield "".join(waiting)
            waiting, length = [], 0
    yield "".join(waiting)
