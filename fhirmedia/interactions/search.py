"""search on a type, the system or a compartment (FHIR R4, http 3.1.0.10 and search)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.custody.paging import Bookmark, Found, Walk
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.r4.bundles import Match, searchset
from fhirmedia.r4.outcome import operation_outcome
from fhirmedia.r4.query_parser import ParsedSearch, SearchContext, parse_search
from fhirmedia.r4.query_string import encode_query
from fhirmedia.r4.summary import reduce_body

CURSOR = "_cursor"
NEXT_MAX = 15 * 1024
"""Characters of a next link; it has to fit into the URL a client may send."""
ALONGSIDE = frozenset({"_format", "_pretty"})
"""What may accompany a cursor."""

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Where:
    """The place a search was sent to: a type, a compartment (type and id), both, or neither for the system."""

    type: str | None = None
    compartment: tuple[str, str] | None = None

    @property
    def path(self) -> str:
        """Relative to the base; a search on the system ends with a slash."""
        above = "/".join(self.compartment) + "/" if self.compartment else ""
        return above + (self.type or ("*" if self.compartment else ""))


@dataclass(frozen=True, slots=True)
class Searched:
    """A searchset Bundle, and by how many milliseconds it may be behind; None where nothing could be behind."""

    bundle: bytes
    lag_ms: int | None


async def search(
    archive: Archive, asker: Asker, where: Where, parameters: Parameters, *, lenient: bool, strong: bool = False
) -> Searched:
    """One page; `strong`: none behind. Raises Failure INVALID, FORBIDDEN, TOO_COSTLY, GONE (cursor expired)."""
    if where.type is not None:
        archive.registry.require(where.type, "search-type")
    asked, now, after = _resume(archive, asker, where, parameters)
    context = SearchContext(archive.registry, archive.base_url, archive.zone, now)
    parsed = parse_search(asked, context=context, type=where.type, compartment=where.compartment, lenient=lenient)
    interaction = "search-type" if where.path else "search-system"
    async with archive.custodian.session(asker.caller, interaction, note=asker.note) as session:
        walk = Walk(_count(parsed), parsed.sort, after, _total(parsed, first=after is None), strong)
        found = await session.search(parsed.query, types=parsed.types, walk=walk, includes=parsed.includes)
    bundle = _bundle(archive, asker, where, parsed, found=found, now=now, counted=walk.total == "accurate")
    return Searched(bundle, None if found.freshness is None else found.freshness.lag_ms)


def _resume(
    archive: Archive, asker: Asker, where: Where, parameters: Parameters
) -> tuple[list[tuple[str, str]], int, Bookmark | None]:
    """The parameters, the `now` and the bookmark of this page: as sent, or as the cursor remembers them."""
    cursors = [value for name, value in parameters if name == CURSOR]
    if not cursors:
        return list(parameters), archive.clock(), None
    if len(cursors) > 1 or any(name != CURSOR and name not in ALONGSIDE for name, _ in parameters):
        raise Failure(Category.INVALID, "A cursor stands alone: it holds the parameters of its search.")
    content = archive.custodian.seal.open(asker.caller, cursors[0])
    if content.get("path") != where.path:
        raise Failure(Category.INVALID, "The cursor belongs to another search.", code="value")
    return [(name, value) for name, value in content["asked"]], content["now"], content["after"]


def _count(parsed: ParsedSearch) -> int:
    return 0 if parsed.summary == "count" else parsed.count


def _total(parsed: ParsedSearch, *, first: bool) -> Literal["none", "accurate", "bounded"]:
    if parsed.summary == "count" or parsed.count == 0 or parsed.total == "accurate":
        return "accurate"
    if parsed.total == "none" or not first:
        return "none"
    return "accurate" if parsed.patient_scoped else "bounded"


def _bundle(
    archive: Archive,
    asker: Asker,
    where: Where,
    parsed: ParsedSearch,
    *,
    found: Found,
    now: int,
    counted: bool,
) -> bytes:
    url = f"{archive.base_url}/{where.path}"
    applied = encode_query(parsed.applied)
    links = [("self", f"{url}?{applied}" if applied else url)]
    if found.after is not None:
        content = {
            "path": where.path,
            "asked": [list(pair) for pair in parsed.applied],
            "now": now,
            "after": found.after,
        }
        following = f"{url}?{CURSOR}={archive.custodian.seal.seal(asker.caller, content)}"
        if len(following) > NEXT_MAX:
            text = "The search is too long to be continued page by page; ask for fewer values at once."
            raise Failure(Category.TOO_COSTLY, text)
        links.append(("next", following))
    matches = [
        Match(
            f"{archive.base_url}/{record.key}",
            reduce_body(record.body or b"{}", summary=parsed.summary, elements=parsed.elements),
        )
        for record in found.records
    ]
    matches += [
        Match(
            f"{archive.base_url}/{record.key}",
            reduce_body(record.body or b"{}", summary=parsed.summary, elements=()),
            "include",
        )
        for record in found.included
    ]
    remarks = [
        Issue("not-supported", f"The parameter '{name}' was ignored.", severity="warning") for name in parsed.ignored
    ]
    if parsed.count == 0 and found.total is None:
        remarks.append(
            Issue("suppressed", "The number is not told: it is of fewer than five patients.", severity="information")
        )
    elif counted and found.total is None:
        text = "There was no time left to count the matches: the total is left out."
        remarks.append(Issue("too-costly", text, severity="warning"))
    if found.freshness is not None:
        remarks += found.freshness.remarks
    outcome = operation_outcome(remarks) if remarks else None
    return searchset(matches, links=links, total=found.total, now=now, outcome=outcome)
