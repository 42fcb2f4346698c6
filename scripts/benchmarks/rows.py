"""A row of a benchmark's table, and the telling of all of them."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """What was done, what it reached, the bar, and whether it was met (None: the row is void or has no bar)."""

    work: str
    measured: str
    bar: str
    met: bool | None

    def __str__(self) -> str:
        mark = {True: "met", False: "MISSED", None: "-"}[self.met]
        return f"| {self.work} | {self.measured} | {self.bar} | {mark} |"


def report(measured: Iterable[Row], *, json_file: str | None) -> int:
    """Print each row as it is measured, and (with a file) keep them; 0 if no bar was missed."""
    rows: list[Row] = []
    for row in measured:
        rows.append(row)
        print(row, flush=True)
    if json_file is not None:
        stated = {"load_average": os.getloadavg(), "rows": [asdict(row) for row in rows]}
        Path(json_file).write_text(json.dumps(stated, indent=1))
    return 0 if all(row.met is not False for row in rows) else 1
