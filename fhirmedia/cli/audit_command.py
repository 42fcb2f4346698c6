"""`fhirmedia audit verify`: whether the logs of who saw and changed what are as they were written."""

import argparse
import json
from collections.abc import Callable, Collection, Iterator

from fhirmedia.app.house import CHECKPOINT_TYPE
from fhirmedia.backends.audit_heads import audit_heads, audit_logs
from fhirmedia.backends.folder import Folder
from fhirmedia.cli.opening import add_json, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.core.audit_chain import ChainedRow
from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.audit_verify import Genuine, VerifyReport, verify
from fhirmedia.custody.checkpoints import read_checkpoints
from fhirmedia.issuer.jose import verify_bytes, verifying_key
from fhirmedia.issuer.minting import ensure_key
from fhirmedia.ports.disclosures import ChainedLog

EXAMPLES = """\
Every row is tied to the one before it by its hash, and signed checkpoints say where each log ended. The first row that
was edited, removed, inserted or moved is named, and so is an end that was cut off behind a checkpoint. Rows after the
last checkpoint (a minute, or a thousand rows) can be cut off unnoticed: keep copies of audit/checkpoints.jsonl
elsewhere. It runs beside a server. Exit code 0: as written; 1: not.

examples:
  fhirmedia audit verify --data /srv/fhirmedia
  fhirmedia audit verify --data /srv/fhirmedia --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("act", choices=("verify",), help="prove every row and every checkpoint")
    add_data(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify and print what was found."""
    folder, _ = existing_folder(arguments.data, any_zone=True)
    report = verify_audit(folder)
    print(json.dumps(report.as_json(), indent=2) if arguments.json else "\n".join(_lines(report)))
    return report.exit_code


def verify_audit(folder: Folder) -> VerifyReport:
    """Walk every log of a folder, with progress. Raises Failure CORRUPT if the key of the checkpoints is gone."""
    lines = read_checkpoints(folder.audit / "checkpoints.jsonl")
    logs = audit_logs(folder.records, folder.audit)
    total = sum(head.sequence for head in audit_heads(folder.records, folder.audit))
    with Progress("audit", total) as progress:
        watched = [_Watched(log, progress.advance) for log in logs]
        return verify(lines, watched, genuine=_genuine(folder) if lines else _nothing_signed)


def _nothing_signed(_statement: bytes, _signature: str) -> bool:
    return False


def _genuine(folder: Folder) -> Genuine:
    path = folder.keys / "audit.pem"
    if not path.exists():
        raise Failure(Category.CORRUPT, "keys/audit.pem is gone, so that no checkpoint can be told from a forged one.")
    keys = (verifying_key(ensure_key(path, algorithm="ES384")),)
    return lambda statement, signature: verify_bytes(signature, keys, typ=CHECKPOINT_TYPE) == statement


class _Watched:
    """A log that tells how many of its rows were walked."""

    def __init__(self, log: ChainedLog, advance: Callable[[], None]) -> None:
        self._log = log
        self._advance = advance

    @property
    def log_id(self) -> str:
        return self._log.log_id

    def rows(self, *, after: int = 0) -> Iterator[ChainedRow]:
        for row in self._log.rows(after=after):
            self._advance()
            yield row

    def pick(self, sequences: Collection[int]) -> Iterator[ChainedRow]:
        return self._log.pick(sequences)


def _lines(report: VerifyReport) -> Iterator[str]:
    for log in report.logs:
        yield f"{log.log_id}: {log.rows:,} rows sound, {log.attested:,} of them vouched for by a checkpoint"
    for breach in report.breaches:
        yield f"{breach.log_id}: row {breach.sequence:,} {breach.kind}: {breach.text}"
    verdict = "as it was written" if not report.breaches else "NOT as it was written"
    yield f"{report.checkpoints:,} checkpoints; the audit is {verdict}"
