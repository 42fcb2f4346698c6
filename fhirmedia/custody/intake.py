"""Intake: what a write must satisfy inside the writer's transaction, and the drafts it becomes.

Everything that must be free of races is decided here: the version expected, labels, claims of Binaries, references that
decide access, the facts of the new version and whether the Caller may have it exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Action, Grant
from fhirmedia.access.policy import IMPORTER
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import Binaries
from fhirmedia.custody.claims import Claims
from fhirmedia.custody.dependents import Dependents
from fhirmedia.custody.lenders import Lenders
from fhirmedia.custody.proposal import Proposal, expect, may_create_under, method_of
from fhirmedia.custody.readings import ReadAhead, Readings
from fhirmedia.ports.records import Draft, RecordTransaction
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import access_references
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import Registry


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
        self._base_url = base_url
        self._dependents = dependents
        self._claims = Claims(base_url=base_url)
        self._lenders = Lenders()
        self.readings = Readings(registry, extractor, base_url=base_url, lenders=self._lenders)
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
        ahead: ReadAhead | None = None,
    ) -> Record:
        """Write the new version, or keep what is there where that will do; `ahead` is what was read of it before.

        Raises Failure FORBIDDEN, UNPROCESSABLE, INVALID.
        """
        key, old = step.key, step.old
        if ahead is not None and ahead.holds(step.resource, old=old, newest=neighbours.stored):
            reading = ahead.reading
        else:
            reading = self.readings.of(step.resource, key, caller, old=old, lookup=neighbours.body)
        resource = reading.resource
        if self._claims.settle(transaction, caller, grant, resource, key=key, facts=reading.facts):
            # What a claim fills in is indexed, and may be what a scope speaks of.
            reading = self.readings.again(reading, key)
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


class Neighbours:
    """What new versions refer to, each record read and parsed once; `coming` are the bodies written with them.

    `record` is asked only when those are written.
    """

    def __init__(self, transaction: RecordTransaction, coming: Mapping[Key, JsonObject], lenders: Lenders) -> None:
        self._transaction = transaction
        self._coming = coming
        self._lenders = lenders
        self._records: dict[Key, Record | None] = {}
        self._bodies: dict[Key, JsonObject | None] = {}

    def record(self, key: Key) -> Record | None:
        """The newest version of a Key."""
        if key not in self._records:
            self._records[key] = self._transaction.current(key)
        return self._records[key]

    def stored(self, key: Key) -> bytes | None:
        """The body of the newest version, which is among the lenders then; None for one that is to come."""
        if key in self._coming:
            return None
        self.body(key)
        record = self.record(key)
        return None if record is None else record.body

    def body(self, key: Key) -> JsonObject | None:
        """The parsed body of the newest version, or of the one to come; None where there is none."""
        if key in self._coming:
            return self._coming[key]
        if key not in self._bodies:
            record = self.record(key)
            self._bodies[key] = None if record is None else self._lenders.parsed(record)
        return self._bodies[key]
