"""The rows of the conformance tables, the corpora they are about as the server would index them, and who asks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.access.policy import grant_for, scope_parser
from fhirmedia.core.records import Facts, Key
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.interactions.search import Where
from fhirmedia.r4.codec import dump
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.query import EVERYTHING, FactIn, Not
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries
from tests.contracts.corpora import HERE, corpus
from tests.fhir.timeline_rows import ROWS as TIMELINE_ROWS
from tests.fhir.timelines import START_MS

TABLES = ("values", "units", "cells", "contained", "spellings", "reach")
BASE = "https://fhir.example.org/fhir"
ZONE = ZoneInfo("Europe/Stockholm")
HOUR_MS = 3_600_000
REGISTRY = load_registry()
NOW_MS = START_MS + 2 * HOUR_MS
CONTEXT = SearchContext(REGISTRY, BASE, ZONE, NOW_MS)
EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset(REGISTRY.types), EVERYTHING),))


def caller(scope: str = "user/*.rs", *units: str, patient: str | None = None) -> Grant:
    """What one with this scope may see; of all units where none is named."""
    scopes = scope_parser(REGISTRY)(scope)
    someone = Caller("x|kim", "app", scopes, patient=patient, units=frozenset(units), all_units=not units)
    return grant_for(someone, REGISTRY)


NOT_RESTRICTED = Not(FactIn("confidentiality", frozenset(("R", "V"))))
CALLERS = {
    "": EVERYBODY,
    "derm": caller("user/*.rs", "derm"),
    "eyes": caller("user/*.rs", "eyes"),
    "derm and eyes": caller("user/*.rs", "derm", "eyes"),
    "nowhere": caller("user/*.rs", "closed"),
    "anna": caller("patient/*.rs", patient="anna"),
    "completed": caller("user/Media.rs?status=completed"),
    "normal": replace(EVERYBODY, restrictions=(NOT_RESTRICTED,)),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A search below the base and the ids it finds; `link` is its self link below the base, where a person wrote it.

    `lenient` forgives, as `Prefer: handling=lenient` does.
    """

    corpus: str
    query: str
    ids: tuple[str, ...]
    ordered: bool = False
    total: int | None = None
    caller: str = ""
    link: str | None = None
    lenient: bool = False

    @property
    def grant(self) -> Grant:
        """What whoever asks may see."""
        return CALLERS[self.caller]

    @property
    def self_link(self) -> str:
        """What the answer says was asked."""
        return f"{BASE}/{normal(self.query) if self.link is None else self.link}"

    def __str__(self) -> str:
        return f"{self.corpus}: {self.query}" + (f" as {self.caller}" if self.caller else "")


def rows() -> Iterator[Row]:
    for name in TABLES:
        for each in json.loads((HERE / "table" / f"{name}.json").read_text("utf-8")):
            said = {part: each[part] for part in ("ordered", "total", "caller", "lenient") if part in each}
            yield Row(name, each["query"], tuple(each["ids"]), link=each.get("self"), **said)
    for kind, queries in TIMELINE_ROWS.items():
        for query, ids in queries.items():
            if "department" not in query:  # tags the server adds at a write
                yield Row("timeline", f"{kind}?{query.replace('BASE', BASE)}", tuple(ids.split()))


@cache
def entries_of(name: str) -> list[IndexEntries]:
    """Through the server's own extraction; the name of a corpus may end in the language of its deployment."""
    extractor = Extractor(REGISTRY, base_url=BASE, zone=ZONE, language=name.partition("-")[2] or DEFAULT_LANGUAGE)
    found = []
    for resource, updated in corpus(name):
        key = Key(resource["resourceType"], resource["id"])
        found.append(extractor.entries(parse_json(dump(resource)), key=key, last_updated_ms=updated))
    return found


@cache
def facts_in(name: str) -> dict[Key, Facts]:
    """What access decides by, as at a write."""
    held = {Key(each["resourceType"], each["id"]): parse_json(dump(each)) for each, _ in corpus(name)}
    return {
        each.key: facts_of(held[each.key], entries=each, registry=REGISTRY, base_url=BASE, lookup=held.get)
        for each in entries_of(name)
    }


def place_of(query: str) -> Where:
    """Where a search as rows have it is sent to."""
    match query.partition("?")[0].split("/"):
        case [kind]:
            return Where(kind or None)
        case [compartment_type, identity, kind]:
            return Where(None if kind == "*" else kind, (compartment_type, identity))
        case path:
            raise AssertionError(path)


def pairs_of(query: str) -> list[tuple[str, str]]:
    """Its parameters; in a row a space and a plus sign are themselves."""
    return decode_query(query.partition("?")[2].replace(" ", "%20").replace("+", "%2B"))


def normal(query: str) -> str:
    """The same search, percent-encoded in the one way in which a self link is."""
    place = query.partition("?")[0]
    said = "&".join(f"{quote(name, safe=':')}={quote(value, safe=':/,$')}" for name, value in pairs_of(query))
    return f"{place}?{said}" if said else place


def parsed(query: str, *, lenient: bool = False) -> ParsedSearch:
    """What is understood."""
    where = place_of(query)
    return parse_search(
        pairs_of(query), context=CONTEXT, type=where.type, compartment=where.compartment, lenient=lenient
    )
