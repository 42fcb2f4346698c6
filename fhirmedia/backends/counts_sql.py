"""How much there is in a folder, counted in one snapshot beside whoever writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from fhirmedia.backends.breakdown_sql import Share, shares
from fhirmedia.backends.sqlite import open_reader

_STRETCH = 20_000
_OF_STRETCH = """
    SELECT v.type, count(*), coalesce(sum(length(v.body)), 0), sum(newest AND v.method <> 'delete'),
        coalesce(sum(CASE WHEN newest THEN length(v.body) END), 0), sum(newest AND v.method = 'delete')
    FROM (SELECT r.*, NOT EXISTS (SELECT 1 FROM record_version n
            WHERE n.type = r.type AND n.id = r.id AND n.version > r.version) AS newest
        FROM record_version r WHERE r.sequence BETWEEN ? AND ?) v
    GROUP BY v.type"""
_OF_CONTENT = """
    SELECT c.content_type, count(*), coalesce(sum(b.size), 0)
    FROM binary_content c LEFT JOIN blob b ON b.digest = c.digest GROUP BY c.content_type ORDER BY c.content_type"""


@dataclass(slots=True)
class TypeCount:
    """Of one type: resources now, their bytes as JSON, deleted resources, versions in all and their bytes."""

    current: int = 0
    current_bytes: int = 0
    deleted: int = 0
    versions: int = 0
    version_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ContentCount:
    """Versions of Binaries of one media type, and the bytes they stand for, each time counted."""

    binaries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a folder holds. `objects` are distinct contents; `unclaimed` are Binaries nobody ever referred to."""

    types: dict[str, TypeCount]
    contents: dict[str, ContentCount]
    objects: int
    object_bytes: int
    unclaimed: int
    changes_audited: int


class Counting:
    """Counts stretch by stretch of the log of changes, so that progress can be shown."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader(path)
        self._connection.execute("BEGIN")
        self._types: dict[str, TypeCount] = {}

    def close(self) -> None:
        """Let go of the snapshot."""
        self._connection.close()

    @property
    def total(self) -> int:
        """How many changes there are to count."""
        return self._number("SELECT coalesce(max(sequence), 0) FROM record_version")

    def stretches(self) -> Iterator[int]:
        """Count; yields the number of changes of each stretch behind it."""
        total = self.total
        for first in range(1, total + 1, _STRETCH):
            last = min(first + _STRETCH - 1, total)
            for name, versions, size, current, current_size, deleted in self._connection.execute(
                _OF_STRETCH, (first, last)
            ):
                count = self._types.setdefault(name, TypeCount())
                count.versions += versions
                count.version_bytes += size
                count.current += current
                count.current_bytes += current_size
                count.deleted += deleted
            yield last - first + 1

    def counts(self) -> Counts:
        """The result, after the last stretch."""
        return Counts(
            types=dict(sorted(self._types.items())),
            contents={row[0]: ContentCount(*row[1:]) for row in self._connection.execute(_OF_CONTENT)},
            objects=self._number("SELECT count(*) FROM blob"),
            object_bytes=self._number("SELECT coalesce(sum(size), 0) FROM blob"),
            unclaimed=self._number("SELECT count(*) FROM unclaimed_binary"),
            changes_audited=self._number("SELECT coalesce(max(sequence), 0) FROM audit_row"),
        )

    def shares(self, by: str, *, zone: ZoneInfo) -> list[Share]:
        """How the current resources divide, in the same moment; `by` is one of BREAKDOWNS."""
        return list(shares(self._connection, by, zone=zone))

    def _number(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])
