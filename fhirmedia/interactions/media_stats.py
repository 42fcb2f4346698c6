"""$media-stats: how many resources a search finds, and how they divide (our own operation)."""

from collections.abc import Sequence
from decimal import Decimal

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.statistics import Division, Statistics
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import Where
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonArray, JsonObject
from fhirmedia.r4.query import All, Match, Not, Query
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search

OPERATION = "media-stats"
FACETS = ("kind", "department", "body-site", "laterality", "media-modality", "content-type", "year", "month")
"""What the answer can be divided by: parameters of ours, and the calendar by `when`."""

_SPANS = ("year", "month")
_SHAPING = frozenset({"_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total"})
FEWER = "<5"

Parameters = Sequence[tuple[str, str]]


async def media_stats(archive: Archive, asker: Asker, where: Where, parameters: Parameters, *, lenient: bool) -> bytes:
    """Parameters with the total and one part for each facet asked for.

    Whoever may search the types but not read them gets no number that tells of fewer than five Patients, and all
    others rounded down to a multiple of five. Raises Failure INVALID, FORBIDDEN, TOO_COSTLY.
    """
    facets, own_filter, rest = _read(parameters)
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(rest, context=context, type=where.type, compartment=where.compartment, lenient=lenient)
    if any(archive.registry.types[kind].read_only for kind in parsed.types):
        raise _refused("_type", "what nobody stores is not counted")
    for facet in facets:
        _require_facet(archive, parsed, facet)
    divided = {facet: parsed.query if own_filter else _without_own(parsed.query, facet) for facet in facets}
    async with archive.custodian.session(asker.caller, OPERATION, note=asker.note) as session:
        found = await session.statistics(parsed.query, divided, types=parsed.types)
    return dump(_answer(found))


def _read(parameters: Parameters) -> tuple[list[str], bool, list[tuple[str, str]]]:
    facets: list[str] = []
    own_filter = False
    rest = []
    for name, value in parameters:
        if name == "facet":
            facets.extend(value.split(","))
        elif name == "own-filter":
            if value not in ("true", "false"):
                raise _refused(name, "the value is true or false")
            own_filter = value == "true"
        elif name.partition(":")[0] in _SHAPING:
            raise _refused(name.partition(":")[0], "it shapes a list of resources, and there is none here")
        else:
            rest.append((name, value))
    for facet in facets:
        if facet not in FACETS:
            raise _refused("facet", f"the value is one of {', '.join(FACETS)}")
    return list(dict.fromkeys(facets)), own_filter, rest


def _require_facet(archive: Archive, parsed: ParsedSearch, facet: str) -> None:
    parameter = "when" if facet in _SPANS else facet
    lacking = [kind for kind in parsed.types if archive.registry.parameter(kind, parameter) is None]
    if len(lacking) == len(parsed.types):
        raise _refused("facet", f"{facet} does not exist on {', '.join(lacking)}")


def _without_own(query: Query, facet: str) -> Query:
    """The query without what selects by the facet itself: the other boxes stay to be ticked."""
    parameter = "when" if facet in _SPANS else facet
    if not isinstance(query, All) or facet in _SPANS:
        return query
    return All(tuple(part for part in query.parts if not _selects_by(part, parameter)))


def _selects_by(part: Query, parameter: str) -> bool:
    inner = part.part if isinstance(part, Not) else part
    return isinstance(inner, Match) and inner.parameter == parameter


def _answer(found: Statistics) -> JsonObject:
    parts: JsonArray = [{"name": "total", **_number(found.total)}]
    parts.extend(_facet(division) for division in found.divisions)
    parts.append({"name": "lag", "valueDecimal": Decimal(found.lag_ms) / 1000})
    return {"resourceType": "Parameters", "parameter": parts}


def _facet(division: Division) -> JsonObject:
    values: JsonArray = [{"name": "name", "valueCode": division.name}]
    for bucket in division.buckets:
        system: JsonObject = {} if bucket.system is None else {"system": bucket.system}
        coding: JsonObject = {"name": "coding", "valueCoding": {**system, "code": bucket.code}}
        values.append({"name": "value", "part": [coding, {"name": "count", **_number(bucket.count)}]})
    if division.is_cut:
        values.append({"name": "truncated", "valueBoolean": True})
    return {"name": "facet", "part": values}


def _number(count: int | None) -> JsonObject:
    return {"valueString": FEWER} if count is None else {"valueInteger": count}


def _refused(name: str, rule: str) -> Failure:
    return Failure(Category.INVALID, f"parameter '{name}': {rule}", code="value", expression=f"http.{name}")
