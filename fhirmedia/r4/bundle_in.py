"""The envelope of a batch or transaction (R4, Bundle), checked by hand; its resources are checked elsewhere.

An entry says what it wants as a request would: a method, an address below our base, conditions, a resource.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import unquote

from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.r4.checker import check
from fhirmedia.r4.json_types import Json, JsonObject

BUNDLE = "Bundle"  # type-name: the envelope of what is sent together
MAX_ENTRIES = 10_000

EntryMethod = Literal["DELETE", "POST", "PUT", "PATCH", "GET", "HEAD"]
_METHODS: dict[str, EntryMethod] = {method: method for method in get_args(EntryMethod)}
_WITH_RESOURCE = frozenset({"POST", "PUT", "PATCH"})
_VERSION = re.compile(r'\s*(?:\*|(?:W/)?"?([0-9]{1,10})"?)\s*', re.ASCII).fullmatch
_CONDITIONS: dict[str, frozenset[str]] = {
    "ifMatch": frozenset({"PUT", "PATCH", "DELETE"}),
    "ifNoneMatch": frozenset({"GET", "HEAD"}),
    "ifModifiedSince": frozenset({"GET", "HEAD"}),
    "ifNoneExist": frozenset({"POST"}),
}


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One entry: `path` are the segments of its address below our base, `query` is still encoded.

    `resource` is unchecked; `expected` is the version that ifMatch names. `place` is its FHIRPath.
    """

    index: int
    method: EntryMethod
    path: tuple[str, ...]
    query: str | None = None
    resource: JsonObject | None = None
    full_url: str | None = None
    expected: int | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_none_exist: str | None = None

    @property
    def condition(self) -> str:
        """What it searches for: the query of its address, or ifNoneExist; still encoded, empty where it does not."""
        return self.query or (self.if_none_exist or "").removeprefix("?")

    @property
    def place(self) -> str:
        """As errors name it."""
        return place_of(self.index)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch or transaction: an entry each, or the Failure of one that asks for nothing that can be done."""

    type: Literal["batch", "transaction"]
    entries: Sequence[BundleEntry | Failure]


def place_of(index: int) -> str:
    """FHIRPath of an entry."""
    return f"{BUNDLE}.entry[{index}]"


def read_envelope(bundle: JsonObject, *, base_url: str) -> Envelope:
    """The entries of a Bundle that was posted to the base; `base_url` has no slash at its end.

    Raises Failure INVALID with every issue of the envelope, TOO_LARGE above MAX_ENTRIES.
    """
    entries = bundle.get("entry", [])
    if isinstance(entries, list) and len(entries) > MAX_ENTRIES:
        raise Failure(
            Category.TOO_LARGE, f"A Bundle holds at most {MAX_ENTRIES} entries.", expression=f"{BUNDLE}.entry"
        )
    bare = {**bundle, "entry": [_without_resource(each) for each in entries]} if isinstance(entries, list) else bundle
    issues = check(bare if entries else {name: bare[name] for name in bare if name != "entry"}, type=BUNDLE)
    match bundle.get("type"):
        case "batch":
            kind: Literal["batch", "transaction"] = "batch"
        case "transaction":
            kind = "transaction"
        case _ if not issues:
            raise Failure(Category.INVALID, "Bundle.type must be batch or transaction.", expression=f"{BUNDLE}.type")
        case _:
            kind = "batch"
    if issues or not isinstance(entries, list):
        raise Failure(Category.INVALID, issues=issues)
    read = [_entry(index, each, base_url) for index, each in enumerate(entries) if isinstance(each, dict)]
    urls = Counter(each.full_url for each in read if isinstance(each, BundleEntry) and each.full_url is not None)
    for at, each in enumerate(read):
        if isinstance(each, BundleEntry) and urls[each.full_url or ""] > 1:
            read[at] = _refused(at, "The fullUrl is that of another entry, too.", "fullUrl")
    return Envelope(kind, read)


def _without_resource(entry: Json) -> Json:
    """An entry of nothing but a resource gets something in its place: that it asks for nothing is found out later."""
    if not isinstance(entry, dict):
        return entry
    return {name: entry[name] for name in entry if name != "resource"} or {"fullUrl": "urn:entry"}


def _entry(index: int, entry: JsonObject, base_url: str) -> BundleEntry | Failure:
    """One entry, of which the checker has said that its elements are sound."""
    request, resource = entry.get("request"), entry.get("resource")
    if not isinstance(request, dict):
        return _refused(index, "An entry of a batch or transaction needs a request.", "request")
    method, url = _METHODS.get(str(request.get("method"))), request.get("url")
    if method is None:
        return _refused(index, "The request needs a method.", "request.method")
    if not isinstance(url, str):
        return _refused(index, "The request needs a url.", "request.url")
    path, mark, query = url.removeprefix(f"{base_url}/").partition("?")
    if ":" in path.partition("/")[0] or "#" in url:
        return _refused(index, "The url must be relative, or below the base of this server.", "request.url")
    if method in _WITH_RESOURCE and not isinstance(resource, dict):
        return _refused(index, f"{method} needs a resource.", "resource")
    if method not in _WITH_RESOURCE and resource is not None:
        return _refused(index, f"{method} takes no resource.", "resource")
    for name, methods in _CONDITIONS.items():
        if name in request and method not in methods:
            return _refused(index, f"{name} does not go with {method}.", f"request.{name}")
    version = _VERSION(str(request.get("ifMatch", "*")))
    if version is None:
        return _refused(index, 'ifMatch must be a version as W/"3".', "request.ifMatch")
    full_url = entry.get("fullUrl")
    if isinstance(full_url, str) and ":" not in full_url:
        return _refused(index, "A fullUrl is an absolute URL or a urn.", "fullUrl")
    return BundleEntry(
        index,
        method,
        tuple(unquote(step) for step in path.strip("/").split("/")) if path.strip("/") else (),
        query if mark else None,
        resource if isinstance(resource, dict) else None,
        full_url if isinstance(full_url, str) else None,
        int(version[1]) if version[1] else None,
        *(_text(request.get(name)) for name in _CONDITIONS if name != "ifMatch"),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _refused(index: int, text: str, element: str) -> Failure:
    return Failure(Category.INVALID, issues=[Issue("invalid", text, f"{place_of(index)}.{element}")])
