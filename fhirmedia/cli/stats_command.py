"""`fhirmedia stats`: how many resources and bytes there are, by type."""

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo

from fhirmedia.backends.breakdown_sql import BREAKDOWNS, Share
from fhirmedia.backends.counts_sql import Counting, Counts
from fhirmedia.cli.opening import existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.cli.stats_csv import SEPARATORS, write_csv
from fhirmedia.core.errors import Category, Failure

EXAMPLES = """\
It runs beside a server and shows one moment. JSON counts the stored text of resources, the media types count what
Binaries stand for; the same content stored twice is kept once, and counted once in the last lines.

--csv writes one table of the columns
  by              what the line is about: type, media type, different contents, uploads nobody referred to,
                  audited changes, department, kind, year
  type            the resource type
  system, value   the code of the department or kind with its system; the year of `when` in FHIRMEDIA_TIMEZONE; the
                  media type
  number          current resources (media type: versions of Binaries)
  json_bytes      their stored text
  content_bytes   the contents they name
  deleted, versions, all_json_bytes   deleted resources, versions of all, their stored text
Lines of different `by` count the same resources again: filter by it before adding up. A resource of two departments is
in both lines, one without in none. No line names a patient, but a line may count one only: treat it as patient data.

examples:
  fhirmedia stats --data /srv/fhirmedia
  fhirmedia stats --data /srv/fhirmedia --json | jq .types.Media.current
  fhirmedia stats --data /srv/fhirmedia --csv > stats.csv
  fhirmedia stats --data /srv/fhirmedia --csv stats.csv --separator semicolon    (for Excel in Swedish or Norwegian)
"""

STANDARD_OUTPUT = "-"

_UNITS = ("B", "kB", "MB", "GB", "TB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
    forms.add_argument(
        "--csv",
        nargs="?",
        const=STANDARD_OUTPUT,
        metavar="FILE",
        help="write a table for spreadsheets, to FILE if named",
    )
    parser.add_argument(
        "--separator", choices=SEPARATORS, default="comma", help="between the columns of --csv (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Count and print."""
    folder, settings = existing_folder(arguments.data, any_zone=True)
    shares: list[Share] = []
    with closing(Counting(folder.records)) as counting:
        with Progress("counting", counting.total) as progress:
            for number in counting.stretches():
                progress.advance(number)
            counts = counting.counts()
        if arguments.csv is not None:
            with Progress("dividing", len(BREAKDOWNS)) as progress:
                for by in BREAKDOWNS:
                    shares += counting.shares(by, zone=ZoneInfo(settings.timezone))
                    progress.advance()
    if arguments.csv is not None:
        _write(arguments.csv, counts, shares, separator=SEPARATORS[arguments.separator])
        return 0
    print(json.dumps(asdict(counts), indent=2) if arguments.json else _table(counts))
    return 0


def _write(name: str, counts: Counts, shares: list[Share], *, separator: str) -> None:
    """To a file with the mark by which spreadsheets know UTF-8, or to standard output as it is."""
    if name == STANDARD_OUTPUT:
        write_csv(sys.stdout, counts, shares, separator=separator)
        return
    try:
        with Path(name).open("w", encoding="utf-8-sig", newline="") as file:
            write_csv(file, counts, shares, separator=separator)
    except OSError as error:
        raise Failure(Category.INVALID, f"{name} cannot be written: {error.strerror}.") from None


def _table(counts: Counts) -> str:
    rows: list[tuple[str, ...]] = [("type", "current", "JSON", "deleted", "versions", "JSON of all")]
    rows += [
        (
            name,
            f"{count.current:,}",
            _size(count.current_bytes),
            f"{count.deleted:,}",
            f"{count.versions:,}",
            _size(count.version_bytes),
        )
        for name, count in counts.types.items()
    ]
    media: list[tuple[str, ...]] = [("media type", "Binaries", "bytes")]
    media += [(name, f"{count.binaries:,}", _size(count.bytes)) for name, count in counts.contents.items()]
    rest = (
        f"{counts.objects:,} different contents, {_size(counts.object_bytes)}",
        f"{counts.unclaimed:,} uploads that no record ever referred to",
        f"{counts.changes_audited:,} audited changes",
    )
    return "\n".join((*_aligned(rows), "", *_aligned(media), "", *rest))


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths, range(len(row)))).rstrip() for row in rows]


def _padded(cell: str, width: int, place: int) -> str:
    """Names to the left, numbers to the right."""
    return cell.ljust(width) if place == 0 else cell.rjust(width)


def _size(number: int) -> str:
    """Bytes in decimal units, three digits at least."""
    size = float(number)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError
