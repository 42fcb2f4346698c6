"""Putting the demo's region into its folder through the interactions a client uses, and a tour of what is there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from pathlib import Path

from fhirmedia.app.addresses import base_url_of
from fhirmedia.app.house import open_house
from fhirmedia.backends.folder import Folder
from fhirmedia.cli.importer import import_caller
from fhirmedia.cli.progress import Progress
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.core.settings import Settings
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.region import generate
from fhirmedia.demo.workshop import produced
from fhirmedia.interactions.importing import ImportFile, ImportItem, Outcome, import_items
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import parse_json

SEED = 20261031
LOADED = "demo.json"
"""Written when all is in: what the tour shows."""


def load_demo(folder: Folder, settings: Settings, *, port: int, region: Iterable[DemoItem] | None = None) -> None:
    """Write the region (None: the whole of it) unless it is there; what an interrupted run left is gone on with."""
    if (folder.path / LOADED).exists():
        return
    items = sorted(generate(SEED) if region is None else region, key=_rank)
    refused: list[Outcome] = []

    async def bring_in() -> None:
        house = open_house(folder, settings, base_url=base_url_of(settings, folder, port=port))
        with Progress("making the demo", len(items)) as progress:

            def done(outcome: Outcome) -> None:
                progress.advance()
                if outcome.issues:
                    refused.append(outcome)

            caller = import_caller(check_references=True)
            try:
                await import_items(house.archive, caller, _import_items(items), done=done)
            finally:
                await house.close()

    asyncio.run(bring_in())
    if refused:
        first = refused[0]
        text = f"{len(refused)} demo items were refused, {first.item.key} first: {first.issues[0].text}"
        raise Failure(Category.INTERNAL, text)
    (folder.path / LOADED).write_text(json.dumps(_sights(items)))


def tour(base_url: str, path: Path, *, port: int) -> str:
    """Commands to paste, each showing one thing."""
    sights = json.loads((path / LOADED).read_text())
    token = f".venv/bin/fhirmedia token --data {path} --port {port}"
    patient, photo, film = sights["patient"], sights["photo"], sights["film"]
    return f"""
Paste these into another terminal (no curl? they are plain HTTP: any client will do):

  # a token for staff of every unit; `{token} --help` shows narrower ones
  TOKEN=$({token} --scope 'user/*.rs')

  # one patient's timeline across all departments, newest first
  curl -s -H "Authorization: Bearer $TOKEN" \\
    '{base_url}/?_type=Media,DocumentReference,ImagingStudy,DiagnosticReport&patient={patient}&_sort=-when&_count=5&_pretty=true'

  # the bytes of one photograph
  curl -s -H "Authorization: Bearer $TOKEN" {base_url}/Binary/{photo} -o photo.jpg

  # one second somewhere in a film: a range of its bytes
  curl -s -H "Authorization: Bearer $TOKEN" -H 'Range: bytes=10000-29999' {base_url}/Binary/{film} -o part.mp4

  # who has looked at this patient
  AUDITOR=$({token} --scope 'user/AuditEvent.rs' --role auditor)
  curl -s -H "Authorization: Bearer $AUDITOR" '{base_url}/AuditEvent?patient={patient}&_count=5&_pretty=true'

Ctrl-C stops the server; the folder {path} keeps everything.
"""


_ORDER = (
    "Organization",
    "Practitioner",
    "Patient",
    "Encounter",
    "ImagingStudy",
    "Media",
)  # type-name: who is referred to first


def _rank(item: DemoItem) -> int:
    kind = item.resource["resourceType"]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _import_items(items: list[DemoItem]) -> Iterator[ImportItem]:
    for item, content in produced(items):
        files: tuple[ImportFile, ...] = ()
        if content is not None and item.binary_id is not None and item.content_type is not None:
            files = (ImportFile(item.binary_id, item.content_type, partial(_once, content)),)
        key = Key(str(item.resource["resourceType"]), str(item.resource["id"]))
        yield ImportItem(key, parse_json(dump(item.resource)), files)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _sights(items: list[DemoItem]) -> dict[str, str]:
    def first(content_type: str) -> str:
        return next(item.binary_id for item in items if item.content_type == content_type and item.binary_id)

    return {"patient": "demo-0001", "photo": first("image/jpeg"), "film": first("video/mp4")}
