"""`fhirmedia import`: NDJSON files of resources, and the files their Binaries stand for."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from fhirmedia.app import base_url_of, open_house
from fhirmedia.backends.objects_files import CHECKED_BYTES
from fhirmedia.cli.importer import import_caller
from fhirmedia.cli.options import DEFAULT_PORT, add_data, port
from fhirmedia.cli.progress import Progress
from fhirmedia.cli.serving import prepare_folder
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.interactions.importing import ImportFile, ImportItem, Outcome, import_items

EXAMPLES = """\
each line of an NDJSON file is one resource with its id; order the files so that what is referred to comes first:
  fhirmedia import Organization.ndjson Patient.ndjson Media.ndjson --files manifest.ndjson
a line of the manifest names the bytes of a Binary some Attachment refers to (paths are relative to the manifest):
  {"binary": "photo-17", "file": "photos/17.jpg", "contentType": "image/jpeg"}
"""


_BINARY_URL = re.compile(rb'"Binary/([A-Za-z0-9.-]{1,64})"')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE", help="NDJSON of resources")
    parser.add_argument("--files", type=Path, metavar="MANIFEST", help="NDJSON that names the files of Binaries")
    parser.add_argument(
        "--references", choices=("on", "off"), default="on", help="whether references that decide access are checked"
    )
    parser.add_argument(
        "--port",
        type=port,
        default=DEFAULT_PORT,
        metavar="N",
        help="port a demo folder is served on (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Import everything; 1 if anything was refused."""
    for source in [*arguments.sources, *([arguments.files] if arguments.files else [])]:
        if not source.is_file():
            raise Failure(Category.NOT_FOUND, f"{source} is not a file.")
    folder, settings = prepare_folder(arguments.data)
    files = dict(_manifest(arguments.files)) if arguments.files else {}
    total = sum(1 for _ in _lines(arguments.sources))
    refused: list[Outcome] = []

    async def bring_in() -> None:
        house = open_house(folder, settings, base_url=base_url_of(settings, folder, port=arguments.port))
        with Progress("importing", total) as progress:

            def done(outcome: Outcome) -> None:
                progress.advance()
                if outcome.issues:
                    refused.append(outcome)

            caller = import_caller(check_references=arguments.references == "on")
            try:
                await import_items(house.archive, caller, _items(arguments.sources, files), done=done)
            finally:
                await house.close()

    asyncio.run(bring_in())
    for outcome in refused:
        issue = outcome.issues[0]
        print(f"{outcome.key}: {issue.text}" + (f" ({issue.expression})" if issue.expression else ""), file=sys.stderr)
    print(f"{total - len(refused)} stored, {len(refused)} refused")
    return 1 if refused else 0


def _items(sources: list[Path], files: dict[str, ImportFile]) -> Iterator[ImportItem]:
    for place, line in _lines(sources):
        yield _item(line, place, files)


def _lines(sources: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Every line that is not blank, with its place for messages."""
    for source in sources:
        with source.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{source.name}, line {number}", line.strip()


def _item(line: bytes, place: str, files: dict[str, ImportFile]) -> ImportItem:
    try:
        resource = json.loads(line)
        key = Key(resource["resourceType"], resource["id"])
    except (ValueError, KeyError, TypeError):
        raise Failure(Category.INVALID, f"{place}: not a resource with resourceType and id.") from None
    named = dict.fromkeys(name.decode() for name in _BINARY_URL.findall(line))
    return ImportItem(key, line, tuple(files[name] for name in named if name in files))


def _manifest(path: Path) -> Iterator[tuple[str, ImportFile]]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
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


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHECKED_BYTES):
            yield chunk
