"""The document of a resource: its index entries and facts as terms, ranges, words, sort keys and facets.

A document never holds the resource. Everything in it is sorted and said once, so that equal content is equal bytes.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from itertools import product
from typing import Any, assert_never

from fhirmedia.backends.elastic import terms
from fhirmedia.backends.elastic.mapping import is_sorted
from fhirmedia.backends.elastic.shape import Family, Shape
from fhirmedia.core.records import Facts, Record
from fhirmedia.r4.codec import dump
from fhirmedia.r4.extract import PATIENT
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

Json = dict[str, Any]

LARGEST = 1.7976931348623157e308
"""Stands for infinity where a sort key is kept: the engine uses infinity itself for what is missing."""

_CALENDAR_MS = 10**13
_TIMELINE = "when"


class Documents:
    """Documents of one shape; `zone` is where years and months begin."""

    def __init__(self, shape: Shape, *, zone: tzinfo) -> None:
        self._shape = shape
        self._zone = zone
        codes = {code for family in shape.families for code in family.kinds}
        self._scalars = {code: shape.scalar(code) for code in codes if is_sorted(code)}

    def content(self, record: Record, entries: IndexEntries) -> Json:
        """The document without its order; the type is one of the shape's."""
        family = self._shape.family(record.key.type)
        assert family is not None
        document: Json = {
            "key": str(record.key),
            "rt": record.key.type,
            "cp": sorted({*entries.patients, *([record.key.id] if record.key.type == PATIENT else [])}),
            "has": sorted(code for code, values in entries.values.items() if values and code in family.kinds),
            "acl": _facts(record.facts),
        }
        if len(record.facts.patients) == 1:
            document["sole"] = record.facts.patients[0]
        for code, values in sorted(entries.values.items()):
            if code in family.kinds and "$" not in code:
                _put(document, code, values)
                self._put_sort_key(document, code, values)
        _sub(document, "t")["_id"] = sorted({*_sub(document, "t").get("_id", ()), terms.any_system(record.key.id)})
        groups = list(_combinations(entries, family))
        if groups:
            document["g"] = groups
        texts = {field: terms.words(text) for field, text in sorted(entries.texts.items()) if field in family.texts}
        if texts:
            document["x"] = texts
        facets = self._facets(entries, family)
        if facets:
            document["f"] = facets
        return document

    def digest(self, document: Json) -> str:
        """What tells a document from any other."""
        return hashlib.sha256(dump(document)).hexdigest()[:32]

    def _put_sort_key(self, document: Json, code: str, values: Iterable[SearchValue]) -> None:
        if self._scalars.get(code) is None:
            return
        scalars = [scalar for scalar in map(_scalar, values) if scalar is not None]
        if scalars:
            _sub(document, "k")[code] = sorted({min(scalars), max(scalars)})

    def _facets(self, entries: IndexEntries, family: Family) -> Json:
        found: Json = {}
        for code in sorted(family.facets):
            first: dict[TokenValue, str] = {}
            for value in entries.values.get(code, ()):
                if isinstance(value, TokenValue):
                    # Equal but for its spelling is equal: it counts once.
                    first.setdefault(TokenValue(value.system, value.code), terms.facet(value))
            if first:
                found[code] = sorted(first.values())
        moments = [
            datetime.fromtimestamp(value.lo / 1000, UTC).astimezone(self._zone)
            for value in entries.values.get(_TIMELINE, ())
            if isinstance(value, DateValue) and abs(value.lo) < _CALENDAR_MS
        ]
        if moments:
            found["year"] = sorted({moment.strftime("%Y") for moment in moments})
            found["month"] = sorted({moment.strftime("%Y-%m") for moment in moments})
        return found


def _facts(facts: Facts) -> Json:
    single = {
        "unit": facts.unit,
        "enterprise": facts.enterprise,
        "encounter": facts.encounter,
        "status": facts.status,
        "source": facts.source,
        "conf": facts.confidentiality,
    }
    several = {
        "labels": sorted(facts.labels),
        "authors": sorted(facts.authors),
        "tokens": sorted(set(_tokens(facts))),
    }
    return {name: value for name, value in (single | several).items() if value}


def _tokens(facts: Facts) -> Iterator[str]:
    for parameter, several in facts.tokens.items():
        for kept in several:
            yield from terms.scoped_terms(parameter, kept)


def _put(document: Json, code: str, values: Iterable[SearchValue]) -> None:
    """The values of one parameter under the objects of their kinds."""
    found: dict[str, list[Any]] = {}
    for value in values:
        for place, content in _placed(value):
            found.setdefault(place, []).append(content)
    for place, contents in sorted(found.items()):
        if place == "q":
            document.setdefault("q", []).extend({"p": code, **reading} for reading in _once(contents))
        elif place in ("plain", "exact"):
            _sub(_sub(document, "s"), code)[place] = _once(contents)
        else:
            _sub(document, place)[code] = _once(contents)


def _placed(value: SearchValue) -> Iterator[tuple[str, Any]]:
    match value:
        case TokenValue():
            yield from (("t", term) for term in terms.token_terms(value))
        case DateValue(lo, hi):
            yield "d", {"gte": lo, "lt": hi}
        case NumberValue(lo, hi):
            yield "n", _span(lo, hi)
        case ReferenceValue():
            yield from (("r", term) for term in terms.reference_terms(value))
            if value.identifier is not None:
                yield from (("ri", term) for term in terms.token_terms(value.identifier))
        case StringValue():
            yield "plain", value.plain
            yield "exact", value.exact
        case UriValue():
            yield "u", value.value
        case QuantityValue():
            said = {"system": value.system, "code": value.code, "unit": value.unit}
            yield (
                "q",
                {"v": _span(value.lo, value.hi), **{name: each for name, each in said.items() if each is not None}},
            )
        case _:
            assert_never(value)


def _span(lo: float, hi: float) -> Json:
    """A range of numbers; an end that is open is left out."""
    return ({"gte": lo} if math.isfinite(lo) else {}) | ({"lte": hi} if math.isfinite(hi) else {})


def _combinations(entries: IndexEntries, family: Family) -> Iterator[Json]:
    """One row for each combination of values of the parts of a composite within one of its repetitions."""
    parts: dict[str, dict[str, dict[int, list[Json]]]] = {}
    for code, values in entries.values.items():
        composite, dollar, number = code.partition("$")
        if dollar and code in family.kinds:
            by_group = parts.setdefault(composite, {}).setdefault(number, {})
            for value in values:
                by_group.setdefault(value.group, []).append(_part(value))
    for composite, by_number in sorted(parts.items()):
        numbers = sorted(by_number)
        for group in sorted(set.intersection(*(set(groups) for groups in by_number.values()))):
            for combined in product(*(_once(by_number[number][group]) for number in numbers)):
                yield {"p": composite, **dict(zip(numbers, combined, strict=True))}


def _part(value: SearchValue) -> Json:
    """One value of a part, with all its terms."""
    found: Json = {}
    for place, content in _placed(value):
        if place == "q":
            found.update(content)
        elif place in ("t", "r", "ri"):
            found.setdefault(place, []).append(content)
        else:
            found[place] = content
    return found


def _scalar(value: SearchValue) -> int | float | str | None:
    """What a value is sorted by; as `r4.evaluator.sort_tuple` has it."""
    match value:
        case TokenValue():
            return value.code
        case DateValue():
            return value.lo
        case NumberValue() | QuantityValue():
            return min(max(value.lo, -LARGEST), LARGEST)
        case ReferenceValue():
            return value.url if value.key is None else str(value.key)
        case StringValue():
            return value.plain
        case UriValue():
            return value.value
        case _:
            assert_never(value)


def _sub(document: Json, name: str) -> Json:
    """The object of that name, made if it is missing."""
    found: Json = document.setdefault(name, {})
    return found


def _once(contents: list[Any]) -> list[Any]:
    """In order, each once."""
    if len(contents) == 1:
        return contents
    if isinstance(contents[0], str):
        return sorted(set(contents))
    return [content for _, content in sorted({dump(content): content for content in contents}.items())]
