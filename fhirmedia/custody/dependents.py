"""Dependents: records whose facts follow from an Encounter or an Organization, made anew when one of those changes.

Few are made anew in the transaction of the change itself. More wait in a queue that the same transaction writes, and
are worked off in batches of the same size. As long as records wait, what they were and what they will be must both
admit a Caller; since neither is known for all of them, `access.unsettled` shows them to nobody whom those facts bind.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import grant_for
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.changes import Reach
from fhirmedia.ports.facts_queue import Waiting
from fhirmedia.ports.index import Page
from fhirmedia.ports.records import RecordTransaction
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import LENDERS, facts_of, lent_by
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query import Match, ReferenceTest
from fhirmedia.r4.registry import Registry

AT_ONCE = 25
"""Records made anew in one transaction; each costs the writer about a millisecond."""

_CHILDREN_AT_ONCE = 500

log = logging.getLogger("fhirmedia")


class Dependents:
    """Makes facts anew, inside the writer's transaction."""

    def __init__(self, registry: Registry, extractor: Extractor, *, base_url: str, clock: Clock) -> None:
        self._registry = registry
        self._extractor = extractor
        self._base_url = base_url
        self._clock = clock

    def changed(self, transaction: RecordTransaction, key: Key, *, old: bytes | None, new: JsonObject | None) -> None:
        """Told of a version just written, with the body before it: see to the records that depend on it."""
        if key.type not in LENDERS:
            return
        before = None if old is None else parse_json(old)
        if self._lent(key, before) == self._lent(key, new):
            return
        for reach in self._reaches(transaction, key):
            after = self._renew(transaction, Waiting(reach))
            if after is not None:
                transaction.defer(after)

    def require_still(
        self, transaction: RecordTransaction, caller: Caller, key: Key, *, old: bytes | None, new: JsonObject | None
    ) -> None:
        """Raise FORBIDDEN where a Caller bound to units or an enterprise would move records of an Organization.

        What is above an Organization says whose enterprise the records of its units are in, so only a Caller whom that
        does not bind may change it, or delete the Organization (`new` is None), once there are such records.
        """
        is_bound = caller.enterprise is not None or not caller.all_units
        if LENDERS.get(key.type) is None or caller.system_reason is not None or not is_bound:
            return
        before = None if old is None else parse_json(old)
        if new is not None and self._lent(key, before) == self._lent(key, new):
            return
        if any(transaction.newest_with(Waiting(reach), limit=1) for reach in self._reaches(transaction, key)):
            text = "Records are in units at or below this one: the token does not allow to move or delete it."
            raise Failure(Category.FORBIDDEN, text, expression=None if new is None else f"{key.type}.partOf")

    def work_off(self, transaction: RecordTransaction) -> bool:
        """Make one batch of what waits anew; whether there may be more."""
        waiting = transaction.first_waiting()
        if waiting is None:
            return False
        after = self._renew(transaction, waiting)
        if after is None:
            transaction.finish(waiting.reach)
        else:
            transaction.defer(after)
        return True

    def _lent(self, key: Key, resource: JsonObject | None) -> object:
        return None if resource is None else lent_by(resource, registry=self._registry, base_url=self._base_url)

    def _reaches(self, transaction: RecordTransaction, key: Key) -> Iterator[Reach]:
        """By which facts the records that depend on a Key are found."""
        parameter = LENDERS[key.type]
        if parameter is None:
            yield Reach("encounter", str(key))
            return
        below, known = [key], {key}
        while below:
            unit = below.pop()
            yield Reach("unit", unit.id)
            children = [each for each in self._children(transaction, unit, parameter) if each not in known]
            below += children
            known.update(children)

    def _children(self, transaction: RecordTransaction, parent: Key, parameter: str) -> list[Key]:
        caller = Caller.system("facts")  # unscoped: whom a record belongs to does not depend on who asks
        narrowed = grant_for(caller, self._registry).narrow(
            Match(parameter, (ReferenceTest(parent),)), types=(parent.type,)
        )
        found: list[Key] = []
        page: Page | None = Page(_CHILDREN_AT_ONCE)
        while page is not None:
            hits = transaction.search(narrowed, page=page)
            found += hits.keys
            page = None if hits.next is None else replace(page, after=hits.next)
        return found

    def _renew(self, transaction: RecordTransaction, waiting: Waiting) -> Waiting | None:
        """Make a batch anew; what is still to be done, if anything is."""
        batch = transaction.newest_with(waiting, limit=AT_ONCE + 1)
        bodies = _Bodies(transaction)
        renewed = [record for record in batch[:AT_ONCE] if self._renew_one(transaction, record, bodies)]
        if renewed:
            self._audit(transaction, renewed)
        if len(batch) <= AT_ONCE:
            return None
        last = batch[AT_ONCE - 1]
        return Waiting(waiting.reach, (last.key.type, last.sequence))

    def _renew_one(self, transaction: RecordTransaction, record: Record, bodies: "_Bodies") -> bool:
        if record.key.type not in self._registry.types or transaction.current(record.key) != record:
            return False  # its type is not served any more, or a later version is about to be written
        content = transaction.last_body(record.key) if record.deleted else record.body
        try:
            resource = parse_json(content or b"")
            entries = self._extractor.entries(resource, key=record.key, last_updated_ms=0)
            facts = facts_of(
                resource, entries=entries, registry=self._registry, base_url=self._base_url, lookup=bodies.body
            )
        except Failure:  # it is damaged, which `check` tells; the others need not wait for it
            log.error("facts of a damaged %s could not be made anew", record.key.type)
            return False
        if facts == record.facts:
            return False
        transaction.correct(replace(record, facts=facts), None if record.deleted else entries)
        return True

    def _audit(self, transaction: RecordTransaction, records: Sequence[Record]) -> None:
        caller = Caller.system("facts that follow from a change elsewhere")  # unscoped: see `_children`
        disclosure = Disclosure(
            time=self._clock(),
            interaction="facts",
            subject=caller.subject,
            client=caller.client,
            request_id=f"facts-{new_id()}",
            reason=caller.system_reason,
            touched=tuple(Touch(record.key, record.version, "written") for record in records),
        )
        transaction.audit(disclosure.encode())


class _Bodies:
    """Newest bodies, each parsed once for a batch."""

    def __init__(self, transaction: RecordTransaction) -> None:
        self._transaction = transaction
        self._known: dict[Key, JsonObject | None] = {}

    def body(self, key: Key) -> JsonObject | None:
        """The parsed body of the newest version; None where there is none."""
        if key not in self._known:
            record = self._transaction.current(key)
            self._known[key] = None if record is None or record.body is None else parse_json(record.body)
        return self._known[key]
