"""Every audit log of a folder, and where each ends."""

from contextlib import closing
from pathlib import Path

from fhirmedia.backends.audit_files import segments, slot_logs
from fhirmedia.backends.chained_table import CHANGES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.audit_chain import Head


def audit_logs(records: Path, audit: Path) -> list[SqliteChainedLog]:
    """The log of changes in the records' database, then the logs of disclosures in their folder."""
    return [SqliteChainedLog(CHANGES, [(1, records)]), *slot_logs(audit)]


def audit_heads(records: Path, audit: Path) -> list[Head]:
    """Where each of these logs ends at present."""
    logs = audit_logs(records, audit)
    return [_head(log.log_id, [records] if log.log_id == CHANGES else _files(audit, log.log_id)) for log in logs]


def _files(audit: Path, log_id: str) -> list[Path]:
    return [path for _, path in reversed(segments(audit, log_id))]


def _head(log_id: str, newest_first: list[Path]) -> Head:
    """A file that was only just begun holds no row yet; the one before it does."""
    head = Head(log_id, 0, bytes(32))
    for path in newest_first:
        with closing(open_reader(path)) as connection:
            head = ChangeChain(log_id).head(connection)
        if head.sequence:
            break
    return head
