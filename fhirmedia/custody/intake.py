"""Intake: what a write must satisfy inside the writer's transaction, and the drafts it becomes.

Everything that must be free of races is decided here: the version expected, labels, claims of Binaries, references that
decide access, the facts of the new version and whether the Caller may have it exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Action, Grant
from fhirmedia.access.policy import IMPORTER
from fhirmedia.access.security_labels import labels_of, security_to_store
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody.binaries import Binaries
from fhirmedia.custody.claims import Claims
from fhirmedia.custody.dependents import Dependents
from fhirmedia.custody.proposal import Proposal, expect, may_create_under, method_of
from fhirmedia.custody.readings import Lenders, Reading, sequence_of
from fhirmedia.ports.records import Draft, RecordTransaction
from fhirmedia.r4.codec import FIRST, PreparedBody, prepare
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import Lookup, access_references, department_tag, facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonArray, JsonObject
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.values import IndexEntries


@dataclass(frozen=True, slots=True)
class Settled:
    """A Proposal of which it is known what it writes: over which version (None: none was there), and by which right."""

    proposal: Proposal
    old: Record | None
    action: Action

    @property
    def key(self) -> Key:
        """Of what is written."""
        return self.proposal.key

    @property
    def resource(self) -> JsonObject:
        """As proposed."""
        return self.proposal.resource or {}

    @property
    def version(self) -> int:
        """The number it will have."""
        return 1 if self.old is None else self.old.version + 1

    def is_kept_by(self, record: Record) -> bool:
        """Whether what came of it is the version that was there."""
        return self.old is not None and record.version == self.old.version

    def holding(self, resource: JsonObject) -> "Settled":
        """The same with another resource."""
        return replace(self, proposal=replace(self.proposal, resource=resource))


class Intake:
    """Turns Proposals into versions; pure but for the transaction it is handed."""

    def __init__(self, registry: Registry, extractor: Extractor, *, base_url: str, dependents: Dependents) -> None:
        self._registry = registry
        self._extractor = extractor
        self._base_url = base_url
        self._dependents = dependents
        self._claims = Claims(base_url=base_url)
        self._lenders = Lenders()
        self.binaries = Binaries()

    def neighbours(self, transaction: RecordTransaction, coming: Mapping[Key, JsonObject]) -> "Neighbours":
        """Those of the versions that are to be written now."""
        return Neighbours(transaction, coming, self._lenders)

    def put(
        self,
        transaction: RecordTransaction,
        caller: Caller,
        grant: Grant,
        step: Settled,
        *,
        neighbours: "Neighbours",
        ahead: Reading | None = None,
    ) -> Record:
        """Write the new version, or keep what is there where that will do; `ahead` is what was read of it before.

        Raises Failure FORBIDDEN, UNPROCESSABLE, INVALID.
        """
        key, old = step.key, step.old
        reading = ahead
        if reading is None or not reading.holds(step.resource, old=old, newest=neighbours.stored):
            reading = self._reading(key, step.resource, caller, old, neighbours.body)
        resource = reading.resource
        if self._claims.settle(transaction, caller, grant, resource, key=key, facts=reading.facts):
            # What a claim fills in is indexed, and may be what a scope speaks of.
            entries, facts, body = self._following(resource, key, neighbours.body)
            reading = replace(reading, entries=entries, facts=facts, body=body)
        if not grant.admits(step.action, key, reading.facts):
            raise Failure(Category.FORBIDDEN, "The token does not allow a resource about this patient or unit.")
        if step.proposal.unless_same and old is not None and reading.body.says_what(old):
            return old
        method = method_of(step.proposal, old)
        record = transaction.put(Draft(key, method, reading.body, reading.facts, reading.entries))
        self._dependents.changed(transaction, key, old=None if old is None else old.body, new=resource)
        return record

    def check_references(self, neighbours: "Neighbours", caller: Caller, grant: Grant, step: Settled) -> None:
        """Raise UNPROCESSABLE where a reference that decides access leads nowhere, all that is coming being there."""
        if IMPORTER in caller.roles:
            return
        issues = []
        references = access_references(step.resource, registry=self._registry, base_url=self._base_url)
        for expression, target in references:
            if target == step.key:
                continue
            found = neighbours.record(target)
            admitted = found is not None and (grant.admits("read", target, found.facts) or _own(caller, target))
            if found is None or found.deleted or not admitted:
                text = "The reference does not lead to a resource that may be read."
                issues.append(Issue("not-found", text, expression))
        if issues:
            raise Failure(Category.UNPROCESSABLE, issues=issues)

    def check_lending(self, transaction: RecordTransaction, caller: Caller, step: Settled) -> None:
        """Raise FORBIDDEN where it would move records that others wrote; asked before anything is written."""
        old = None if step.old is None else step.old.body
        self._dependents.require_still(transaction, caller, step.key, old=old, new=step.resource)

    def delete(self, transaction: RecordTransaction, caller: Caller, grant: Grant, proposal: Proposal) -> Record:
        """The version that marks the end; whether anything is about a deleted Patient is asked later.

        Raises Failure NOT_FOUND, FORBIDDEN, PRECONDITION.
        """
        key = proposal.key
        old = transaction.current(key)
        if old is None or not _known(grant, "delete", old):
            raise Failure(Category.NOT_FOUND, "There is no such resource.")
        expect(proposal, old)
        if not grant.admits("delete", key, old.facts):
            raise Failure(Category.FORBIDDEN, "The resource may be read but not deleted.")
        if old.deleted:
            return old
        self._dependents.require_still(transaction, caller, key, old=old.body, new=None)
        record = transaction.put(Draft(key, "delete", None, old.facts, None))
        self._dependents.changed(transaction, key, old=old.body, new=None)
        return record

    def entries(self, resource: JsonObject, key: Key) -> IndexEntries:
        """What the index will know of a resource."""
        return self._extractor.entries(resource, key=key, last_updated_ms=0)

    def read_ahead(self, key: Key, resource: JsonObject, caller: Caller, *, old: Record | None) -> Reading | None:
        """The Reading as far as it is known before the transaction; None where a record it needs is not.

        Raises Failure FORBIDDEN as `put` will.
        """
        lent: dict[Key, int] = {}

        def lookup(lender: Key) -> JsonObject:
            known = self._lenders.known(lender)
            if known is None:
                raise _UnknownLender
            lent[lender] = known[0]
            return known[1]

        try:
            return replace(self._reading(key, resource, caller, old, lookup), lent=lent)
        except _UnknownLender:
            return None

    def _reading(self, key: Key, given: JsonObject, caller: Caller, old: Record | None, lookup: Lookup) -> Reading:
        resource = self._with_meta(given, caller, old, lookup)
        entries, facts, body = self._following(resource, key, lookup)
        return Reading(given, sequence_of(old), {}, resource, entries, facts, body)

    def _following(self, resource: JsonObject, key: Key, lookup: Lookup) -> tuple[IndexEntries, Facts, PreparedBody]:
        """What the index and access decisions know of a resource, and its JSON."""
        entries = self.entries(resource, key)
        facts = facts_of(resource, entries=entries, registry=self._registry, base_url=self._base_url, lookup=lookup)
        return entries, facts, prepare(resource)

    def _with_meta(self, resource: JsonObject, caller: Caller, old: Record | None, lookup: Lookup) -> JsonObject:
        """In the order it is stored in, since words are indexed in the order of the text."""
        given = resource.get("meta")
        meta = dict(given) if isinstance(given, dict) else {}
        sent = meta.get("security")
        stored = _security(old) if old is not None else None
        security = security_to_store(stored, sent if isinstance(sent, list) else None, caller=caller)
        if security:
            meta["security"] = security
        else:
            meta.pop("security", None)
        tag = department_tag(resource, registry=self._registry, base_url=self._base_url, lookup=lookup)
        if tag is not None:
            present = meta.get("tag")
            meta["tag"] = [*(present if isinstance(present, list) else []), tag]
        whole = resource | {"meta": meta}
        return {name: whole[name] for name in FIRST if name in whole} | whole


def update_action(caller: Caller, grant: Grant, proposal: Proposal, old: Record | None) -> Action:
    """Update what is visible; create under an id only inside the Caller's prefixes. Absent and hidden look alike."""
    key = proposal.key
    if old is None and may_create_under(caller, key.id):
        expect(proposal, None)
        return "create"
    if old is None or not _known(grant, "update", old):
        raise Failure(Category.NOT_ALLOWED, "There is no such resource, and this client may not choose its id.")
    expect(proposal, old)
    if not grant.admits("update", key, old.facts):
        raise Failure(Category.FORBIDDEN, "The resource may be read but not changed.")
    return "update"


def _known(grant: Grant, action: Action, record: Record) -> bool:
    """Whether the Caller may learn that the record is there: it may read it, or do to it what it came for."""
    return grant.admits("read", record.key, record.facts) or grant.admits(action, record.key, record.facts)


def _own(caller: Caller, target: Key) -> bool:
    """Whether the token itself names the target: its patient, or one of its units."""
    return target in {Key("Patient", caller.patient or "")} | {  # type-name: what a token can be bound to
        Key("Organization", unit)
        for unit in caller.units  # type-name: what a token can be bound to
    }


def _security(record: Record) -> JsonArray:
    """The labels in force: those of the body, or of the last one there was, which facts keep past a deletion."""
    if record.body is None:
        return labels_of(record.facts)
    meta = parse_json(record.body).get("meta")
    security = meta.get("security") if isinstance(meta, dict) else None
    return security if isinstance(security, list) else []


class _UnknownLender(LookupError):
    """A record that lends facts has to be read first, which is done in the transaction."""


class Neighbours:
    """What new versions refer to, each record read and parsed once; `coming` are the bodies written with them.

    `record` is asked only when those are written.
    """

    def __init__(self, transaction: RecordTransaction, coming: Mapping[Key, JsonObject], lenders: Lenders) -> None:
        self._transaction = transaction
        self._coming = coming
        self._lenders = lenders
        self._records: dict[Key, Record | None] = {}

    def record(self, key: Key) -> Record | None:
        """The newest version of a Key."""
        if key not in self._records:
            self._records[key] = self._transaction.current(key)
        return self._records[key]

    def stored(self, key: Key) -> Record | None:
        """The newest version where that is the one that counts; None for what is to be written now."""
        return None if key in self._coming else self.record(key)

    def body(self, key: Key) -> JsonObject | None:
        """The parsed body of the newest version, or of the one to come; None where there is none."""
        if key in self._coming:
            return self._coming[key]
        record = self.record(key)
        return None if record is None else self._lenders.body(record)
