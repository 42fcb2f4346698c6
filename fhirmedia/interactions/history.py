"""history of one resource (FHIR R4, http 3.1.0.9)."""

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.r4.bundles import history as history_bundle
from fhirmedia.r4.query_string import encode_query

FIRST_PAGE = 2**62
DEFAULT_COUNT = 50
LARGEST_COUNT = 1000


async def history(archive: Archive, asker: Asker, key: Key, parameters: list[tuple[str, str]]) -> bytes:
    """A Bundle of the visible versions, newest first. Raises Failure NOT_FOUND, FORBIDDEN, INVALID, GONE."""
    archive.registry.require(key.type, "history-instance")
    seal, caller = archive.custodian.seal, asker.caller
    before, count = FIRST_PAGE, _count(parameters)
    cursor = next((value for name, value in parameters if name == "_cursor"), None)
    if cursor is not None:
        content = seal.open(caller, cursor)
        if content.get("history") != str(key):
            raise Failure(Category.INVALID, "The cursor belongs to another request.", code="value")
        before, count = content["before"], content["count"]
    async with archive.custodian.session(caller, "history-instance", note=asker.note) as session:
        found = await session.history(key, before=before, limit=count)
    path = f"{archive.base_url}/{key}/_history"
    links = [("self", f"{path}?{encode_query((('_count', str(count)),))}")]
    if found.after is not None:
        following = {"history": str(key), "before": found.after[0], "count": count}
        links.append(("next", f"{path}?_cursor={seal.seal(caller, following)}"))
    return history_bundle(
        found.records, base_url=archive.base_url, links=links, total=found.total or 0, now=archive.clock()
    )


def _count(parameters: list[tuple[str, str]]) -> int:
    count = DEFAULT_COUNT
    for name, value in parameters:
        if name == "_count":
            if not (value.isascii() and value.isdecimal()) or len(value) > 9:
                raise Failure(Category.INVALID, "_count must be a whole number.", code="value")
            count = min(max(int(value), 1), LARGEST_COUNT)
        elif name not in ("_cursor", "_format", "_pretty"):
            raise Failure(Category.INVALID, "A parameter is not one of a history.", code="not-supported")
    return count
