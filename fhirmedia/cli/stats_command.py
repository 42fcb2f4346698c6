"""`fhirmedia stats`: how many resources and bytes there are, by type."""

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from fhirmedia.backends.counts_sql import Counting, Counts
from fhirmedia.cli.opening import add_json, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress

EXAMPLES = """\
It runs beside a server and shows one moment. JSON counts the stored text of resources, the media types count what
Binaries stand for; the same content stored twice is kept once, and counted once in the last lines.

examples:
  fhirmedia stats --data /srv/fhirmedia
  fhirmedia stats --data /srv/fhirmedia --json | jq .types.Media.current
"""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Count and print."""
    folder, _ = existing_folder(arguments.data, any_zone=True)
    with closing(Counting(folder.records)) as counting, Progress("counting", counting.total) as progress:
        for number in counting.stretches():
            progress.advance(number)
        counts = counting.counts()
    print(json.dumps(asdict(counts), indent=2) if arguments.json else _table(counts))
    return 0


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
