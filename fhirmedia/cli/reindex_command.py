"""`fhirmedia reindex`: the search index made anew from the records."""

import argparse
from zoneinfo import ZoneInfo

from fhirmedia.app.addresses import base_url_of
from fhirmedia.app.house import registry_of
from fhirmedia.backends.folder import note_base_url, served_base_url
from fhirmedia.backends.following.generations import distrust
from fhirmedia.backends.reindexing import last_sequence, reindex
from fhirmedia.cli.filling import fill
from fhirmedia.cli.opening import add_served_port, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.core.clock import system_clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.values import IndexEntries

EXAMPLES = """\
Needed after FHIRMEDIA_TIMEZONE or FHIRMEDIA_LANGUAGE changed, after an upgrade that says so, and where `fhirmedia
check` says that the index is wrong in many places. Records, facts, bytes and audit stay as they are. The server must be
stopped; if the command is interrupted, run it again before serving.

With --parameter the server goes on serving. X is a file with a FHIR SearchParameter of your own; its definition is
kept in the data folder, and whatever is written from then on is indexed by it. What is stored already follows, newest
definitions replacing older ones of the same code. When all is done, not before, the parameter is in the
CapabilityStatement and searches take it. Stopped in between (Ctrl-C, kill), the same command, or --parameter CODE,
goes on from there.

The steps are for a search index beside the database (FHIRMEDIA_INDEX). Servers fill one that is missing by themselves;
`fill` makes another beside it, in which `switch` lets searches be answered. Servers go on all the while, changes reach
both, and a `fill` that was stopped goes on where it was. `fill TYPE` writes the documents of one type anew, in place.

With --drop-fts, and the server stopped, the database gives up the words of what that index holds, and the room they
take, once the index is found to be complete. From then on words across patients are found by the index alone: while it
is away, such a search is answered 503. Run again if it is interrupted. `fhirmedia reindex` brings the words back.

examples:
  fhirmedia reindex --data /srv/fhirmedia
  fhirmedia reindex fill --data /srv/fhirmedia
  fhirmedia reindex fill Media --data /srv/fhirmedia
  fhirmedia reindex verify --data /srv/fhirmedia
  fhirmedia reindex switch --data /srv/fhirmedia
  fhirmedia reindex --data /srv/fhirmedia --drop-fts
  fhirmedia reindex --data /srv/fhirmedia --parameter photographer.json

photographer.json (each part of the expression begins with its type):
  {"resourceType": "SearchParameter", "id": "photographer", "url": "https://example.org/SearchParameter/photographer",
   "name": "Photographer", "status": "active", "description": "Who took the picture.", "code": "photographer",
   "base": ["Media"], "type": "reference", "expression": "Media.operator", "target": ["Practitioner"]}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "step", nargs="?", choices=("fill", "verify", "switch", "rollback", "status"),
        help="with FHIRMEDIA_INDEX: fill another search index beside running servers, hold it against the records, let "
        "it answer, go back to the one before, tell how it stands",
    )  # fmt: skip
    parser.add_argument(
        "type", nargs="?", help="fill: write the documents of this type anew, into the one that answers"
    )
    add_data(parser)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--parameter", metavar="X", help="index by one more search parameter, beside a running server")
    scope.add_argument("--drop-fts", action="store_true", help="leave words to the search index beside the database")
    add_served_port(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuild the index with the folder held alone, or fill in one parameter."""
    if arguments.type is not None and arguments.step != "fill":
        raise Failure(
            Category.INVALID, f"A type is filled, and nothing else is done to it: {arguments.type} is too much."
        )
    if arguments.step is not None and arguments.drop_fts:
        raise Failure(Category.INVALID, "Words are dropped in a run of its own: leave out the step, or --drop-fts.")
    if arguments.step is not None:
        from fhirmedia.cli import reindex_steps

        return reindex_steps.run(arguments)
    if arguments.drop_fts:
        from fhirmedia.cli import dropping

        return dropping.drop(arguments)
    if arguments.parameter is not None:
        return fill(arguments)
    folder, settings = existing_folder(arguments.data, any_zone=True)
    registry = registry_of(folder)
    known = None if settings.public_url is not None else served_base_url(folder)
    base_url = known or base_url_of(settings, folder, port=arguments.port)
    extractor = Extractor(registry, base_url=base_url, zone=ZoneInfo(settings.timezone), language=settings.language)

    def entries_of(record: Record) -> IndexEntries | None:
        if record.key.type == BINARY or record.key.type not in registry.types or record.body is None:
            return None
        return extractor.entries(parse_json(record.body), key=record.key, last_updated_ms=0)

    with folder.hold(alone=True), Progress("indexing", last_sequence(folder.records)) as progress:
        number = reindex(
            folder.records,
            entries_of,
            timezone=settings.timezone,
            language=settings.language,
            on_progress=progress.advance,
        )
        distrust(folder.records, now=system_clock())
        if known is None:
            note_base_url(folder, base_url)
    print(
        f"{number:,} resources are in the index; dates without a time are read in {settings.timezone}, "
        f"names sorted by the alphabet of {settings.language}"
    )
    return 0
