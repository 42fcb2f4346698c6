"""How values are written as terms of the index, the same for documents and for searches.

A token has a term for each way it may be asked for: `c:code`, `b:system|code`, `n:code` (the element states no
system), `s:system`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from fhirmedia.core.records import Key
from fhirmedia.r4.fold import bounded
from fhirmedia.r4.values import ReferenceValue, TokenValue
from fhirmedia.r4.word_tests import BREAK, spelled_word, words_of

MARK = "|"
"""Stands twice before the spellings of each word, and is in none of them. See `words`."""
APART = 3
"""At most so many terms stand between the first mark of a word and a spelling of it: a mark and two spellings. The
nearest word behind it is further away: a mark, a spelling and two marks at least."""

_NUL = "\x00"


def any_system(code: str) -> str:
    """The term of a code, whatever its system."""
    return f"c:{code}"


def within(system: str, code: str) -> str:
    """The term of a code in its system."""
    return f"b:{system}|{code}"


def without_system(code: str) -> str:
    """The term of a code whose element states no system."""
    return f"n:{code}"


def of_system(system: str) -> str:
    """The term of any code of a system."""
    return f"s:{system}"


def token_terms(value: TokenValue) -> tuple[str, ...]:
    """All terms of a token, as the functions above have them; written out, since documents have hundreds."""
    system, code = value.system, value.code
    if code is None:
        return () if system is None else (f"s:{system}",)
    if system is None:
        return f"c:{code}", f"n:{code}"
    return f"b:{system}|{code}", f"c:{code}", f"s:{system}"


def reference_terms(value: ReferenceValue) -> Iterator[str]:
    """A local record, its version too where one is named; or an address."""
    if value.key is not None:
        yield str(value.key)
        if value.version is not None:
            yield versioned(value.key, value.version)
    elif value.url is not None:
        yield address(value.url)


def versioned(key: Key, version: int) -> str:
    """The term of one version of a record."""
    return f"{key}/_history/{version}"


def address(url: str) -> str:
    """The term of what lies elsewhere; never that of a record of ours."""
    return f"u:{url}"


def fact(value: str) -> str:
    """The term of a fact: no longer than a term may be."""
    return bounded(value)


def scoped(parameter: str, value: str) -> str:
    """The term of a token in the facts."""
    return fact(f"{parameter}={value}")


@lru_cache(maxsize=16_384)
def scoped_terms(parameter: str, kept: str) -> tuple[str, ...]:
    """A kept `system|code` is found as it is, and by its code alone."""
    code = kept.partition("|")[2]
    found = scoped(parameter, kept)
    return (found,) if "|" in code else (found, scoped(parameter, code))


def facet(value: TokenValue) -> str:
    """System, code and spelling of what is counted; a spelling longer than any code that is kept is left out."""
    spelled = value.spelled if value.spelled is not None and bounded(value.spelled) == value.spelled else ""
    return _NUL.join((f"+{value.system}" if value.system is not None else "-", value.code or "", spelled))


def read_facet(term: str) -> tuple[str | None, str, str | None]:
    """System, code and spelling."""
    system, code, spelling = term.split(_NUL)
    return (system[1:] if system[0] == "+" else None), code, spelling or None


def words(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by field as they are indexed: a block for each word, two marks and its spellings (at most three); more
    marks between values.

    So a phrase is spellings of one block after the other, whichever they are, and none goes across values.
    """
    made: dict[str, str] = {}  # most values are said in several fields
    return {field: " ".join([_value(value, made) for value in text.split(BREAK)]) for field, text in texts.items()}


def _value(value: str, made: dict[str, str]) -> str:
    found = made.get(value)
    if found is None:
        found = made[value] = " ".join([*map(_block, words_of(value)), _BETWEEN])
    return found


@lru_cache(maxsize=65_536)
def _block(word: str) -> str:
    return " ".join((_BEGIN, *sorted(map(one_token, spelled_word(word)))))


_BEGIN = f"{MARK} {MARK}"
_BETWEEN = " ".join(MARK * 4)


def one_token(form: str) -> str:
    """A spelling without blanks (that of ½ has one); the sign instead is in no word."""
    return form.replace(" ", "_")
