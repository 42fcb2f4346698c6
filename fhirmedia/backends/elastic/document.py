"""The document of a resource: its index entries and facts as terms, ranges, words, sort keys and facets.

A document never holds the resource. Everything in it is in order and said once, so that equal content is equal bytes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import chain

from fhirmedia.backends.elastic import terms
from fhirmedia.backends.elastic.placing import PLACED, Json, Place, Values, below
from fhirmedia.backends.elastic.rows import put_rows
from fhirmedia.backends.elastic.shape import Family, Shape
from fhirmedia.core.records import Facts, Record
from fhirmedia.r4.codec import dump
from fhirmedia.r4.contained import is_inside
from fhirmedia.r4.extract import PATIENT
from fhirmedia.r4.values import DateValue, IndexEntries, SearchValue, TokenValue

_CALENDAR_MS, _HOUR_MS = 10**13, 3_600_000
_TIMELINE = "when"

Places = tuple[tuple[type[SearchValue], Place], ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Of one family: where the values of each code stand, which fields of words and which facets there are."""

    places: Mapping[str, Places]
    texts: frozenset[str]
    facets: tuple[str, ...]


class Documents:
    """Documents of one shape; `zone` is where years and months begin."""

    def __init__(self, shape: Shape, *, zone: tzinfo) -> None:
        self._plans = {type: _plan(family) for family in shape.families for type in family.types}
        self._month = _calendar(zone)

    def content(self, record: Record, entries: IndexEntries) -> Json:
        """The document without its order; the type is one of the shape's."""
        plan = self._plans[record.key.type]
        codes = sorted(
            code for code, several in entries.values.items() if several and (code in plan.places or is_inside(code))
        )
        document: Json = {
            "key": str(record.key),
            "rt": record.key.type,
            "cp": sorted({*entries.patients, *([record.key.id] if record.key.type == PATIENT else [])}),
            "has": codes,
            "acl": _facts(record.facts),
        }
        if len(record.facts.patients) == 1:
            document["sole"] = record.facts.patients[0]
        in_rows: list[tuple[str, Values]] = []
        for code in codes:
            several = entries.values[code]
            for kind, place in plan.places.get(code, ()):
                own = [value for value in several if type(value) is kind]
                if own:
                    place(document, code, own)
            if "$" in code or code not in plan.places:
                in_rows.append((code, several))
        tokens = below(document, "t")
        tokens["_id"] = sorted({*tokens.get("_id", ()), terms.any_system(record.key.id)})
        put_rows(document, in_rows)
        texts = {field: text for field, text in sorted(entries.texts.items()) if field in plan.texts}
        if texts:
            document["x"] = terms.words(texts)
        facets = self._facets(entries, plan)
        if facets:
            document["f"] = facets
        return document

    def digest(self, document: Json) -> str:
        """What tells a document from any other."""
        return _digest(dump(document))

    def encoded(self, document: Json) -> bytes:
        """The document as JSON, with its digest."""
        content = dump(document)
        return b"".join((content[:-1], b',"digest":"', _digest(content).encode(), b'"}'))

    def _facets(self, entries: IndexEntries, plan: _Plan) -> Json:
        found: Json = {}
        for code in plan.facets:
            tokens = [value for value in entries.values.get(code, ()) if isinstance(value, TokenValue)]
            if len(tokens) == 1:
                found[code] = [terms.facet(tokens[0])]
            elif tokens:
                # Equal but for its spelling is equal: it counts once, as the first is spelled.
                first = {value: terms.facet(value) for value in reversed(tokens)}
                found[code] = sorted(first.values())
        months = {
            self._month(value.lo // _HOUR_MS)
            for value in entries.values.get(_TIMELINE, ())
            if isinstance(value, DateValue) and abs(value.lo) < _CALENDAR_MS
        }
        if months:
            found["year"] = sorted({month.rpartition("-")[0] for month in months})
            found["month"] = sorted(months)
        return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _plan(family: Family) -> _Plan:
    places = {code: _places(code, kinds) for code, kinds in family.kinds.items()}
    return _Plan(places, family.texts, tuple(sorted(family.facets)))


def _places(code: str, kinds: frozenset[str]) -> Places:
    """Parts of a composite stand in rows."""
    return () if "$" in code else tuple(PLACED[kind] for kind in sorted(kinds) if kind in PLACED)


def _calendar(zone: tzinfo) -> Callable[[int], str]:
    """The month an hour since 1970 is in, as `2024-03`."""

    @lru_cache(maxsize=65_536)
    def month(hour: int) -> str:
        moment = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone)
        return f"{moment.year}-{moment.month:02}"

    return month


def _facts(facts: Facts) -> Json:
    single = {
        "unit": facts.unit,
        "enterprise": facts.enterprise,
        "encounter": facts.encounter,
        "status": facts.status,
        "source": facts.source,
        "conf": facts.confidentiality,
    }
    said: Json = {name: terms.fact(value) for name, value in single.items() if value}
    if facts.labels:
        said["labels"] = sorted(map(terms.fact, facts.labels))
    if facts.authors:
        said["authors"] = sorted(map(terms.fact, facts.authors))
    if tokens := _tokens(tuple(facts.tokens.items())):
        said["tokens"] = tokens
    return said


@lru_cache(maxsize=4096)
def _tokens(tokens: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    """The terms of what facts keep of tokens, which few records have for themselves."""
    several = (terms.scoped_terms(parameter, kept) for parameter, values in tokens for kept in values)
    return sorted(set(chain.from_iterable(several)))
