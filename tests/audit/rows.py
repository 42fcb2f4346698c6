"""What the audit logs of a folder hold, read as an auditor's tool reads them."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.chained_table import CHANGES, SqliteChainedLog
from fhirmedia.backends.folder import Folder
from fhirmedia.core.disclosure import Disclosure, decode_disclosure


def disclosures(path: Path) -> Iterator[Disclosure]:
    """Every row of every log of a data folder, changes first."""
    folder = Folder(path)
    for log in (SqliteChainedLog(CHANGES, [(1, folder.records)]), *slot_logs(folder.audit)):
        for row in log.rows():
            yield decode_disclosure(row.disclosure)


def by_request(path: Path) -> dict[str, list[Disclosure]]:
    """The same by X-Request-Id."""
    found = defaultdict(list)
    for disclosure in disclosures(path):
        found[disclosure.request_id].append(disclosure)
    return found
