"""Reconciliation: whether bytes, records, facts and index agree, version by version and in constant memory."""

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

from fhirmedia.core.clock import instant
from fhirmedia.core.digests import Digest, sha256_hex
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.hindsight import Hindsight
from fhirmedia.ports.maintenance import Cure, Finding, Inspection, Part, Stored
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.records import Blob
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import Lookup, facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.values import IndexEntries

Correction = tuple[Record, IndexEntries | None]
"""A version with the facts it should have, and its index entries where they are to be written, too."""

_ASKED_AT_ONCE = 500


@dataclass(slots=True)
class Judged:
    """A number of versions or objects, what is wrong with them, and what would put it right."""

    number: int
    findings: list[Finding] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)

    def found(self, part: Part, where: str, text: str, *, cure: Cure = "none") -> None:
        """Note damage."""
        self.findings.append(Finding(part, where, text, cure=cure))


class Reconciliation:
    """Judges every version of an archive. Facts are held against what the log said when they were made."""

    def __init__(self, inspection: Inspection, *, registry: Registry, extractor: Extractor, base_url: str) -> None:
        self._inspection = inspection
        self._registry = registry
        self._extractor = extractor
        self._base_url = base_url
        self._hindsight = Hindsight(inspection)

    def versions(self) -> Iterator[Judged]:
        """Every version, a batch at a time."""
        sequence, changed_at = 0, 0
        for batch in self._inspection.versions():
            judged = Judged(len(batch))
            resources: dict[Key, tuple[Record, IndexEntries]] = {}
            for stored in batch:
                record = stored.record
                if record.sequence != sequence + 1:
                    judged.found("records", f"change {sequence + 1}", "is gone from the log of changes")
                if record.changed_at < changed_at:
                    judged.found("records", _name(record), "is older than the change before it")
                if stored.follows != record.version - 1:
                    judged.found("records", _name(record), f"follows version {stored.follows}")
                sequence, changed_at = record.sequence, record.changed_at
                entries = self._judge(stored, judged)
                if entries is not None:
                    resources[record.key] = (record, entries)
                self._hindsight.passed(record.key)
            for key in self._inspection.unlike_index(list(resources.values())):
                judged.found("index", str(key), "has other rows in the search index than it should", cure="correct")
                judged.corrections.append(resources[key])
            yield judged

    def _judge(self, stored: Stored, judged: Judged) -> IndexEntries | None:
        """Judge body and facts; the entries, if the index has to show them and they can be relied on."""
        record = stored.record
        resource = _resource_of(record, judged)
        if record.key.type == BINARY:
            if record.facts.owner is None or record.facts != Facts(owner=record.facts.owner):
                judged.found("facts", _name(record), "has not the facts of an upload")
            return None
        if record.key.type not in self._registry.types:
            judged.findings.append(Finding("records", _name(record), "is of a type that is not served", "note"))
            return None
        sequence = record.sequence
        if record.deleted:
            earlier = self._inspection.before(record.key, sequence)
            if earlier is None or earlier.body is None:
                return None
            sequence, resource = earlier.sequence, _parsed(earlier.body)
        if resource is None:
            return None
        entries = self._extractor.entries(resource, key=record.key, last_updated_ms=0)
        shown = entries if stored.newest and not record.deleted else None
        facts = self._facts_wanted(stored, resource, entries=entries, made_at=sequence, judged=judged)
        if facts is None:
            return shown
        judged.corrections.append((replace(record, facts=facts), shown))
        return None

    def _facts_wanted(
        self, stored: Stored, resource: JsonObject, *, entries: IndexEntries, made_at: int, judged: Judged
    ) -> Facts | None:
        """The facts the version should have instead; None if those it has are right.

        Right is what followed from the records of then or, since what changed elsewhere reached it only as long as it
        was the newest, of when it was replaced; or what follows from those of now.
        """
        record, asked = stored.record, set[Key]()
        look = self._hindsight.at(made_at) if record.deleted else self._hindsight.then(made_at, asked)
        then = self._facts(resource, entries, look)
        changed = record.deleted or any(self._hindsight.last_change(key) > made_at for key in asked)
        now = self._facts(resource, entries, self._hindsight.now) if changed else then
        right = [then, now]
        if stored.replaced_at is not None:
            right.append(self._facts(resource, entries, self._hindsight.at(stored.replaced_at)))
        if not stored.legible or record.facts not in right:
            judged.found("facts", _name(record), "has other facts than follow from its body", cure="correct")
            return now if stored.newest else then
        if stored.newest and record.facts != now:
            text = "has facts that wait for a change elsewhere to reach them"
            judged.findings.append(Finding("facts", _name(record), text, "note"))
            return now
        return None

    def _facts(self, resource: JsonObject, entries: IndexEntries, lookup: Lookup) -> Facts:
        return facts_of(resource, entries=entries, registry=self._registry, base_url=self._base_url, lookup=lookup)


async def judge_bytes(inspection: Inspection, objects: ObjectStore, *, reread: bool) -> AsyncIterator[Judged]:
    """Everything described, against what the object store holds; with `reread` every byte is read and hashed."""
    for batch in inspection.blobs():
        judged = Judged(len(batch))
        for blob in batch:
            size = await objects.size(blob.digest)
            if size is None:
                judged.found("bytes", blob.digest, "is not in the store")
            elif size != blob.size or (reread and not await _is_whole(objects, blob)):
                judged.found("bytes", blob.digest, "is not what was stored")
        yield judged


async def judge_leftovers(inspection: Inspection, objects: ObjectStore) -> AsyncIterator[Judged]:
    """What the object store holds and no record describes: an upload under way, or what a crash left."""
    waiting: list[Digest] = []
    async for digest in objects.digests():
        waiting.append(digest)
        if len(waiting) == _ASKED_AT_ONCE:
            yield _unknown(inspection, waiting)
            waiting = []
    yield _unknown(inspection, waiting)


def _unknown(inspection: Inspection, digests: list[Digest]) -> Judged:
    known = inspection.known(digests)
    text = "belongs to no record yet; the server removes it when it is a day old"
    findings = [Finding("bytes", digest, text, "note") for digest in digests if digest not in known]
    return Judged(len(digests), findings)


async def _is_whole(objects: ObjectStore, blob: Blob) -> bool:
    sha256, sha1, crcs = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), []
    async for run in objects.read(blob.digest):
        sha256.update(run)
        sha1.update(run)
        crcs.append(zlib.crc32(run))
    described = (sha256_hex(blob.digest), blob.sha1, blob.crcs)
    return (sha256.hexdigest(), sha1.digest(), tuple(crcs)) == described


def _resource_of(record: Record, judged: Judged) -> JsonObject | None:
    """The body as an object; None where it marks a deletion or, which is damage, is not what it should be."""
    if record.deleted:
        if record.body is not None:
            judged.found("records", _name(record), "marks a deletion and has a body")
        return None
    resource = None if record.body is None else _parsed(record.body)
    if resource is None:
        judged.found("records", _name(record), "has no body that can be read")
        return None
    meta = resource.get("meta")
    stated = (resource.get("resourceType"), resource.get("id"))
    written = (meta.get("versionId"), meta.get("lastUpdated")) if isinstance(meta, dict) else ()
    if stated != record.key or written != (str(record.version), instant(record.changed_at)):
        judged.found("records", _name(record), "has a body that says it is another")
    return resource


def _parsed(body: bytes) -> JsonObject | None:
    try:
        return parse_json(body)
    except Failure:
        return None


def _name(record: Record) -> str:
    return f"{record.key}/_history/{record.version}"
