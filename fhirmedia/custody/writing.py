"""Writing: proposals that are stored together or not at all, decided inside the writer's transaction.

FHIR R4, http 3.1.0.11.2: deletions come first, then creates, then updates; no resource is meant twice; what comes of it
does not depend on the order in which the proposals were sent. So conditions are judged once the deletions are done and
before anything else is, and asked again when everything is: by then none may have come to mean another resource.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Action, Grant
from fhirmedia.core.disclosure import Depth, Touch
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.conditions import Conditions
from fhirmedia.custody.intake import Intake, Settled, update_action
from fhirmedia.custody.proposal import Condition, Proposal, Proposals, expect, located, overtaken
from fhirmedia.custody.readings import ReadAhead
from fhirmedia.ports.records import Content, RecordTransaction
from fhirmedia.r4.extract import PATIENT
from fhirmedia.r4.links import mentioned, relinked, renaming


@dataclass(frozen=True, slots=True)
class Written:
    """The version a Proposal led to; `found` says that a condition found it and nothing was written."""

    record: Record
    found: bool = False


class Writing:
    """One use: `run`; `uploads` are then the Binaries made of staged content.

    `seen` is given the records that conditions found, whatever comes of it. `ahead` is what was read before.
    """

    def __init__(
        self,
        intake: Intake,
        transaction: RecordTransaction,
        caller: Caller,
        grant: Grant,
        *,
        staged: Mapping[str, Content],
        seen: list[Record],
        ahead: Mapping[Key, ReadAhead],
    ) -> None:
        self._intake = intake
        self._transaction = transaction
        self._caller = caller
        self._grant = grant
        self._staged = staged
        self._seen = seen
        self._ahead = ahead
        self._conditions = Conditions(transaction, grant, seen)
        self._taken: set[Key] = set()
        self._ended: list[Proposal] = []
        self._left: dict[Key, tuple[str, ...]] = {}
        self.uploads: list[Record] = []

    def run(self, proposals: Proposals) -> list[Written]:
        """What became of each, in their order.

        Raises Failure NOT_FOUND, NOT_ALLOWED, FORBIDDEN, CONFLICT, PRECONDITION, UNPROCESSABLE, INVALID.
        """
        outcomes: dict[int, Written] = {}
        deletions = [(at, self._meant(each)) for at, each in enumerate(proposals.each) if each.method == "delete"]
        for at, proposal in deletions:
            with _at(proposal):
                outcomes[at] = Written(self._delete(proposal))
        settled: list[tuple[int, Settled]] = []
        for at, proposal in enumerate(proposals.each):
            if proposal.method != "delete":
                with _at(proposal):
                    found = self._settle(proposal)
                if isinstance(found, Record):
                    outcomes[at] = Written(found, found=True)
                else:
                    settled.append((at, found))
        steps = [step for _, step in settled]
        if len(proposals.each) > 1 or proposals.references:
            steps = self._linked(proposals, steps, outcomes)
        for (at, step), record in zip(settled, self._put(steps), strict=True):
            outcomes[at] = Written(record, found=step.is_kept_by(record))
            if step.is_kept_by(record):
                self._seen.append(record)
        self._require_ended_patients_to_be_alone()
        if len(proposals.each) > 1:
            self._conditions.confirm()
        return [outcomes[at] for at in range(len(proposals.each))]

    def touches(self, written: Sequence[Written]) -> list[Touch]:
        """What audit says of it: the versions written, and what conditions led to, which its client now knows."""
        versions = (*self.uploads, *(each.record for each in written if not each.found))
        found = [each.record for each in written if each.found]
        known = {each.key for each in (*versions, *found)}
        listed = {each.key: each for each in self._seen if each.key not in known}
        depths: list[tuple[Depth, Iterable[Record]]] = [
            ("written", versions),
            ("opened", found),
            ("listed", listed.values()),
        ]
        return [
            Touch(each.key, each.version, depth, self._concerned(each)) for depth, several in depths for each in several
        ]

    def _concerned(self, record: Record) -> tuple[str, ...]:
        """The Patients of a version, and those of the one it replaces, from whom it may have been taken."""
        return tuple(dict.fromkeys((*record.facts.patients, *self._left.get(record.key, ()))))

    def _meant(self, proposal: Proposal) -> Proposal:
        """The proposed deletion, of the resource that its condition finds."""
        with _at(proposal):
            if proposal.condition is not None:
                found = self._conditions.one(proposal.condition)
                if found is None:
                    raise _nothing(proposal.condition)
                proposal = replace(proposal, key=found.key)
            self._take(proposal.key)
        return proposal

    def _delete(self, proposal: Proposal) -> Record:
        if proposal.key.type == PATIENT:
            old = self._transaction.current(proposal.key)
            if old is not None and not old.deleted:
                self._ended.append(proposal)
        if proposal.key.type == BINARY:
            return self._intake.binaries.write(self._transaction, self._caller, self._grant, proposal, content=None)
        return self._intake.delete(self._transaction, self._caller, self._grant, proposal)

    def _settle(self, proposal: Proposal) -> Settled | Record:
        """What is to be written where, and by which right; or the record that makes it needless to."""
        condition = proposal.condition
        if condition is not None:
            found = self._conditions.one(condition)
            if proposal.method == "create" and found is not None:
                self._conditions.judged(condition, found.key)
                return found
            if proposal.method == "update":
                proposal = self._conditional(proposal, condition, found)
            self._conditions.judged(condition, proposal.key)
        self._take(proposal.key)
        if proposal.key.type == BINARY:
            return Settled(
                proposal, self._transaction.current(proposal.key) if proposal.unless_same else None, "create"
            )
        old = self._transaction.current(proposal.key)
        if proposal.resource is None and old is not None:  # a patch that changes nothing
            expect(proposal, old)
            return old
        action: Action = "create"
        if proposal.method == "create" and old is not None:
            raise Failure(Category.CONFLICT, "The id is taken.")
        if proposal.method == "update" and (proposal.chosen or old is not None):
            action = update_action(self._caller, self._grant, proposal, old)
        else:
            expect(proposal, None)
        return Settled(proposal, old, action)

    def _conditional(self, proposal: Proposal, condition: Condition, found: Record | None) -> Proposal:
        """The update of the record its condition found; if it found none, of one that is new or has a chosen id."""
        if proposal.patched:
            if found is None:
                raise _nothing(condition)
            if found.key != proposal.key:
                raise overtaken()
            return proposal
        if found is not None:
            if proposal.chosen and proposal.key != found.key:
                text = "The resource must have the id of the one that the condition matches, or none."
                raise Failure(Category.INVALID, text, expression=f"{proposal.key.type}.id")
            self._conditions.names[proposal.key] = found.key
            return replace(proposal, key=found.key)
        if proposal.chosen:
            old = self._transaction.current(proposal.key)
            if old is not None and not old.deleted and self._grant.admits("read", old.key, old.facts):
                text = "The id is that of a resource which the condition does not match."
                raise Failure(Category.CONFLICT, text, expression=f"{proposal.key.type}.id")
        return proposal

    def _linked(self, proposals: Proposals, steps: list[Settled], outcomes: Mapping[int, Written]) -> list[Settled]:
        """The steps with the references among them put right: to what conditions found, and to versions to come."""
        names = self._conditions.names
        names |= {proposals.each[at].key: each.record.key for at, each in outcomes.items()}
        if proposals.references:
            coming = [self._intake.readings.entries(step.resource, step.key) for step in steps]
            # What is not written after all need not find what it would have referred to.
            needed = {key for step in steps for key in mentioned(step.resource, proposals.references)}
            for placeholder, condition in proposals.references.items():
                if placeholder in needed:
                    names[placeholder] = self._conditions.target(condition, coming, taken=self._taken)
        if not names and not proposals.versioned:
            return steps
        versions = {step.key: step.version for step in steps}
        versions |= {each.record.key: each.record.version for each in outcomes.values()}
        rename = renaming(names, versions)
        return [step.holding(relinked(step.resource, rename)) for step in steps]

    def _put(self, steps: Sequence[Settled]) -> list[Record]:
        """The versions written; what they refer to is looked at when all are there."""
        transaction, caller = self._transaction, self._caller
        self._left = {step.key: step.old.facts.patients for step in steps if step.old is not None}
        own = {step.key.id for step in steps if step.key.type == BINARY}
        may_stand = any(step.proposal.unless_same for step in steps)
        self.uploads = [
            self._intake.binaries.upload(transaction, caller, binary_id, content)
            for binary_id, content in self._staged.items()
            if binary_id not in own
            and not (may_stand and self._intake.binaries.stands(transaction, binary_id, content))
        ]
        neighbours = self._intake.neighbours(transaction, {step.key: step.resource for step in steps})
        for step in steps:
            with _at(step.proposal):
                self._intake.check_lending(transaction, caller, step)
        written: dict[Key, Record] = {}
        for step in sorted(steps, key=lambda step: step.key.type != BINARY) if own else steps:
            with _at(step.proposal):
                if step.key.type == BINARY:
                    content = self._staged.get(step.key.id)
                    written[step.key] = self._intake.binaries.write(
                        transaction, caller, self._grant, step.proposal, content=content
                    )
                else:
                    written[step.key] = self._intake.put(
                        transaction, caller, self._grant, step, neighbours=neighbours, ahead=self._ahead.get(step.key)
                    )
        for step in steps:
            if step.key.type != BINARY:
                with _at(step.proposal):
                    self._intake.check_references(neighbours, caller, self._grant, step)
        return [written[step.key] for step in steps]

    def _require_ended_patients_to_be_alone(self) -> None:
        for proposal in self._ended:
            if self._transaction.has_dependents(proposal.key.id):
                with _at(proposal):
                    text = "Other resources are about this patient; they have to go first."
                    raise Failure(Category.CONFLICT, text)

    def _take(self, key: Key) -> None:
        if key in self._taken:
            raise Failure(Category.INVALID, "Another entry of the Bundle is about the same resource.", code="duplicate")
        self._taken.add(key)


@contextmanager
def _at(proposal: Proposal) -> Iterator[None]:
    """Failures told at the place of the proposal."""
    try:
        yield
    except Failure as failure:
        if proposal.place is None:
            raise
        raise located(failure, proposal.place, proposal.key.type) from failure


def _nothing(condition: Condition) -> Failure:
    return Failure(Category.NOT_FOUND, "No resource matches the condition.", expression=condition.place)
