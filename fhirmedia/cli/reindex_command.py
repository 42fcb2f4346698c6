"""`fhirmedia reindex`: the search index made anew from the records."""

import argparse
from zoneinfo import ZoneInfo

from fhirmedia.app import base_url_of
from fhirmedia.backends.folder import note_base_url, served_base_url
from fhirmedia.backends.reindexing import last_sequence, reindex
from fhirmedia.cli.opening import add_served_port, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.core.records import Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries

EXAMPLES = """\
Needed after FHIRMEDIA_TIMEZONE changed, after a search parameter was added, and where `fhirmedia check` says that the
index is wrong in many places. Records, facts, bytes and audit stay as they are. The server must be stopped; if the
command is interrupted, run it again before serving.

example:
  fhirmedia reindex --data /srv/fhirmedia
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    add_served_port(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuild the index with the folder held alone."""
    folder, settings = existing_folder(arguments.data, any_zone=True)
    registry = load_registry()
    known = None if settings.public_url is not None else served_base_url(folder)
    base_url = known or base_url_of(settings, folder, port=arguments.port)
    extractor = Extractor(registry, base_url=base_url, zone=ZoneInfo(settings.timezone))

    def entries_of(record: Record) -> IndexEntries | None:
        if record.key.type == BINARY or record.key.type not in registry.types or record.body is None:
            return None
        return extractor.entries(parse_json(record.body), key=record.key, last_updated_ms=0)

    with folder.hold(alone=True), Progress("indexing", last_sequence(folder.records)) as progress:
        number = reindex(folder.records, entries_of, timezone=settings.timezone, on_progress=progress.advance)
        if known is None:
            note_base_url(folder, base_url)
    print(f"{number:,} resources are in the index; dates without a time are read in {settings.timezone}")
    return 0
