"""history of a resource, a type or the system (FHIR R4, http 3.1.0.12)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fhirmedia.core.clock import instant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.changes import ChangeWalk
from fhirmedia.custody.paging import Found
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.r4.bundles import history as history_bundle
from fhirmedia.r4.dates import date_range
from fhirmedia.r4.query_string import encode_query

FIRST_PAGE = 2**62
DEFAULT_COUNT = 50
LARGEST_COUNT = 1000
CURSOR = "_cursor"
ALONGSIDE = frozenset({"_format", "_pretty"})
"""What may accompany a cursor."""

_INSTANT = re.compile(r"[^T]+T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]{5})")
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}\Z)")
"""A blank where the `+` of an offset belongs: that is what form decoding makes of it."""

Parameters = Sequence[tuple[str, str]]
Of = Key | str | None
"""A resource, a type, or (None) the system."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page is of; `shown` are the parameters as the self link states them, `total` what was counted before."""

    walk: ChangeWalk
    shown: Parameters
    total: int | None = None
    first: bool = True


async def history(archive: Archive, asker: Asker, of: Of, parameters: Parameters) -> bytes:
    """A Bundle of visible versions, newest first, and a link to the older ones.

    A page may hold fewer versions than were asked for and still link to the next. Raises Failure NOT_FOUND, FORBIDDEN,
    INVALID, GONE (cursor expired).
    """
    interaction = _interaction(archive, of)
    path = "/".join(part for part in (archive.base_url, str(of or ""), "_history") if part)
    asked = _asked(archive, asker, path, parameters)
    async with archive.custodian.session(asker.caller, interaction, note=asker.note) as session:
        if of is None:
            kinds = session.listable(_types(archive))
            found = await session.history(kinds, asked.walk)
        else:
            found = await session.history(of if isinstance(of, Key) else (of,), asked.walk)
    total = found.total if asked.first else asked.total
    return history_bundle(
        found.records,
        base_url=archive.base_url,
        links=_links(archive, asker, path, asked, found=found, total=total),
        total=total,
        now=archive.clock(),
    )


def _interaction(archive: Archive, of: Of) -> str:
    """The interaction; raises NOT_FOUND or NOT_ALLOWED where it is not served."""
    if of is None:
        if "history-system" not in archive.registry.system_interactions:
            raise Failure(Category.NOT_ALLOWED, "The history of everything is not served.")
        return "history-system"
    interaction, kind = ("history-instance", of.type) if isinstance(of, Key) else ("history-type", of)
    archive.registry.require(kind, interaction)
    return interaction


def _types(archive: Archive) -> list[str]:
    return [name for name, served in archive.registry.types.items() if "history-type" in served.interactions]


def _asked(archive: Archive, asker: Asker, path: str, parameters: Parameters) -> _Asked:
    """As sent, or as the cursor remembers it."""
    cursors = [value for name, value in parameters if name == CURSOR]
    if not cursors:
        return _first(archive, parameters)
    if len(cursors) > 1 or any(name != CURSOR and name not in ALONGSIDE for name, _ in parameters):
        raise Failure(Category.INVALID, "A cursor stands alone: it holds the parameters of its history.")
    content = archive.custodian.seal.open(asker.caller, cursors[0])
    if content.get("history") != path:
        raise Failure(Category.INVALID, "The cursor belongs to another request.", code="value")
    at = None if content["at"] is None else (content["at"][0], content["at"][1])
    walk = ChangeWalk(int(content["before"]), content["count"], content["since"], at)
    return _Asked(walk, [(name, value) for name, value in content["shown"]], content["total"], first=False)


def _first(archive: Archive, parameters: Parameters) -> _Asked:
    """The first page; raises INVALID for what no history has, and for what is given twice."""
    given = dict(parameters)
    if len(given) != len(parameters):
        raise Failure(Category.INVALID, "A parameter of a history is given once.", code="value")
    count, since, at = DEFAULT_COUNT, None, None
    shown: list[tuple[str, str]] = []
    for name, value in parameters:
        match name:
            case "_count":
                count = _count(value)
            case "_since":
                since = _instant(archive, value)
                shown.append((name, instant(since)))
            case "_at":
                at = _period(archive, value)
                shown.append((name, value))
            case _ if name not in ALONGSIDE:
                raise Failure(Category.INVALID, "A parameter is not one of a history.", code="not-supported")
    return _Asked(ChangeWalk(FIRST_PAGE, count, since, at), [("_count", str(count)), *shown])


def _count(value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or len(value) > 9:
        raise Failure(Category.INVALID, "_count must be a whole number.", code="value")
    return min(int(value), LARGEST_COUNT)


def _instant(archive: Archive, value: str) -> int:
    text = _LOST_PLUS.sub("+", value)
    moment = date_range(text, archive.zone) if _INSTANT.fullmatch(text) else None
    if moment is None:
        text = "_since must be an instant: a date and time to the second at least, with its offset."
        raise Failure(Category.INVALID, text, code="value")
    return moment[0]


def _period(archive: Archive, value: str) -> tuple[int, int]:
    stretch = date_range(_LOST_PLUS.sub("+", value), archive.zone)
    if stretch is None:
        raise Failure(Category.INVALID, "_at must be a date or a dateTime.", code="value")
    return stretch


def _links(
    archive: Archive, asker: Asker, path: str, asked: _Asked, *, found: Found, total: int | None
) -> list[tuple[str, str]]:
    links = [("self", f"{path}?{encode_query(tuple(asked.shown))}")]
    walk = asked.walk
    if found.after is not None and walk.count:
        following = {
            "history": path,
            "before": f"{found.after[0]:016d}",  # of one length, whatever else is in the archive
            "count": walk.count,
            "since": walk.since,
            "at": walk.at,
            "shown": list(asked.shown),
            "total": total,
        }
        links.append(("next", f"{path}?{CURSOR}={archive.custodian.seal.seal(asker.caller, following)}"))
    return links
