"""`fhirmedia import`: resources from files, and the files of their Binaries; what was begun can be gone on with."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from fhirmedia.app.addresses import known_base_url
from fhirmedia.app.house import open_house
from fhirmedia.backends.folder import Folder
from fhirmedia.cli.import_sources import items_of, manifest_of, sources_of
from fhirmedia.cli.importer import import_caller
from fhirmedia.cli.options import DEFAULT_PORT, add_data, port
from fhirmedia.cli.progress import Progress
from fhirmedia.cli.serving import prepare_folder
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.settings import Settings
from fhirmedia.interactions.importing import ImportFile, ImportItem, Outcome, import_items

TOLD_AT_MOST = 1_000
"""Refusals written to the terminal."""

EXAMPLES = """\
Sources are NDJSON (a resource with its id on each line), JSON files with a Bundle (collection, searchset, batch,
transaction) or one resource, and folders of both. Ids are kept. Resources go in by transactions of some dozens, each
checked like any write; what a resource refers to may stand in the same source or be there already.

  fhirmedia import Organization.ndjson Patient.ndjson Media.ndjson --files manifest.ndjson
  fhirmedia import export-folder --outcomes outcomes.ndjson

A line of the manifest names the bytes of a Binary some Attachment refers to (paths are relative to the manifest; in a
folder it is called manifest.ndjson):

  {"binary": "photo-17", "file": "photos/17.jpg", "contentType": "image/jpeg"}

A Bundle's entries without an id get that of their urn:uuid, or one made of the Bundle's content; conditions and
deletions in a Bundle are refused: send it to the server. --outcomes writes a line for each resource:

  {"place": "Media.ndjson, line 3", "resource": "Media/m3", "outcome": "stored", "version": 1}

`outcome` is stored, unchanged (the newest version is the same, so that no other is made) or refused (with issues).
Without it only refusals are told, on standard error. An import that was interrupted, by whatever, is gone on with by
the same command: what is in stays as it is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="NDJSON, JSON or a folder of them")
    parser.add_argument("--files", type=Path, metavar="MANIFEST", help="NDJSON that names the files of Binaries")
    parser.add_argument("--outcomes", type=Path, metavar="FILE", help="write a line for each resource here")
    parser.add_argument(
        "--references", choices=("on", "off"), default="on", help="whether references that decide access are checked"
    )
    parser.add_argument(
        "--port",
        type=port,
        default=DEFAULT_PORT,
        metavar="N",
        help="port of a demo folder that was never served (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Import everything; 1 if anything was refused."""
    sources, manifests = sources_of(arguments.sources)
    if arguments.files is not None:
        if not arguments.files.is_file():
            raise Failure(Category.NOT_FOUND, f"{arguments.files} is not a file.")
        manifests.append(arguments.files)
    files = dict(row for manifest in manifests for row in manifest_of(manifest))
    folder, settings = prepare_folder(arguments.data)
    with ExitStack() as stack:
        lines = None if arguments.outcomes is None else stack.enter_context(arguments.outcomes.open("w", buffering=1))
        size = sum(source.stat().st_size for source in sources)
        with Progress("importing", total_bytes=size) as progress:
            told = Telling(progress, lines)
            try:
                asyncio.run(_bring_in(folder, settings, _items(sources, files, told), told, arguments))
            except KeyboardInterrupt:
                told.interrupted = True
    return told.end()


class Telling:
    """What became of everything: counted, shown, and written down."""

    def __init__(self, progress: Progress, lines: TextIO | None) -> None:
        self._progress = progress
        self._lines = lines
        self._counts = {"stored": 0, "unchanged": 0, "refused": 0}
        self._refusals: list[str] = []
        self.interrupted = False

    def outcome(self, outcome: Outcome) -> None:
        """Of a resource."""
        item = outcome.item
        self._tell(outcome.state, item.place, str(item.key), outcome.version, outcome.issues)
        self._progress.advance(size_bytes=item.size_bytes)

    def nothing(self, place: str, reason: str) -> None:
        """Of what is no resource to import."""
        self._tell("refused", place, None, None, (Issue("structure", reason, None),))
        self._progress.advance()

    def end(self) -> int:
        """Say how it went; the exit code. Raises KeyboardInterrupt where it was interrupted."""
        for refusal in self._refusals:
            print(refusal, file=sys.stderr)
        more = self._counts["refused"] - len(self._refusals)
        if more:
            print(f"and {more} more; --outcomes FILE keeps them all", file=sys.stderr)
        print(", ".join(f"{number} {state}" for state, number in self._counts.items()))
        if self.interrupted:
            print("interrupted; the same command goes on from here", file=sys.stderr)
            raise KeyboardInterrupt
        return 1 if self._counts["refused"] else 0

    def _tell(
        self, state: str, place: str, resource: str | None, version: int | None, issues: tuple[Issue, ...]
    ) -> None:
        self._counts[state] += 1
        if state == "refused" and len(self._refusals) < TOLD_AT_MOST:
            issue = issues[0]
            where = f" ({issue.expression})" if issue.expression else ""
            self._refusals.append(f"{place}: {resource or 'refused'}: {issue.text}{where}")
        if self._lines is not None:
            row: dict[str, object] = {"place": place, "resource": resource, "outcome": state, "version": version}
            row["issues"] = [{"code": each.code, "text": each.text, "expression": each.expression} for each in issues]
            print(json.dumps({name: value for name, value in row.items() if value}), file=self._lines)


def _items(sources: list[Path], files: dict[str, ImportFile], told: Telling) -> Iterator[ImportItem]:
    for source in sources:
        yield from items_of(source, files, told=told.nothing)


async def _bring_in(
    folder: Folder, settings: Settings, items: Iterator[ImportItem], told: Telling, arguments: argparse.Namespace
) -> None:
    house = open_house(folder, settings, base_url=known_base_url(settings, folder, port=arguments.port))
    caller = import_caller(check_references=arguments.references == "on")
    try:
        await import_items(house.archive, caller, items, done=told.outcome)
    finally:
        await house.close()
