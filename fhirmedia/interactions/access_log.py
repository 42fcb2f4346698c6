"""$access-log: who has looked at a Patient's record, for auditors and for the Patient, in plain words."""

import json

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.paging import Found, Walk
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import ALONGSIDE, CURSOR, Parameters
from fhirmedia.r4.access_log import LANGUAGES, entry_of
from fhirmedia.r4.audit_event import AUDIT_EVENT, is_about_sending
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonArray
from fhirmedia.r4.query import All, Match, OfType, Query, ReferenceTest, SortKey
from fhirmedia.r4.query_parser import SearchContext, parse_search

OPERATION = "access-log"
DEFAULT_COUNT = 50
_NEWEST = (SortKey("date", descending=True),)


async def access_log(archive: Archive, asker: Asker, key: Key, parameters: Parameters, *, language: str) -> bytes:
    """Parameters with an entry for each event, newest first, and the address of what follows.

    `date` and `_count` are taken. Raises Failure NOT_FOUND for whoever is neither the Patient nor an auditor.
    """
    archive.registry.require_operation(key.type, OPERATION)
    asked, after = _resume(archive, asker, key, parameters)
    dates = [(name, value) for name, value in asked if name == "date"]
    count = _count(asked)
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(dates, context=context, type=AUDIT_EVENT, compartment=None, lenient=False)
    about = Match("patient", (ReferenceTest(key),))
    query: Query = All((OfType(frozenset({AUDIT_EVENT})), about, parsed.query))
    async with archive.custodian.session(asker.caller, OPERATION, note=asker.note) as session:
        found = await session.access_log(key, query, walk=Walk(count, _NEWEST, after))
    spoken = language if language in LANGUAGES else LANGUAGES[0]
    events = [json.loads(record.body or b"{}") for record in found.records]
    entries: JsonArray = [
        entry_of(event, patient=str(key), staff=archive.settings.access_log_staff, language=spoken)
        for event in events
        if not is_about_sending(event)
    ]
    if found.after is not None:
        entries.append({"name": "next", "valueUri": _next(archive, asker, key, asked=dates, count=count, found=found)})
    return dump({"resourceType": "Parameters", "parameter": entries or [{"name": "empty", "valueBoolean": True}]})


def _resume(
    archive: Archive, asker: Asker, key: Key, parameters: Parameters
) -> tuple[list[tuple[str, str]], list[object] | None]:
    cursors = [value for name, value in parameters if name == CURSOR]
    if not cursors:
        given = [(name, value) for name, value in parameters if name not in ALONGSIDE]
        if any(name not in ("date", "_count") for name, _ in given):
            raise Failure(Category.INVALID, "A parameter is not one of the operation.", code="not-supported")
        return given, None
    if len(cursors) > 1 or any(name != CURSOR and name not in ALONGSIDE for name, _ in parameters):
        raise Failure(Category.INVALID, "A cursor stands alone: it holds the parameters of its request.")
    content = archive.custodian.seal.open(asker.caller, cursors[0])
    if content.get("log") != str(key):
        raise Failure(Category.INVALID, "The cursor belongs to another request.", code="value")
    return [(name, value) for name, value in content["asked"]], content["after"]


def _count(asked: list[tuple[str, str]]) -> int:
    given = [value for name, value in asked if name == "_count"]
    if not given:
        return DEFAULT_COUNT
    if len(given) > 1 or not (given[0].isascii() and given[0].isdecimal()) or len(given[0]) > 6:
        raise Failure(Category.INVALID, "_count must be one whole number.", code="value")
    return min(max(int(given[0]), 1), 1000)


def _next(archive: Archive, asker: Asker, key: Key, *, asked: list[tuple[str, str]], count: int, found: Found) -> str:
    content = {"log": str(key), "asked": [*map(list, asked), ["_count", str(count)]], "after": found.after}
    return f"{archive.base_url}/{key}/${OPERATION}?{CURSOR}={archive.custodian.seal.seal(asker.caller, content)}"
