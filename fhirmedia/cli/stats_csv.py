"""What `fhirmedia stats` counts, as rows that a spreadsheet opens."""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from fhirmedia.backends.breakdown_sql import Share
from fhirmedia.backends.counts_sql import Counts

COLUMNS = (
    "by", "type", "system", "value", "number", "json_bytes", "content_bytes", "deleted", "versions", "all_json_bytes",
)  # fmt: skip
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}

Cell = str | int | None
Row = dict[str, Cell]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(file: TextIO, counts: Counts, shares: Iterable[Share], *, separator: str) -> None:
    """RFC 4180 with a line of names, numbers bare; what a spreadsheet would take for a formula begins with `'`."""
    writer = csv.DictWriter(file, COLUMNS, delimiter=separator, lineterminator="\r\n")
    writer.writeheader()
    for row in (*_counted(counts), *_divided(shares)):
        writer.writerow({name: _plain(cell) for name, cell in row.items()})


def _counted(counts: Counts) -> Iterator[Row]:
    for name, of_type in counts.types.items():
        yield {
            "by": "type",
            "type": name,
            "number": of_type.current,
            "json_bytes": of_type.current_bytes,
            "deleted": of_type.deleted,
            "versions": of_type.versions,
            "all_json_bytes": of_type.version_bytes,
        }
    for media_type, content in counts.contents.items():
        yield {"by": "media type", "value": media_type, "number": content.binaries, "content_bytes": content.bytes}
    yield {"by": "different contents", "number": counts.objects, "content_bytes": counts.object_bytes}
    yield {"by": "uploads nobody referred to", "number": counts.unclaimed}
    yield {"by": "audited changes", "number": counts.changes_audited}


def _divided(shares: Iterable[Share]) -> Iterator[Row]:
    for share in shares:
        yield {
            "by": share.by,
            "type": share.type,
            "system": share.system,
            "value": share.value,
            "number": share.resources,
            "json_bytes": share.json_bytes,
            "content_bytes": share.content_bytes,
        }


def _plain(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
