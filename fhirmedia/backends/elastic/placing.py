"""Where the values of one parameter stand in a document: by the kind of value, under the parameter's code.

Each of the functions in `PLACED` takes a document, a code and the values of that code, which are of its kind.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from fhirmedia.backends.elastic import terms
from fhirmedia.backends.elastic.shape import COLLATION, is_sorted
from fhirmedia.r4.codec import dump
from fhirmedia.r4.values import (
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

Json = dict[str, Any]
Values = Sequence[SearchValue]

LARGEST = 1.7976931348623157e308
"""Stands for infinity where a sort key is kept: the engine uses infinity itself for what is missing."""


def below(document: Json, name: str) -> Json:
    """The object of that name, made if it is missing."""
    found: Json | None = document.get(name)
    if found is None:
        found = document[name] = {}
    return found


def once(contents: list[Any]) -> list[Any]:
    """In order, each once; terms, or objects."""
    if len(contents) < 2:
        return contents
    if isinstance(contents[0], str):
        return sorted(set(contents))
    return [content for _, content in sorted({dump(content): content for content in contents}.items())]


def _tokens(document: Json, code: str, values: Sequence[TokenValue]) -> None:
    tokens = below(document, "t")
    if len(values) == 1:
        # Most have one value: its terms are in order, and none is said twice.
        tokens[code] = terms.token_terms(values[0])
    else:
        tokens[code] = sorted(set(chain.from_iterable(map(terms.token_terms, values))))
    _sort(document, code, [value.code for value in values if value.code is not None])


def _dates(document: Json, code: str, values: Sequence[DateValue]) -> None:
    below(document, "d")[code] = once([_stretch(value) for value in values])
    _sort(document, code, [value.lo for value in values])


def _numbers(document: Json, code: str, values: Sequence[NumberValue]) -> None:
    below(document, "n")[code] = once([_span(value.lo, value.hi) for value in values])
    _sort(document, code, [_finite(value.lo) for value in values])


def _references(document: Json, code: str, values: Sequence[ReferenceValue]) -> None:
    named = [term for value in values for term in terms.reference_terms(value)]
    if named:
        below(document, "r")[code] = once(named)
    identified = [term for value in values if value.identifier for term in terms.token_terms(value.identifier)]
    if identified:
        below(document, "ri")[code] = once(identified)
    targets = [value.url if value.key is None else str(value.key) for value in values]
    _sort(document, code, [target for target in targets if target is not None])


def _strings(document: Json, code: str, values: Sequence[StringValue]) -> None:
    plain = once([value.plain for value in values])
    below(document, "s")[code] = {"plain": plain, "exact": once([value.exact for value in values])}
    _sort(document, code, plain)


def _uris(document: Json, code: str, values: Sequence[UriValue]) -> None:
    found = once([value.value for value in values])
    below(document, "u")[code] = found
    _sort(document, code, found)


def _quantities(document: Json, code: str, values: Sequence[QuantityValue]) -> None:
    readings = once([_reading(value) for value in values])
    document.setdefault("q", []).extend({"p": code, **reading} for reading in readings)
    _sort(document, code, [_finite(value.lo) for value in values])


def _collated(document: Json, code: str, values: Sequence[StringValue]) -> None:
    _sort(document, code, [value.plain for value in values])


Place = Callable[[Json, str, Sequence[Any]], None]

PLACED: Mapping[str, tuple[type[SearchValue], Place]] = {
    "token": (TokenValue, _tokens),
    "date": (DateValue, _dates),
    "number": (NumberValue, _numbers),
    "reference": (ReferenceValue, _references),
    "string": (StringValue, _strings),
    COLLATION: (StringValue, _collated),
    "uri": (UriValue, _uris),
    "quantity": (QuantityValue, _quantities),
}
"""By the kind of search parameter, and of what is only sorted by: the values it has, at least one, and their place."""


def alternatives(values: Values) -> list[Json]:
    """Some values as rows that between them meet what one of the values meets.

    The terms of all stand together in one row, under the kind of each; a quantity has a row of its own, since number,
    system and unit have to be of the same.
    """
    together: dict[str, list[Any]] = {}
    for value in values:
        for name, content in _kinds(value):
            together.setdefault(name, []).extend(content)
    readings = once([_reading(value) for value in values if isinstance(value, QuantityValue)])
    rest = {name: once(several) for name, several in together.items()}
    return [rest, *readings] if rest else readings


def _kinds(value: SearchValue) -> Iterator[tuple[str, Sequence[Any]]]:
    match value:
        case TokenValue():
            yield "t", terms.token_terms(value)
        case DateValue():
            yield "d", (_stretch(value),)
        case NumberValue():
            yield "n", (_span(value.lo, value.hi),)
        case ReferenceValue():
            yield "r", tuple(terms.reference_terms(value))
            if value.identifier:
                yield "ri", terms.token_terms(value.identifier)
        case StringValue():
            yield "plain", (value.plain,)
            yield "exact", (value.exact,)
        case UriValue():
            yield "u", (value.value,)
        case QuantityValue():
            pass


def _sort(document: Json, code: str, scalars: list[Any]) -> None:
    """The smallest and the largest, for both directions; as `r4.evaluator.sort_tuple` has it."""
    if scalars and is_sorted(code):
        kept = below(document, "k")
        if len(scalars) == 1 and code not in kept:
            kept[code] = scalars
            return
        known: Iterable[Any] = (*scalars, *kept.get(code, ()))
        smallest, largest = min(known), max(known)
        kept[code] = [smallest] if smallest == largest else [smallest, largest]


def _stretch(value: DateValue) -> Json:
    return {"gte": value.lo, "lt": value.hi}


def _span(lo: float, hi: float) -> Json:
    """A range of numbers; an end that is open is left out."""
    return ({"gte": lo} if math.isfinite(lo) else {}) | ({"lte": hi} if math.isfinite(hi) else {})


def _reading(value: QuantityValue) -> Json:
    said = {"system": value.system, "code": value.code, "unit": value.unit}
    return {"v": _span(value.lo, value.hi), **{name: each for name, each in said.items() if each is not None}}


def _finite(number: float) -> float:
    return min(max(number, -LARGEST), LARGEST)
