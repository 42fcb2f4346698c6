"""Is everything there that was acknowledged, and nothing half? Looks at a data folder from outside, with its own eyes.

Nothing here goes through the code that wrote: rows are read with plain SQL, objects are hashed from their files.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from fhirmedia.app.house import CHECKPOINT_TYPE
from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.chained_table import CHANGES, SqliteChainedLog
from fhirmedia.backends.folder import Folder
from fhirmedia.core.audit_chain import GENESIS, chain_hash
from fhirmedia.core.disclosure import decode_disclosure
from fhirmedia.custody.audit_verify import verify
from fhirmedia.custody.checkpoints import read_checkpoints
from fhirmedia.issuer.jose import verify_bytes, verifying_key
from fhirmedia.issuer.minting import ensure_key
from fhirmedia.ports.disclosures import ChainedLog
from tests.faults.ledger import Shown, Told, sha256
from tests.faults.resources import OF_ONE_TRANSACTION, TOGETHER

_VERSIONS = (
    "SELECT sequence, type || '/' || id, version, changed_at, method, body FROM record_version WHERE sequence > ?"
    " ORDER BY sequence"
)
_CONTENTS = (
    "SELECT c.binary_id, c.version, c.digest, b.size, b.crcs FROM binary_content c LEFT JOIN blob b USING (digest)"
    " WHERE ? < (SELECT v.sequence FROM record_version v"
    " WHERE v.type = 'Binary' AND v.id = c.binary_id AND v.version = c.version)"
)
_HALF = {
    "a content without its version": (
        "SELECT c.binary_id FROM binary_content c LEFT JOIN record_version v"
        " ON v.type = 'Binary' AND v.id = c.binary_id AND v.version = c.version WHERE v.sequence IS NULL"
    ),
    "a claim without its version": (
        "SELECT r.binary_id FROM binary_referrer r LEFT JOIN record_version v USING (sequence) WHERE v.sequence IS NULL"
    ),
    "a claim of no Binary": (
        "SELECT r.binary_id FROM binary_referrer r LEFT JOIN binary_content c USING (binary_id)"
        " WHERE c.binary_id IS NULL"
    ),
    "an index row without its version": (
        "SELECT r.id FROM res_row r LEFT JOIN record_version v USING (sequence)"
        " WHERE v.id IS NOT r.id OR v.type IS NOT r.type OR v.method = 'delete' OR EXISTS ("
        "SELECT 1 FROM record_version n WHERE n.type = r.type AND n.id = r.id AND n.version > v.version)"
    ),
    "a record the index does not know": (
        "SELECT v.id FROM record_version v LEFT JOIN res_row r USING (sequence) WHERE v.type <> 'Binary'"
        " AND v.method <> 'delete' AND r.rid IS NULL AND NOT EXISTS ("
        "SELECT 1 FROM record_version n WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)"
    ),
    "a time that went back": (
        "SELECT a.id FROM record_version a JOIN record_version b ON b.sequence = a.sequence + 1"
        " WHERE b.changed_at < a.changed_at"
    ),
}


class Examiner:
    """Remembers what it has seen, so that the next look reads only what is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder)
        self._bodies: dict[tuple[str, int], str | None] = {}
        self._contents: dict[tuple[str, int], str] = {}
        self._newest: dict[str, int] = {}
        self._sequence = 0
        self._audited: set[tuple[str, int]] = set()
        self._shown: set[Shown] = set()
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._together: Counter[str] = Counter()

    @property
    def versions(self) -> frozenset[tuple[str, int]]:
        """Every version seen."""
        return frozenset(self._bodies)

    def look(self, told: Iterable[Told]) -> list[str]:
        """What is missing, wrong or half, as sentences; what was examined before is taken as it was."""
        found = list(self._records())
        found += self._changes()
        for log in slot_logs(self._folder.audit):
            for _, touched, request in self._rows(log, found):
                self._shown |= {Shown(request, key, version) for key, version, _ in touched}
        found += [problem for each in told if (problem := self._kept(each))]
        return found

    def look_for_halves(self) -> list[str]:
        """Rows that stand without those they belong to."""
        with closing(sqlite3.connect(self._folder.records)) as connection:
            counts = {sentence: len(connection.execute(query).fetchall()) for sentence, query in _HALF.items()}
        counts["a part of a transaction"] = sum(many != OF_ONE_TRANSACTION for many in self._together.values())
        return [f"{count} times {sentence}" for sentence, count in counts.items() if count]

    def look_everywhere(self) -> list[str]:
        """What only a full walk can show: the database's own check, stray objects, the signed audit."""
        found = []
        with closing(sqlite3.connect(self._folder.records)) as connection:
            result = connection.execute("PRAGMA integrity_check").fetchall()
            if result != [("ok",)]:
                found.append(f"the database is damaged: {result[0][0]}")
            for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                stray = f"SELECT count(*) FROM {table} WHERE rid NOT IN (SELECT rid FROM res_row)"
                if table != "res_row" and "rid" in columns and connection.execute(stray).fetchone()[0]:
                    found.append(f"{table} has rows of no resource")
        for path in self._folder.path.glob("objects/*/*/*"):
            found += ["an object is not what its name says"] * (sha256(path.read_bytes()) != path.name)
        key = verifying_key(ensure_key(self._folder.keys / "audit.pem", algorithm="ES384"))
        lines = read_checkpoints(self._folder.audit / "checkpoints.jsonl")
        logs: list[ChainedLog] = [SqliteChainedLog(CHANGES, [(1, self._folder.records)])]
        report = verify(
            lines,
            [*logs, *slot_logs(self._folder.audit)],
            genuine=lambda statement, signature: verify_bytes(signature, [key], typ=CHECKPOINT_TYPE) == statement,
        )
        return found + [f"audit: {breach.kind} at {breach.sequence} of {breach.log_id}" for breach in report.breaches]

    def _records(self) -> Iterator[str]:
        with closing(sqlite3.connect(self._folder.records)) as connection:
            before = self._sequence
            for sequence, key, version, _, method, body in connection.execute(_VERSIONS, (before,)):
                if sequence != self._sequence + 1:
                    yield f"the sequence has a gap before {sequence}"
                if version != self._newest.get(key, 0) + 1:
                    yield f"{key} has a gap before version {version}"
                if (body is None) != (method == "delete"):
                    yield f"{key} version {version} has no body, or one too many"
                if body is not None:
                    stated = json.loads(body)
                    note = stated.get("note", [{}])[0].get("text", "")
                    if version == 1 and note.startswith(TOGETHER):
                        self._together[note] += 1
                    if (f"{stated['resourceType']}/{stated['id']}", stated["meta"]["versionId"]) != (key, str(version)):
                        yield f"{key} version {version} has the body of another"
                self._sequence = sequence
                self._newest[key] = version
                self._bodies[key, version] = None if body is None else sha256(body)
            for binary_id, version, digest, size, crcs in connection.execute(_CONTENTS, (before,)):
                self._contents[f"Binary/{binary_id}", version] = digest.removeprefix("sha256:")
                yield from self._object(digest.removeprefix("sha256:"), size, crcs)

    def _object(self, name: str, size: int | None, crcs: bytes | None) -> Iterator[str]:
        path = self._folder.path / "objects" / name[:2] / name[2:4] / name
        if size is None or crcs is None:
            yield "a content without its blob"
        elif not path.exists():
            yield "a record whose bytes are not there"
        elif path.stat().st_size != size or sha256(path.read_bytes()) != name:
            yield "a record whose bytes are wrong"

    def _changes(self) -> list[str]:
        found: list[str] = []
        for _, touched, _ in self._rows(SqliteChainedLog(CHANGES, [(1, self._folder.records)]), found):
            self._audited |= {(key, version) for key, version, depth in touched if depth == "written"}
        if missing := self._bodies.keys() - self._audited:
            found.append(f"{len(missing)} versions without their audit")
        if missing := self._audited - self._bodies.keys():
            found.append(f"{len(missing)} audited versions that are not there")
        return found

    def _rows(self, log: SqliteChainedLog, found: list[str]) -> Iterator[tuple[int, list[tuple[str, int, str]], str]]:
        sequence, head = self._heads.get(log.log_id, (0, GENESIS))
        for row in log.rows(after=sequence):
            if row.sequence != sequence + 1 or row.previous != head:
                found.append(f"{log.log_id} is broken before row {row.sequence}")
            if chain_hash(log.log_id, row.sequence, row.previous, row.disclosure) != row.hash:
                found.append(f"{log.log_id} row {row.sequence} is not what its hash says")
            sequence, head = row.sequence, row.hash
            told = decode_disclosure(row.disclosure)
            touched = [(str(each.key), each.version, each.depth) for each in told.touched if each.version]
            yield sequence, touched, told.request_id
        self._heads[log.log_id] = (sequence, head)

    def _kept(self, told: Told) -> str | None:
        if isinstance(told, Shown):
            return None if told in self._shown else f"{told.key} was shown without a row in the audit"
        place = (told.key, told.version)
        if place not in self._bodies:
            return f"{told.key} version {told.version} was acknowledged and is gone"
        if told.content_sha256 is not None and self._contents.get(place) != told.content_sha256:
            return f"{told.key} version {told.version} has other bytes than were acknowledged"
        if self._bodies[place] != told.body_sha256:
            return f"{told.key} version {told.version} has another body than was acknowledged"
        return None


def examine(folder: Path, told: Iterable[Told]) -> list[str]:
    """A full examination."""
    examiner = Examiner(folder)
    try:
        return [*examiner.look(told), *examiner.look_for_halves(), *examiner.look_everywhere()]
    except (sqlite3.Error, OSError, ValueError) as broken:
        return [f"the folder cannot be read: {type(broken).__name__} {broken}"]
