"""Settings become stores, stores a Custodian, the Custodian an Archive; the only builder of them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from fhirmedia.backends.added_sql import AddedParameters, added_in
from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.audit_upkeep import AuditUpkeep, changes_head
from fhirmedia.backends.chained_table import CHANGES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.definitions_memory import DefinitionsInMemory
from fhirmedia.backends.disclosures_sql import DisclosureLogSql
from fhirmedia.backends.facts_queue_sql import PendingFacts
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.following.assembly import Following, follow, leave
from fhirmedia.backends.following.outbox_rows import OutboxRows
from fhirmedia.backends.following.waking import Bell
from fhirmedia.backends.index_facets import SqlIndexCounts
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.backends.objects_files import FileObjectStore
from fhirmedia.backends.quota_sql import QuotaSql
from fhirmedia.backends.record_texts import RecordTexts
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.backends.text_sandbox import TextSandbox
from fhirmedia.core.clock import Clock, system_clock
from fhirmedia.core.settings import Settings
from fhirmedia.custody.checkpoints import Checkpoints
from fhirmedia.custody.cursors import CursorSeal, load_cursor_keys
from fhirmedia.custody.custodian import Custodian, Stores
from fhirmedia.custody.dependents import Dependents
from fhirmedia.custody.facts_job import FactsJob
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.mending import Mender
from fhirmedia.custody.sweeping import Locks, Sweeper
from fhirmedia.custody.texts_job import TextsJob
from fhirmedia.interactions.archive import Archive
from fhirmedia.issuer.jose import sign_bytes
from fhirmedia.issuer.minting import ensure_key
from fhirmedia.ports.disclosures import Witness
from fhirmedia.ports.index import IndexCounts, SearchIndex
from fhirmedia.ports.views import RecordView
from fhirmedia.r4.added import Latecomers, load_added, with_added
from fhirmedia.r4.audit_event import AUDIT_EVENT
from fhirmedia.r4.conformance import definition_types, definitions
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import Registry, load_registry

DISK_BROKEN_EXIT = 70
CHECKPOINT_TYPE = "fhirmedia-checkpoint"


@dataclass(frozen=True, slots=True)
class House:
    """An Archive on an open folder, what works behind it, and what has to be closed after it."""

    archive: Archive
    disclosures: DisclosureLogSql
    sweeper: Sweeper
    facts_job: FactsJob
    texts_job: TextsJob
    mender: Mender
    added: AddedParameters
    following: Following | None
    leave: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


def registry_of(folder: Folder) -> Registry:
    """What the program serves on this folder. Raises Failure INVALID, UNAVAILABLE."""
    own = load_registry()
    return with_added(own, load_added(added_in(folder.records), own))


def open_house(
    folder: Folder,
    settings: Settings,
    *,
    base_url: str,
    clock: Clock = system_clock,
    alone: bool = False,
    beside: bool = False,
    mismatched: Callable[[int], None] = lambda _number: None,
    text_read: Callable[[str, str], None] = lambda _format, _outcome: None,
    content_damaged: Callable[[], None] = lambda: None,
) -> House:
    """Everything an interaction needs, on this folder, which is held open beside other processes or `alone`.

    `beside`: searches go to the index beside the database, too, if one is set. `mismatched` is told how many hits of a
    search the re-check refused, `text_read` what became of each text, `content_damaged` of each content that is not
    what was stored. Raises Failure CONFLICT where somebody else's
    hold forbids it.
    """
    own, known = load_registry(), added_in(folder.records)
    registry = with_added(own, load_added(known, own))
    zone = ZoneInfo(settings.timezone)
    extractor = Extractor(registry, base_url=base_url, zone=zone, language=settings.language)
    held = folder.hold(alone=alone)
    latecomers = partial(Latecomers, own, known, base_url=base_url, zone=zone, language=settings.language)
    texts = RecordTexts(extractor, latecomers())
    objects = FileObjectStore(folder.path, on_broken=_end_process)
    records = SqliteRecordStore(
        folder.records,
        lock_file=folder.write_lock,
        parts=TransactionParts(
            IndexWriter(latecomers(), texts=texts),
            ChangeChain(),
            OutboxRows(Bell(folder.index_bell).ring),
        ),
        clock=clock,
        on_broken=_end_process,
    )
    index = SqlSearchIndex(folder.records, budget_s=settings.search_seconds, texts=texts)
    counts = SqlIndexCounts(index, zone=zone)
    pending = PendingFacts(folder.records)
    witness = witness_of(folder, clock)
    disclosures = DisclosureLogSql(folder.audit, witness=witness, on_broken=_end_process)
    events = AuditIndexSql(
        folder.audit / "index.db",
        logs=lambda: [SqliteChainedLog(CHANGES, [(1, folder.records)]), *slot_logs(folder.audit)],
        base_url=base_url,
        seconds=settings.search_seconds,
    )
    upkeep = AuditUpkeep(
        folder.audit / "upkeep.lock", head=lambda: changes_head(folder.records), witness=witness, index=events
    )
    added = AddedParameters(folder.records, registry, own=own, known=known)
    described = DefinitionsInMemory(partial(definitions, registry), extractor, edition=lambda: registry.added)
    views: dict[str, RecordView] = {AUDIT_EVENT: events, **dict.fromkeys(definition_types(registry), described)}
    following = None
    if beside and settings.index is not None:
        # Of what the program brings: documents know no parameter that was added since.
        following = follow(
            folder,
            settings.index,
            records,
            own,
            base_url=base_url,
            zone=zone,
            language=settings.language,
            clock=clock,
        )
    asked: tuple[SearchIndex, IndexCounts] = (index, counts)
    if following is not None:
        patience_s = settings.search_seconds / 2
        routed = following.routed(index, counts, patience_s=patience_s, late=partial(_codes_added, registry))
        asked = (routed, routed)
    quota = QuotaSql(folder.run / "quota.db", per_hour=settings.counts_per_hour)
    stores = Stores(
        records,
        objects,
        *asked,
        disclosures,
        views,
        quota,
        mismatched=mismatched,
        damaged=content_damaged,
        pending=pending,
    )
    dependents = Dependents(registry, extractor, base_url=base_url, clock=clock)
    custodian = Custodian(
        stores,
        registry=registry,
        intake=Intake(registry, extractor, base_url=base_url, dependents=dependents),
        seal=CursorSeal(load_cursor_keys(folder.keys), clock=clock),
        clock=clock,
    )

    archive = Archive(custodian, registry, settings, base_url, zone, clock)

    async def close() -> None:
        await archive.sandbox.close()
        await texts_job.close()
        if following is not None:
            await following.close()
        await custodian.close()
        await asyncio.to_thread(upkeep.close)
        await index.close()
        await events.close()
        pending.close()
        added.close()
        quota.close()
        await objects.close()
        held.close()

    sweeper = Sweeper(
        records,
        objects,
        locks=Locks(folder.take_sweeper, folder.sweep_turn),
        clock=clock,
        unclaimed_hours=settings.unclaimed_hours,
    )
    facts_job = FactsJob(records, dependents, pending=pending)
    texts_job = TextsJob(
        records, objects, TextSandbox(), extractor, take=folder.take_reader, told=text_read, damaged=content_damaged
    )
    mender = Mender(records, clock=clock)
    left = partial(leave, records, folder.records, clock=clock)
    return House(archive, disclosures, sweeper, facts_job, texts_job, mender, added, following, left, close)


def _codes_added(registry: Registry) -> frozenset[str]:
    return frozenset(str(each["code"]) for each in registry.added)


def witness_of(folder: Folder, clock: Clock) -> Witness:
    """Signs where the audit logs of a folder end, with a key used for nothing else."""
    key = ensure_key(folder.keys / "audit.pem", algorithm="ES384")
    return Checkpoints(
        folder.audit / "checkpoints.jsonl",
        sign=lambda statement: sign_bytes(statement, key, typ=CHECKPOINT_TYPE),
        clock=clock,
        on_broken=_end_process,
    )


def _end_process() -> None:
    """A sync failed: nothing this process believes about its files can be trusted, so it ends and starts anew."""
    os.write(2, b"fhirmedia: the storage failed to make data durable; the process ends and has to be started again\n")
    os._exit(DISK_BROKEN_EXIT)
