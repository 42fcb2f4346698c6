"""A search as lines: every match as NDJSON, page after page, without a Bundle and without holding them all.

Each page is a Session of its own: what it lists is durable in the audit before a line of it leaves, and rights that
change meanwhile bind from the next page on.
"""

from collections.abc import AsyncIterator

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.paging import Found, Walk
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.search import CURSOR, Parameters, Where
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search
from fhirmedia.r4.summary import reduce_body

RUN = 1000
"""Matches that are searched, disclosed and sent together."""


async def search_lines(
    archive: Archive, asker: Asker, where: Where, parameters: Parameters, *, lenient: bool
) -> AsyncIterator[bytes]:
    """One resource a line, every match of the search, in its order.

    The first page is found before anything is answered. Raises Failure INVALID, FORBIDDEN, TOO_COSTLY.
    """
    if where.type is not None:
        archive.registry.require(where.type, "search-type")
    if any(name == CURSOR for name, _ in parameters):
        raise Failure(Category.INVALID, "Lines are not divided into pages, so there is no cursor.", code="value")
    context = SearchContext(archive.registry, archive.base_url, archive.zone, archive.clock())
    parsed = parse_search(parameters, context=context, type=where.type, compartment=where.compartment, lenient=lenient)
    if parsed.includes or parsed.summary == "count":
        raise Failure(Category.INVALID, "Lines hold matches alone: no includes, no count.", code="not-supported")
    first = await _page(archive, asker, where, parsed, Walk(RUN, parsed.sort))
    return _lines(archive, asker, where, parsed, first)


async def _lines(
    archive: Archive, asker: Asker, where: Where, parsed: ParsedSearch, found: Found
) -> AsyncIterator[bytes]:
    while True:
        yield b"".join(
            reduce_body(record.body or b"{}", summary=parsed.summary, elements=parsed.elements) + b"\n"
            for record in found.records
        )
        if found.after is None:
            return
        found = await _page(archive, asker, where, parsed, Walk(RUN, parsed.sort, found.after))


async def _page(archive: Archive, asker: Asker, where: Where, parsed: ParsedSearch, walk: Walk) -> Found:
    interaction = "search-type" if where.path else "search-system"
    async with archive.custodian.session(asker.caller, interaction, note=asker.note) as session:
        return await session.search(parsed.query, types=parsed.types, walk=walk)
