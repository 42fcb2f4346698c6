"""`scripts/bench prepare`: folders of 50 000 and 1 000 000 resources, once per corpus.

The resources go through extraction, facts, index and the records' own transactions; the HTTP interface is left out,
which would take an hour. A folder of an older schema is migrated; one whose index must be built anew is made again.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.chained_table import CHANGES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.folder import Folder, folder_version, make_folder, migrate_folder, open_folder
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.migrations import SCHEMA_VERSION
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.cli.progress import Progress
from fhirmedia.core.clock import system_clock
from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key
from fhirmedia.issuer.minting import mark_demo
from fhirmedia.ports.records import Draft, RecordTransaction
from fhirmedia.r4.codec import prepare as prepare_body
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import load_registry
from scripts.benchmarks.corpus import NUMBER, corpus

PLACE = Path("bench-data")
SIZES = (50_000, 1_000_000)
BATCH = 1_000
BASE = "http://127.0.0.1:8471/fhir"
ZONE = "Europe/Stockholm"
_PIECE_BYTES = 2**22


def folder_of(size: int) -> Path:
    """Where the folder of this size is."""
    return PLACE / f"corpus-{NUMBER}-{size}"


def read_once(path: Path) -> Path:
    """The folder, its databases read from end to end: what is measured is a server, not how cold a disk is."""
    for database in path.rglob("*.db"):
        with database.open("rb", buffering=0) as file:
            while file.read(_PIECE_BYTES):
                pass
    return path


def prepare(size: int) -> Path:
    """The folder, made or migrated if need be."""
    path = folder_of(size)
    if (path / "complete").exists() and _is_up_to_date(path):
        asyncio.run(_index_audit(Folder(path)))
        return path
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    folder = make_folder(path, timezone=ZONE)
    mark_demo(path)
    started = time.monotonic()
    asyncio.run(_fill(folder, size))
    seconds = time.monotonic() - started
    asyncio.run(_index_audit(folder))
    (path / "complete").write_text(f"{size / seconds:.0f} resources/s\n")
    print(f"{path}: {size} resources in {seconds:.0f} s, {_bytes(path) / size:.0f} bytes on disk each")
    return path


def _is_up_to_date(path: Path) -> bool:
    """Whether the folder has the schema of this program, migrated to it if it was older, and a whole index."""
    folder = Folder(path)
    if folder_version(path) < int(SCHEMA_VERSION):
        with folder.hold(alone=True):
            migrate_folder(folder)
    try:
        open_folder(path, timezone=ZONE, allow_volatile=True)
    except Failure as failure:
        print(f"{path} is made again: {failure}")
        return False
    return True


async def _fill(folder: Folder, size: int) -> None:
    registry = load_registry()
    extractor = Extractor(registry, base_url=BASE, zone=ZoneInfo(ZONE))
    store = SqliteRecordStore(
        folder.records,
        lock_file=folder.write_lock,
        parts=TransactionParts(IndexWriter(), ChangeChain()),
        clock=system_clock,
        on_broken=lambda: None,
    )
    units: dict[Key, JsonObject] = {}

    def work(transaction: RecordTransaction, batch: list[JsonObject]) -> None:
        touched = []
        for resource in batch:
            key = Key(str(resource["resourceType"]), str(resource["id"]))
            if key.type == "Organization":
                units[key] = resource
            entries = extractor.entries(resource, key=key, last_updated_ms=0)
            facts = facts_of(resource, entries=entries, registry=registry, base_url=BASE, lookup=units.get)
            transaction.put(Draft(key, "create", prepare_body(resource), facts, entries))
            touched.append(Touch(key, 1, "written", facts.patients))
        patients = tuple(dict.fromkeys(patient for touch in touched for patient in touch.patients))
        row = Disclosure(
            system_clock(), "transaction", "system", "bench", "prepare", patients=patients, touched=tuple(touched)
        )
        transaction.audit(row.encode())

    with Progress(f"preparing {size:,}", size) as progress:
        for batch in _batches(corpus(size)):
            await store.write(partial(work, batch=batch))
            progress.advance(len(batch))
    await store.close()


async def _index_audit(folder: Folder) -> None:
    """Index all that audit says, which a server would else do beside what is measured."""
    index = AuditIndexSql(
        folder.audit / "index.db",
        logs=lambda: [SqliteChainedLog(CHANGES, [(1, folder.records)]), *slot_logs(folder.audit)],
        base_url=BASE,
        seconds=1,
    )
    while not index.drain(seconds=10):
        print(f"{folder.path}: what audit says is being indexed")
    await index.close()


def _batches(resources: Iterator[JsonObject]) -> Iterator[list[JsonObject]]:
    while batch := list(islice(resources, BATCH)):
        yield batch


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
