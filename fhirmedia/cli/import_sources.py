"""What is to be imported, read from files: NDJSON, Bundles, single resources, folders of them, a manifest of files."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fhirmedia.backends.retrieving import CHECKED_BYTES
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.interactions.importing import ImportFile, ImportItem
from fhirmedia.r4.checker import check
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.links import relinked

MANIFEST = "manifest.ndjson"
"""In a folder: which file is which Binary."""

_LOOKED_UP = ("Organization", "Patient", "Encounter")  # type-name: what access decisions look up comes first
_BUNDLE = "Bundle"  # type-name: an envelope, whose entries are imported
_BUNDLES = frozenset({"collection", "searchset", "batch", "transaction"})
_BINARY_URL = re.compile(rb'"Binary/([A-Za-z0-9.-]{1,64})"')
_URN = "urn:uuid:"

Told = Callable[[str, str], None]
"""Called with the place and the reason of something that is no resource to import."""


def sources_of(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files of resources, those of a folder in an order that keeps references, and the manifests found there.

    Raises Failure NOT_FOUND for a path where nothing is.
    """
    sources: list[Path] = []
    manifests: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix in {".ndjson", ".jsonl", ".json"})
            sources += sorted((each for each in inside if each.name != MANIFEST), key=_rank)
            manifests += (each for each in inside if each.name == MANIFEST)
        elif path.is_file():
            sources.append(path)
        else:
            raise Failure(Category.NOT_FOUND, f"{path} is not a file or folder.")
    return sources, manifests


def manifest_of(path: Path) -> Iterator[tuple[str, ImportFile]]:
    """The files a manifest names, by the id of their Binary. Raises Failure INVALID with the line at fault."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            source = path.parent / row["file"]
            file = ImportFile(row["binary"], row["contentType"], partial(_chunks, source))
        except (ValueError, KeyError, TypeError):
            text = f"{path.name}, line {number}: not a row with binary, file and contentType."
            raise Failure(Category.INVALID, text) from None
        if not source.is_file():
            raise Failure(Category.INVALID, f"{path.name}, line {number}: there is no such file.")
        yield row["binary"], file


def items_of(source: Path, files: Mapping[str, ImportFile], *, told: Told) -> Iterator[ImportItem]:
    """Every resource of a file in its order; `told` hears of what is none. A file of `.json` is read whole."""
    if source.suffix == ".json":
        yield from _Reading(f"{source.name}", source.read_bytes(), files, told).items()
        return
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield from _Reading(f"{source.name}, line {number}", line.strip(), files, told).items()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One JSON text and where it stands."""

    place: str
    content: bytes
    files: Mapping[str, ImportFile]
    told: Told

    def items(self) -> Iterator[ImportItem]:
        try:
            resource = parse_json(self.content)
        except Failure as failure:
            self.told(self.place, failure.issues[0].text)
            return
        if resource.get("resourceType") == _BUNDLE:
            yield from self._entries(resource)
        else:
            yield from self._item(resource, self.place, len(self.content), self.content)

    def _item(self, resource: JsonObject, place: str, size: int, content: bytes) -> Iterator[ImportItem]:
        kind, identity = resource.get("resourceType"), resource.get("id")
        if not isinstance(kind, str) or not isinstance(identity, str):
            self.told(place, "This is not a resource with resourceType and id.")
            return
        named = dict.fromkeys(name.decode() for name in _BINARY_URL.findall(content)) if self.files else ()
        files = tuple(self.files[name] for name in named if name in self.files)
        yield ImportItem(Key(kind, identity), resource, files, place, size)

    def _entries(self, bundle: JsonObject) -> Iterator[ImportItem]:
        if bundle.get("type") not in _BUNDLES:
            self.told(self.place, f"A Bundle must be one of {', '.join(sorted(_BUNDLES))} to be imported.")
            return
        given = bundle.get("entry")
        entries = [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
        found: list[tuple[str, JsonObject]] = []
        names: dict[str, str] = {}
        digest = hashlib.sha256(self.content).digest()
        for number, entry in enumerate(entries):
            place = f"{self.place}, entry {number}"
            resource = entry.get("resource")
            fault = _fault_of(entry)
            if fault is not None or not isinstance(resource, dict):
                self.told(place, fault or "The entry has no resource.")
                continue
            if "id" not in resource:
                resource = {**resource, "id": _id_of(entry, digest, number)}
            url = entry.get("fullUrl")
            if isinstance(url, str) and isinstance(resource.get("resourceType"), str):
                names[url] = f"{resource['resourceType']}/{resource['id']}"
            found.append((place, resource))
        size = len(self.content) // max(len(found), 1)
        for place, resource in found:
            linked = _linked(resource, names)
            yield from self._item(linked, place, size, dump(linked) if self.files else b"")


def _id_of(entry: JsonObject, digest: bytes, number: int) -> str:
    """The same each time the same Bundle is read: that of its `urn:uuid`, or one made of its content's digest."""
    url = entry.get("fullUrl")
    if isinstance(url, str) and url.startswith(_URN) and FHIR_ID.match(url.removeprefix(_URN)):
        return url.removeprefix(_URN)
    return hashlib.sha256(digest + number.to_bytes(4)).hexdigest()[:32]


def _fault_of(entry: JsonObject) -> str | None:
    """Why an entry is no resource to store; the server itself carries such requests out."""
    request = entry.get("request")
    if not isinstance(request, dict):
        return None
    if request.get("method") not in {"PUT", "POST"}:
        return "Only resources are imported; other requests of a Bundle have to be sent to the server."
    url = request.get("url")
    if "ifNoneExist" in request or "ifMatch" in request or (isinstance(url, str) and "?" in url):
        return "A condition is not judged by an import; the Bundle has to be sent to the server."
    return None


def _linked(resource: JsonObject, names: Mapping[str, str]) -> JsonObject:
    """The resource with links to entries of its Bundle as relative ones; as it is where it is not sound anyway."""
    kind = resource.get("resourceType")
    if not names or not isinstance(kind, str) or check(resource, type=kind):
        return resource

    def rename(text: str, _is_reference: bool) -> str | None:  # noqa: FBT001 (the form of every Rename)
        return names.get(text)

    return relinked(resource, rename)


def _rank(source: Path) -> int:
    """By the type of the first resource in the file, or in its first Bundle."""
    with source.open("rb") as content:
        head = content.read(4096).decode("utf-8", "replace")
    named = re.findall(r'"resourceType"\s*:\s*"([A-Za-z]+)"', head)
    kind = next((name for name in named if name != _BUNDLE), "")
    return _LOOKED_UP.index(kind) if kind in _LOOKED_UP else len(_LOOKED_UP)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHECKED_BYTES):
            yield chunk
