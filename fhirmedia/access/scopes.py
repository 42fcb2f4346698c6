"""SMART App Launch 2.2 scopes: read strictly, compared by `covers` alone, cut to a ceiling by `limit`.

    scope-list = token *( SP token )
    v2 = level "/" ( Type / "*" ) "." ["c"]["r"]["u"]["d"]["s"] [ "?" p "=" v *( "," v ) *( "&" p "=" v *( "," v ) ) ]
    v1 = level "/" ( Type / "*" ) "." ( "read" / "write" / "*" )

A token of any other form is undefined and grants nothing; it is never read as something close to it.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal, cast

from fhirmedia.core.errors import Category, Failure

Level = Literal["patient", "user", "system"]

LETTERS = "cruds"
"""create, read, update, delete, search: in this order and no other."""

LIST_MAX_BYTES = 8 * 1024
LIST_MAX_TOKENS = 200

_V1_WORDS = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset(LETTERS)}

_LIST = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*\Z")
"""RFC 6749, 3.3: tokens of printable ASCII without quote and backslash, one U+0020 between two."""

_TOKEN = re.compile(
    r"(?P<level>patient|user|system)/(?P<type>[A-Za-z]+|\*)\."
    r"(?:(?P<word>read|write|\*)\Z|(?P<letters>(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>.+))?\Z)"
)
_PAIR = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9-]*)=(?P<values>[^=&?%]+)\Z")
_VALUE = re.compile(r"[^|]+(?:\|[^|]+)?\Z")

ScopeParser = Callable[[str], "tuple[Scope, ...]"]
"""`parse_scopes` for one server's types and parameters."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One clinical scope.

    `type` is a resource type or `*`; `letters` is a part of `cruds`; each constraint names a scopable token parameter
    and the `system|code` or bare `code` values of which a record must have one; all constraints hold together.
    """

    level: Level
    type: str
    letters: frozenset[str]
    constraints: tuple[tuple[str, frozenset[str]], ...] = ()


def parse_scopes(
    text: str, *, served_types: Collection[str], scopable: Callable[[str, str], bool]
) -> tuple[Scope, ...]:
    """The defined scopes of a scope list, normalised and shortest; undefined tokens are left out.

    `scopable(type, parameter)` says whether a granular scope may use the parameter. Raises Failure INVALID for a list
    that is empty, over 8 KiB or 200 tokens, or not separated by single U+0020.
    """
    if len(text) > LIST_MAX_BYTES:
        raise Failure(Category.INVALID, "The scope list is longer than 8 KiB.", code="too-long")
    if not _LIST.match(text):
        raise Failure(Category.INVALID, "The scope list is not made of ASCII tokens with single spaces between them.")
    tokens = text.split(" ")
    if len(tokens) > LIST_MAX_TOKENS:
        raise Failure(Category.INVALID, "The scope list has more than 200 tokens.", code="too-long")
    found = (_parse_token(token, served_types=served_types, scopable=scopable) for token in tokens)
    return shortest(scope for scope in found if scope is not None)


def _parse_token(token: str, *, served_types: Collection[str], scopable: Callable[[str, str], bool]) -> Scope | None:
    form = _TOKEN.match(token)
    if form is None:
        return None
    kind = form["type"]
    if kind != "*" and kind not in served_types:
        return None
    level = cast("Level", form["level"])
    if form["word"] is not None:
        return Scope(level, kind, _V1_WORDS[form["word"]])
    constraints = []
    for pair in form["query"].split("&") if form["query"] else ():
        parts = _PAIR.match(pair)
        if parts is None:
            return None
        name, values = parts["name"], frozenset(parts["values"].split(","))
        if not all(_VALUE.match(value) for value in values):
            return None
        if not any(scopable(each, name) for each in (served_types if kind == "*" else (kind,))):
            return None
        constraints.append((name, values))
    return Scope(level, kind, frozenset(form["letters"]), _ordered(constraints))


def covers(a: Scope, b: Scope) -> bool:
    """Whether everything `b` allows is allowed by `a`. Reflexive and transitive."""
    return (
        a.level == b.level
        and a.type in ("*", b.type)
        and a.letters >= b.letters
        and all(any(_implies(theirs, ours) for theirs in b.constraints) for ours in a.constraints)
    )


def _implies(b: tuple[str, frozenset[str]], a: tuple[str, frozenset[str]]) -> bool:
    """Whether a record that meets constraint `b` meets constraint `a`: a bare code holds for the code of any system."""
    return a[0] == b[0] and all(value in a[1] or value.partition("|")[2] in a[1] for value in b[1])


def limit(requested: Iterable[Scope], ceiling: Iterable[Scope]) -> tuple[Scope, ...]:
    """What both allow, normalised and shortest."""
    top = tuple(ceiling)
    return shortest(both for ours in requested for theirs in top if (both := _meet(ours, theirs)) is not None)


def _meet(a: Scope, b: Scope) -> Scope | None:
    letters = a.letters & b.letters
    if a.level != b.level or not letters or (a.type != b.type and "*" not in (a.type, b.type)):
        return None
    return Scope(a.level, b.type if a.type == "*" else a.type, letters, _ordered((*a.constraints, *b.constraints)))


def shortest(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The same permissions in the fewest scopes this form allows, in a fixed order."""
    letters: dict[tuple[Level, str, tuple[tuple[str, frozenset[str]], ...]], frozenset[str]] = {}
    for scope in scopes:
        place = (scope.level, scope.type, scope.constraints)
        letters[place] = letters.get(place, frozenset()) | scope.letters
    merged = [Scope(level, kind, each, constraints) for (level, kind, constraints), each in letters.items()]
    kept = (one for one in merged if not any(other != one and covers(other, one) for other in merged))
    return tuple(sorted(kept, key=render))


def render(scope: Scope) -> str:
    """The scope in v2 form; `parse_scopes` reads it back as the same scope."""
    letters = "".join(letter for letter in LETTERS if letter in scope.letters)
    query = "&".join(f"{name}={','.join(sorted(values))}" for name, values in scope.constraints)
    return f"{scope.level}/{scope.type}.{letters}{'?' if query else ''}{query}"


def _ordered(constraints: Iterable[tuple[str, frozenset[str]]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple(sorted(set(constraints), key=lambda pair: (pair[0], sorted(pair[1]))))
