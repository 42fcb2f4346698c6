"""Bundles joined from stored bytes: no resource is parsed or dumped to put it into one (FHIR R4, Bundle)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.clock import instant
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Method, Record
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonArray, JsonObject

_STATUS: Mapping[Method, str] = {
    "create": "201 Created",
    "update-as-create": "201 Created",
    "update": "200 OK",
    "delete": "204 No Content",
}

_MODE = {mode: b',"search":{"mode":"%s"}}' % mode.encode() for mode in ("match", "include")}


@dataclass(frozen=True, slots=True)
class Match:
    """One entry of a searchset: the absolute URL of the resource, its JSON, and why it is there."""

    url: str
    body: bytes
    mode: Literal["match", "include"] = "match"


class OpenBundle:
    """A Bundle written as it comes, so that none of it has to be kept; its links stand at its end."""

    def __init__(self, kind: str, *, total: int | None, now: int) -> None:
        self._head: bytes | None = dump(_head(kind, total=total, now=now))[:-1] + b',"entry":['
        self._empty = self._head[: -len(b',"entry":[')]

    def entries(self, matches: Iterable[Match]) -> bytes:
        """These entries, after those before; nothing where there are none."""
        written = b",".join(map(_entry, matches))
        if not written:
            return b""
        opening, self._head = (b"," if self._head is None else self._head), None
        return opening + written

    def end(self, links: Sequence[tuple[str, str]]) -> bytes:
        """The rest of the Bundle."""
        opened = b"]" if self._head is None else self._empty
        return opened + b',"link":' + dump(_links(links)) + b"}"


def searchset(
    matches: Iterable[Match],
    *,
    links: Sequence[tuple[str, str]],
    total: int | None,
    now: int,
    outcome: JsonObject | None = None,
) -> bytes:
    """A searchset; `outcome` becomes a last entry of search mode `outcome`."""
    entries = list(map(_entry, matches))
    if outcome is not None:
        entries.append(b'{"resource":' + dump(outcome) + b',"search":{"mode":"outcome"}}')
    return _bundle("searchset", entries, links=links, total=total, now=now)


def history(
    records: Iterable[Record], *, base_url: str, links: Sequence[tuple[str, str]], total: int | None, now: int
) -> bytes:
    """A history: newest version first, each with the request and response that made it."""
    entries = []
    for record in records:
        response: JsonObject = {
            "status": _STATUS[record.method],
            "etag": f'W/"{record.version}"',
            "lastModified": instant(record.changed_at),
        }
        resource = b"" if record.body is None else b',"resource":' + record.body
        entries.append(
            b'{"fullUrl":'
            + dump(f"{base_url}/{record.key}")
            + resource
            + b',"request":'
            + dump(_request(record))
            + b',"response":'
            + dump(response)
            + b"}"
        )
    return _bundle("history", entries, links=links, total=total, now=now)


def _entry(match: Match) -> bytes:
    return b'{"fullUrl":' + dump(match.url) + b',"resource":' + match.body + _MODE[match.mode]


def _request(record: Record) -> JsonObject:
    """What made a version."""
    if record.method == "create":
        return {"method": "POST", "url": record.key.type}
    return {"method": "DELETE" if record.deleted else "PUT", "url": str(record.key)}


def _bundle(kind: str, entries: list[bytes], *, links: Sequence[tuple[str, str]], total: int | None, now: int) -> bytes:
    head = _head(kind, total=total, now=now)
    head["link"] = _links(links)
    opened = dump(head)[:-1]
    return opened + b',"entry":[' + b",".join(entries) + b"]}" if entries else opened + b"}"


def _head(kind: str, *, total: int | None, now: int) -> JsonObject:
    head: JsonObject = {
        "resourceType": "Bundle",
        "id": new_id(),
        "meta": {"lastUpdated": instant(now)},
        "type": kind,
    }
    if total is not None:
        head["total"] = total
    return head


def _links(links: Sequence[tuple[str, str]]) -> JsonArray:
    return [{"relation": relation, "url": url} for relation, url in links]
