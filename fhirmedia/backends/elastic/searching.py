"""Searches of one generation: the body that is sent, and what comes back as Keys, positions and totals."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fhirmedia.access.grant import NarrowedQuery, types_named
from fhirmedia.backends.elastic.clauses import Clause, all_of, none_of, terms
from fhirmedia.backends.elastic.client import ElasticClient, understood
from fhirmedia.backends.elastic.compile import clause_of
from fhirmedia.backends.elastic.names import Names
from fhirmedia.backends.elastic.placing import LARGEST
from fhirmedia.backends.elastic.rows import kinds_asked
from fhirmedia.backends.elastic.shape import Family, Shape
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, parse_key
from fhirmedia.ports.index import Hits, Page, Position, SortValue
from fhirmedia.r4.query import SortKey, leaves, widest

Json = dict[str, Any]

_ID = "_id"
COUNTED_ALONG = 10_000
"""A page counts no further; what there is beyond is counted once there is a page."""
_GRACE_S = 1.0
"""How much longer an answer is waited for than the engine may search."""

_LAST = {
    ("long", False): 2**63 - 1,
    ("long", True): -(2**63),
    ("double", False): "Infinity",
    ("double", True): "-Infinity",
}
"""What stands for a missing sort key of a kind, ascending or descending; of words it is null."""

_CLEARED = frozenset({"query", "sort", "size", "track_total_hits", "search_after", "aggs", "timeout"})


class Searching:
    """Sends searches to the indices of one generation."""

    def __init__(self, client: ElasticClient, names: Names, generation: str, *, budget_s: float) -> None:
        self._client = client
        self._names = names
        self._generation = generation
        self._budget_s = budget_s

    async def send(
        self,
        narrowed: NarrowedQuery,
        shape: Shape,
        more: Json,
        *,
        without: Collection[Key],
        within_s: float | None = None,
    ) -> Json | None:
        """The engine's answer to a search for what the query selects; None if it can select nothing here.

        It may take `within_s` seconds, or as long as any search.

        Raises Failure TOO_COSTLY, UNAVAILABLE; NOT_IMPLEMENTED if it may select documents without the rows it asks.
        """
        families = shape.holding(types_named(narrowed.query))
        body = body_of(narrowed, more, without=without)
        if not families or body["query"] == {"match_none": {}}:
            return None
        cut = cut_body(narrowed, without=without)
        if cut is not None:
            there = await self._sent(cut, families, within_s)
            with understood():
                number = int(there["hits"]["total"]["value"])
            if number:
                raise Failure(Category.NOT_IMPLEMENTED, "The search engine does not hold all of what is asked for.")
        return await self._sent(body, families, within_s)

    async def _sent(self, body: Json, families: Sequence[Family], within_s: float | None) -> Json:
        where = ",".join(self._names.index(self._generation, family) for family in families)
        budget_s = self._budget_s if within_s is None else min(within_s, self._budget_s)
        answer = await self._client.ask(
            "POST",
            f"/{where}/_search",
            {**body, "timeout": f"{int(budget_s * 1000)}ms"},
            within_s=budget_s + _GRACE_S,
            allow_partial_search_results="false",
        )
        with understood():
            found: Json = answer.body
            timed_out = found["timed_out"]
        if timed_out:
            raise Failure(Category.TOO_COSTLY, "The search takes too long; narrow it.")
        return found


def body_of(narrowed: NarrowedQuery, more: Json, *, without: Collection[Key] = ()) -> Json:
    """What is sent: the narrowed query is the one condition of everything that is found, counted and divided.

    Raises Failure INTERNAL if anything else could widen it.
    """
    body = {"query": _less(clause_of(narrowed.query), without), **more}
    if not body.keys() <= _CLEARED or "query" in more or not all(map(_is_bounded, more.get("aggs", {}).values())):
        raise Failure(Category.INTERNAL, "A search would look beyond what its Caller may see.")
    return body


def _less(query: Clause, without: Collection[Key]) -> Clause:
    return all_of([query, none_of([terms("key", map(str, without))])]) if without else query


def cut_body(narrowed: NarrowedQuery, *, without: Collection[Key] = ()) -> Json | None:
    """The question whether the query may select a document that rows it asks were left out of; None if it asks none.

    It is asked with all limits of the Caller: what that may not see never decides who answers.
    """
    kinds = frozenset[str]().union(*map(kinds_asked, leaves(narrowed.query)))
    if not kinds:
        return None
    wide = clause_of(widest(narrowed.query, lambda leaf: bool(kinds_asked(leaf))))
    return {"query": _less(all_of([wide, terms("cut", kinds)]), without), "size": 0, "track_total_hits": 1}


_DIVISIONS = frozenset({"terms", "cardinality", "composite", "max", "aggs"})


def _is_bounded(division: Mapping[str, Any]) -> bool:
    """Whether a division counts only what was found, and nothing nobody has."""
    if not division.keys() <= _DIVISIONS:
        return False
    if division.get("terms", {}).get("min_doc_count", 1) < 1:
        return False
    return all(map(_is_bounded, division.get("aggs", {}).values()))


def page_body(page: Page, shape: Shape) -> Json:
    """Order, position, size and total; sort keys nobody has are left out."""
    sort = [*(_sort(key, shape) for key in page.sort if _kind(key, shape) is not None), {"key": {"order": "asc"}}]
    body: Json = {"size": page.count + 1 if page.count else 0, "track_total_hits": _counted(page)}
    if page.count:
        body["sort"] = sort
        if page.after is not None:
            body["search_after"] = _after(page.after, page.sort, shape)
    return body


def hits_of(found: Json | None, page: Page, shape: Shape) -> Hits:
    """The page in an answer; an answer of None has nothing in it."""
    if found is None:
        return Hits((), None, None if page.total == "none" else 0)
    rows = found["hits"]["hits"]
    shown = rows[: page.count]
    keys = tuple(parse_key(row["sort"][-1]) for row in shown)
    following = len(rows) > len(shown) > 0
    return Hits(
        keys,
        Position(_values(shown[-1]["sort"], page.sort, shape), keys[-1]) if following else None,
        _total(found, page),
    )


def _counted(page: Page) -> bool | int:
    match page.total:
        case "none":
            return False
        case "accurate":
            return COUNTED_ALONG if page.count else True
        case "bounded":
            return page.total_limit + 1


def _total(found: Json, page: Page) -> int | None:
    if page.total == "none":
        return None
    total = found["hits"]["total"]
    count = int(total["value"])
    if page.total == "accurate":
        return count if total["relation"] == "eq" else None
    return count if count <= page.total_limit else None


def _kind(key: SortKey, shape: Shape) -> str | None:
    return "keyword" if key.parameter == _ID else shape.scalar(key.parameter)


def _sort(key: SortKey, shape: Shape) -> Json:
    order = "desc" if key.descending else "asc"
    if key.parameter == _ID:
        return {"key": {"order": order}}
    mode = "max" if key.descending else "min"
    kind = _kind(key, shape)
    return {f"k.{key.parameter}": {"order": order, "mode": mode, "missing": "_last", "unmapped_type": kind}}


def _after(position: Position, sort: Sequence[SortKey], shape: Shape) -> list[Any]:
    values: list[Any] = []
    for key, value in zip(sort, position.values, strict=True):
        kind = _kind(key, shape)
        if kind is None:
            continue
        if value is None:
            values.append(_LAST.get((kind, key.descending)))
        elif kind == "double":
            values.append(min(max(float(value), -LARGEST), LARGEST))
        else:
            values.append(value)
    return [*values, str(position.key)]


def _values(sort_values: Sequence[Any], sort: Sequence[SortKey], shape: Shape) -> tuple[SortValue, ...]:
    """What the last row is sorted by, as the evaluator has it."""
    rest = iter(sort_values)
    return tuple(_value(next(rest), kind, key) if (kind := _kind(key, shape)) is not None else None for key in sort)


def _value(value: Any, kind: str, key: SortKey) -> SortValue:
    missing = _LAST.get((kind, key.descending))
    if value is None or value == missing or (kind == "double" and float(value) == float(str(missing))):
        return None
    if kind != "double":
        found: SortValue = value
        return found
    number = float(value)
    return number if abs(number) < LARGEST else float("inf") if number > 0 else float("-inf")
