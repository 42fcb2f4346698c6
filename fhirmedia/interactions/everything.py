"""$everything of a Patient: its compartment and what that refers to in the directory, page by page, a run at a time.

FHIR R4, Patient, operation everything. Each run of a page is a Session of its own: what it shows is durable in the
audit before a byte of it leaves, and no more than a run is ever held.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fhirmedia.core.clock import instant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.paging import Bookmark, Found, Walk
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.r4.bundles import Match, OpenBundle
from fhirmedia.r4.dates import date_range
from fhirmedia.r4.extract import PATIENT
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.query import All, Any, DateTest, Missing, OfType, Query
from fhirmedia.r4.query import Match as Matching
from fhirmedia.r4.query_parser import SearchContext, parse_search
from fhirmedia.r4.query_string import encode_query
from fhirmedia.r4.references import iter_references, parse_reference
from fhirmedia.r4.registry import Registry

INTERACTION = "everything"
DEFAULT_COUNT = 1000
LARGEST_COUNT = 10_000
RUN = 100
"""Resources of the compartment that are searched, disclosed and sent together."""

CURSOR = "_cursor"
ALONGSIDE = frozenset({"_format", "_pretty"})
CARE_DATES = ("when", "date", "onset-date", "authored", "authored-on", "collected", "recorded")
"""Search parameters that say when care was given; the first one that a type has counts."""

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page to be made: what to search, how much, and where; `shown` is what the self link states."""

    key: Key
    query: Query
    types: Sequence[str]
    shown: Parameters
    count: int
    after: Bookmark | None = None
    total: int | None = None


async def everything(archive: Archive, asker: Asker, key: Key, parameters: Parameters) -> AsyncIterator[bytes]:
    """A searchset Bundle as it comes; its links stand at its end.

    What goes wrong with the first run is raised here, before anything is sent; later the stream breaks off. Raises
    Failure NOT_FOUND, NOT_ALLOWED, GONE, FORBIDDEN, INVALID, TOO_COSTLY.
    """
    archive.registry.require_operation(key.type, INTERACTION)
    asked = _resume(archive, asker, key, parameters)
    async with archive.custodian.session(asker.caller, INTERACTION, note=asker.note) as session:
        await session.read(key)
        if not any(name == "_type" for name, _ in asked.shown):
            asked = replace(asked, types=session.listable(asked.types))
        walk = Walk(min(RUN, asked.count), after=asked.after, total="accurate" if asked.after is None else "none")
        found = await session.search(asked.query, types=asked.types, walk=walk)
        around = await session.look_up(_around(archive, found.records, known=set()))
    asked = replace(asked, total=found.total if asked.total is None else asked.total)
    return _stream(archive, asker, asked, found=found, around=around)


async def _stream(
    archive: Archive, asker: Asker, asked: _Asked, *, found: Found, around: Sequence[Record]
) -> AsyncIterator[bytes]:
    bundle, known = OpenBundle("searchset", total=asked.total, now=archive.clock()), set[Key]()
    left = asked.count
    while True:
        known.update(record.key for record in around)
        yield bundle.entries((*_entries(archive, found.records, "match"), *_entries(archive, around, "include")))
        left -= RUN
        if found.after is None or left <= 0:
            break
        async with archive.custodian.session(asker.caller, INTERACTION, note=asker.note) as session:
            walk = Walk(min(RUN, left), after=found.after)
            found = await session.search(asked.query, types=asked.types, walk=walk)
            around = await session.look_up(_around(archive, found.records, known=known))
    yield bundle.end(_links(archive, asker, asked, after=found.after))


def _entries(archive: Archive, records: Iterable[Record], mode: Literal["match", "include"]) -> list[Match]:
    return [Match(f"{archive.base_url}/{record.key}", record.body or b"{}", mode) for record in records]


def _around(archive: Archive, records: Iterable[Record], *, known: set[Key]) -> list[Key]:
    """Keys of people, places and organisations that the records refer to, but for those known."""
    found: dict[Key, None] = {}
    types = archive.registry.types
    for record in records:
        for _, text in iter_references(parse_json(record.body or b"{}"), record.key.type):
            key = parse_reference(text, base_url=archive.base_url).key
            if key is None or key in known or key.type == PATIENT:
                continue
            if key.type in types and types[key.type].directory:
                found[key] = None
    return list(found)


def _resume(archive: Archive, asker: Asker, key: Key, parameters: Parameters) -> _Asked:
    """As sent, or as the cursor remembers it."""
    cursors = [value for name, value in parameters if name == CURSOR]
    if not cursors:
        return _read(archive, key, parameters)
    if len(cursors) > 1 or any(name != CURSOR and name not in ALONGSIDE for name, _ in parameters):
        raise Failure(Category.INVALID, "A cursor stands alone: it holds the parameters of its request.")
    content = archive.custodian.seal.open(asker.caller, cursors[0])
    if content.get("everything") != key.id:
        raise Failure(Category.INVALID, "The cursor belongs to another request.", code="value")
    asked = _read(archive, key, [(name, value) for name, value in content["shown"]])
    return replace(asked, after=content["after"], total=content["total"])


def _read(archive: Archive, key: Key, parameters: Parameters) -> _Asked:
    """The parameters of the operation; raises INVALID for any other, for one given twice, and for what is malformed."""
    given = {name: value for name, value in parameters if name not in ALONGSIDE}
    if len(given) != sum(name not in ALONGSIDE for name, _ in parameters):
        raise Failure(Category.INVALID, "A parameter of the operation is given once.", code="value")
    if not given.keys() <= {"start", "end", "_since", "_type", "_count"}:
        raise Failure(Category.INVALID, "A parameter is not one of the operation.", code="not-supported")
    asked: list[tuple[str, str]] = []
    if "_type" in given:
        asked.append(("_type", given["_type"]))
    if "_since" in given:
        asked.append(("_lastUpdated", f"ge{instant(_date(archive, '_since', given['_since'])[0])}"))
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(asked, context=context, type=None, compartment=key, lenient=False)
    tests = []
    if "start" in given:
        tests.append(DateTest("ge", *_date(archive, "start", given["start"])))
    if "end" in given:
        tests.append(DateTest("le", *_date(archive, "end", given["end"])))
    query = All((parsed.query, *(_in_care(archive.registry, parsed.types, test) for test in tests)))
    return _Asked(key, query, parsed.types, tuple(given.items()), _count(given.get("_count")))


def _date(archive: Archive, name: str, value: str) -> tuple[int, int]:
    stretch = date_range(value.replace(" ", "+"), archive.zone)
    if stretch is None:
        raise Failure(Category.INVALID, f"{name} must be a date or a dateTime.", code="value")
    return stretch


def _count(value: str | None) -> int:
    if value is None:
        return DEFAULT_COUNT
    if not (value.isascii() and value.isdecimal()) or len(value) > 9 or int(value) == 0:
        raise Failure(Category.INVALID, "_count must be a whole number above 0.", code="value")
    return min(int(value), LARGEST_COUNT)


def _in_care(registry: Registry, types: Iterable[str], test: DateTest) -> Query:
    """Whether care was given then; what says no date of care, as the Patient itself, belongs to any time."""
    by_date: dict[str | None, set[str]] = {}
    for each in types:
        dated = (name for name in CARE_DATES if (found := registry.parameter(each, name)) and found.kind == "date")
        by_date.setdefault(next(dated, None), set()).add(each)
    return Any(
        tuple(
            OfType(frozenset(group))
            if name is None
            else All((OfType(frozenset(group)), Any((Missing(name), Matching(name, (test,))))))
            for name, group in by_date.items()
        )
    )


def _links(archive: Archive, asker: Asker, asked: _Asked, *, after: Bookmark | None) -> list[tuple[str, str]]:
    url = f"{archive.base_url}/{asked.key}/$everything"
    applied = encode_query(tuple(asked.shown))
    links = [("self", f"{url}?{applied}" if applied else url)]
    if after is not None:
        following = {
            "everything": asked.key.id,
            "shown": [list(pair) for pair in asked.shown],
            "after": after,
            "total": asked.total,
        }
        links.append(("next", f"{url}?{CURSOR}={archive.custodian.seal.seal(asker.caller, following)}"))
    return links
