"""A row of a benchmark's table."""

from dataclasses import dataclass


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
