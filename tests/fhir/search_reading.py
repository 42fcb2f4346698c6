"""How the tests read a search: against the types that are served, or a made-up world with every kind of parameter."""

from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.errors import Failure
from fhirmedia.r4.query import All, InCompartment, Match, OfType, Query
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import load_registry
from tests.laws.search_world import NOW, WORLD

STOCKHOLM = ZoneInfo("Europe/Stockholm")
BASE = "https://fhir.example.org/fhir"
PERSON = "http://electronichealth.se/identifier/personnummer"
SECRET = "Bengtsson-191212121212"
SERVED = SearchContext(registry=load_registry(), base_url=BASE, zone=STOCKHOLM, now=NOW)
MADE_UP = SearchContext(registry=WORLD, base_url=BASE, zone=STOCKHOLM, now=NOW)


def search(
    context: SearchContext,
    text: str,
    *,
    type: str | None = "Media",
    compartment: tuple[str, str] | None = None,
    lenient: bool = False,
) -> ParsedSearch:
    return parse_search(decode_query(text), context=context, type=type, compartment=compartment, lenient=lenient)


def conditions(parsed: ParsedSearch) -> tuple[Query, ...]:
    assert isinstance(parsed.query, All)
    return tuple(part for part in parsed.query.parts if not isinstance(part, OfType | InCompartment))


def only(parsed: ParsedSearch) -> Query:
    (condition,) = conditions(parsed)
    return condition


def match(parsed: ParsedSearch) -> Match:
    found = only(parsed)
    assert isinstance(found, Match)
    return found


def refused(
    context: SearchContext,
    text: str,
    *,
    type: str | None = "Media",
    compartment: tuple[str, str] | None = None,
    lenient: bool = False,
) -> Failure:
    with pytest.raises(Failure) as caught:
        search(context, text, type=type, compartment=compartment, lenient=lenient)
    for issue in caught.value.issues:
        assert SECRET not in issue.text
    return caught.value
