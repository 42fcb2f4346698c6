"""Session: one Caller, one intent, one unit of work; the only way to read, search or write."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Action, Grant, NarrowedQuery
from fhirmedia.access.policy import OPERATOR, own_log_grant
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Depth, Outcome, Touch
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.asked_patients import asked_patients, listed, told_of
from fhirmedia.custody.binaries import require_update
from fhirmedia.custody.changes import ChangeWalk, page_of
from fhirmedia.custody.content import ContentTicket
from fhirmedia.custody.including import Including
from fhirmedia.custody.inside import Inside
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.paging import Found, Walk, bookmark
from fhirmedia.custody.proposal import Proposal, Proposals
from fhirmedia.custody.reading_ahead import read_ahead
from fhirmedia.custody.statistics import Statistics, Told, counting_for
from fhirmedia.custody.telling import RequestNote, Telling
from fhirmedia.custody.untyped import refusal, several_meant
from fhirmedia.custody.writing import Writing, Written
from fhirmedia.ports.records import Content, RecordTransaction
from fhirmedia.r4.audit_event import AUDIT_EVENT
from fhirmedia.r4.query import All, Match, Query, ReferenceTest, SortKey
from fhirmedia.r4.query_includes import Include
from fhirmedia.r4.query_sentence import in_words

if TYPE_CHECKING:
    from fhirmedia.custody.custodian import Stores

_OUTCOMES: dict[Category, Outcome] = {
    Category.INTERNAL: "12",
    Category.UNAVAILABLE: "8",
    Category.DISK_FULL: "8",
    Category.CORRUPT: "8",
}


class Session:
    """Made by the Custodian only. Every method notes what it touched; nobody calls an audit function."""

    def __init__(
        self,
        stores: "Stores",
        caller: Caller,
        grant: Grant,
        interaction: str,
        note: RequestNote,
        intake: Intake,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._caller = caller
        self._grant = grant
        self._intake = intake
        self._clock = clock
        self._touched: list[Touch] = []
        self._tickets: list[ContentTicket] = []
        self._staged: dict[str, Content] = {}
        self._audited = False
        self._is_part = False
        self._telling = Telling(stores, caller, interaction, note, clock)

    @property
    def mark(self) -> object:
        """Of the request it serves."""
        return self._telling.note.mark

    async def read(self, key: Key) -> Record:
        """The newest version. Raises Failure NOT_FOUND (absent or hidden, alike), GONE (deleted and visible before)."""
        record = await self._visible(key)
        if record.deleted:
            raise Failure(Category.GONE, "The resource was deleted.")
        self._touch(record, "opened")
        return record

    async def vread(self, key: Key, version: int) -> Record:
        """One version; both it and the newest one must be visible. Raises Failure NOT_FOUND, GONE."""
        await self._visible(key)
        record = await self._stores.records.version(key, version)
        if record is None or not self._grant.admits("read", key, record.facts):
            raise _absent()
        if record.deleted:
            raise Failure(Category.GONE, "This version marks the deletion of the resource.")
        self._touch(record, "opened")
        return record

    async def history(self, of: Key | Sequence[str], walk: ChangeWalk) -> Found:
        """Versions of a resource or of types, newest first; each and the newest one of its resource must be visible.

        The bookmark is the sequence below which the walk goes on. Raises Failure NOT_FOUND, FORBIDDEN.
        """
        if isinstance(of, Key):
            await self._visible(of)
        found = await self._stores.records.changes(page_of(self._grant, of, walk))
        records = [record for record in found.records if self._grant.admits("read", record.key, record.facts)]
        for record in records:
            self._touch(record, "opened")
        return Found(records, found.total, None if found.below is None else [found.below])

    async def look_up(self, keys: Sequence[Key]) -> list[Record]:
        """Those of the records that are there and may be read; nothing is said of the others."""
        found = await self._stores.records.read(keys)
        live = (record for record in found if record is not None and not record.deleted)
        records = [record for record in live if self._grant.admits("read", record.key, record.facts)]
        for record in records:
            self._touch(record, "listed")
        return records

    def listable(self, types: Sequence[str]) -> list[str]:
        """Those of the types whose records the Caller may both search and read."""
        allowed = self._grant.listable(types)
        return [each for each in types if each in allowed]

    async def search(
        self, query: Query, *, types: Sequence[str], walk: Walk, includes: Sequence[Include] = ()
    ) -> Found:
        """Records of one page with what goes along, and where it ended; fewer matches rather than cut includes.

        Raises Failure FORBIDDEN, TOO_COSTLY; INVALID for an id that several resources have, when a walk begins.
        """
        if walk.count == 0:
            return await self._number(query, types, walk)
        narrowed = self._grant.narrow(query, types=types)
        if walk.after is None:
            await self._require_types(query)
        found = await self._page(narrowed, types, walk)
        total, count = found.total, len(found.records)
        while (included := await self._including().along_with(found.records, includes)) is None:
            if count < 2:
                raise Failure(Category.TOO_COSTLY, "One match alone has too much to include.")
            count //= 2
            found = await self._page(narrowed, types, replace(walk, count=count, total="none"))
        for record in (*found.records, *included):
            self._touch(record, "listed")
        return Found(found.records, total, found.after, included, found.freshness)

    async def _require_types(self, query: Query) -> None:
        """Raises Failure INVALID where a reference is asked for by an id that several visible resources have."""
        found = await several_meant(self._stores, self._grant, query)
        if found is not None:
            parameter, records = found
            for record in records:
                self._touch(record, "listed")
            raise refusal(parameter, records)

    async def _number(self, query: Query, types: Sequence[str], walk: Walk) -> Found:
        """The total alone; as `statistics` tells it, where that is made for who asks."""
        if self._grant.listable(types) != frozenset(types) and self._stores.views.keys().isdisjoint(types):
            return Found((), (await self.statistics(query, {}, types=types)).total, None)
        narrowed = self._grant.narrow(query, types=types)
        await self._require_types(query)
        self._touched += await told_of(self._stores, self._grant, [query], types=types)
        return await self._page(narrowed, types, walk)

    async def statistics(self, query: Query, divided: Mapping[str, Query], *, types: Sequence[str]) -> Statistics:
        """How many records a query selects, and how those of each named query divide by the facet of its name.

        Who may not list them: no number of few Patients, and so often. Raises THROTTLED, and what `search` raises.
        """
        await self._require_types(query)
        self._touched += await told_of(self._stores, self._grant, [query, *divided.values()], types=types)
        return await counting_for(self._stores, self._caller, self._grant, self._clock).of(query, divided, types=types)

    async def explain(self, query: Query, *, types: Sequence[str], sort: Sequence[SortKey], count: int) -> Told:
        """How a search would be answered; the plan of it for operators alone. Raises Failure FORBIDDEN, TOO_COSTLY."""
        self._touched += map(listed, asked_patients(query))
        if not self._stores.views.keys().isdisjoint(types):
            return Told(in_words(self._grant.narrow(query, types=types).query), "projection", None, None)
        is_operator = OPERATOR in self._caller.roles or self._caller.system_reason is not None
        counting = counting_for(self._stores, self._caller, self._grant, self._clock)
        return await counting.explain(query, types=types, page=Walk(count, tuple(sort)).page(), is_operator=is_operator)

    async def access_log(self, patient: Key, query: Query, *, walk: Walk) -> Found:
        """AuditEvents about a Patient, for auditors and for itself. Raises Failure NOT_FOUND for anybody else."""
        types = (AUDIT_EVENT,)
        is_auditor = self._grant.listable(types) == frozenset(types)
        grant = self._grant if is_auditor else own_log_grant(self._caller, patient.id)
        if not grant.listable(types):
            self._touched.append(Touch(patient, None, "refused", ()))
            raise _absent()
        narrowed = grant.narrow(All((query, Match("patient", (ReferenceTest(patient),)))), types=types)
        hits = await self._stores.views[AUDIT_EVENT].search(narrowed, page=walk.page())
        found = await self._stores.views[AUDIT_EVENT].read(hits.keys)
        self._touched.append(Touch(patient, None, "listed", (patient.id,)))
        about = (record for record in found if record is not None and patient.id in record.facts.patients)
        told = [record for record in about if grant.admits("read", record.key, record.facts)]
        return Found(told, hits.total, bookmark(hits.next))

    def _including(self) -> Including:
        return Including(self._stores.records, self._stores.index, self._grant)

    async def _page(self, narrowed: NarrowedQuery, types: Sequence[str], walk: Walk) -> Found:
        view = self._stores.views.get(types[0]) if len(types) == 1 else None
        hits = await (view or self._stores.index).search(narrowed, page=walk.page())
        found = await (view or self._stores.records).read(hits.keys)
        live = [record for record in found if record is not None and not record.deleted]
        records = [record for record in live if self._grant.admits("read", record.key, record.facts)]
        if len(records) < len(live):
            self._stores.mismatched(len(live) - len(records))
        return Found(records, hits.total, bookmark(hits.next), freshness=hits.freshness)

    async def write(self, proposal: Proposal) -> Record:
        """Create, update or delete as proposed. Raises as `write_all`."""
        return (await self.write_all(Proposals((proposal,))))[0].record

    async def write_all(
        self, proposals: Proposals, *, then: Callable[[Inside], None] = lambda _inside: None
    ) -> list[Written]:
        """Everything proposed, or nothing, in one transaction with its audit row; what became of each, in their order.

        An update that may not be read has no body here.

        `then` runs inside the transaction, in the writer's thread, when all is written: what it raises undoes all.
        Raises what `Writing.run` raises, and Failure UNAVAILABLE or DISK_FULL.
        """
        named = (each for each in proposals.each if each.condition is None)
        self._touched += [Touch(each.key, None, "refused", ()) for each in named]
        seen: list[Record] = []
        read: list[Touch] = []

        ahead = await read_ahead(self._stores.records, self._intake.readings, self._caller, self._grant, proposals)

        def work(transaction: RecordTransaction) -> list[Written]:
            writing = Writing(
                self._intake, transaction, self._caller, self._grant, staged=self._staged, seen=seen, ahead=ahead
            )
            written = writing.run(proposals)
            then(Inside(transaction, read))
            told = self._telling.disclosure("0", (*writing.touches(written), *read))
            transaction.audit(told.encode(), self._telling.salted)
            return written

        try:
            written = await self._stores.records.write(work)
        except Failure:
            for each in seen:
                self._touch(each, "refused")
            self._touched += read
            raise
        self._audited = True
        return [self._shown(each) for each in written]

    def _shown(self, written: Written) -> Written:
        """An update keeps labels that its writer may not see: without the right to read its body is not shown."""
        record = written.record
        if record.method != "update" or self._grant.admits("read", record.key, record.facts):
            return written
        return replace(written, record=replace(record, body=None))

    async def require_update(self, proposal: Proposal) -> None:
        """Refuse the update of a Binary before its bytes are taken, where `write` would refuse it then.

        Raises Failure NOT_ALLOWED (absent or hidden, alike), FORBIDDEN, PRECONDITION, CONFLICT.
        """
        key, records = proposal.key, self._stores.records
        old = (await records.read((key,)))[0]
        seen = None if await self._vouching(key, old) is None else old
        claimed = bool(await records.referrers(key.id))
        try:
            require_update(self._caller, self._grant, proposal, old=old, seen=seen, claimed=claimed)
        except Failure:
            self._touched.append(Touch(key, None, "refused", ()))
            raise

    async def receive(self, chunks: AsyncIterator[bytes], *, content_type: str, binary_id: str) -> int:
        """Store bytes durably and stage them as this Binary for the next `write`; returns their number.

        Until then they belong to nobody, and are swept if the write does not come.
        """
        blob = await self._stores.objects.put(chunks)
        self._staged[binary_id] = Content(content_type, blob)
        return blob.size

    async def content(self, key: Key, *, depth: Depth, is_part: bool = False) -> ContentTicket:
        """Permission to stream what a Binary stands for. Raises Failure FORBIDDEN, NOT_FOUND, GONE.

        For a part of it an earlier row will do that says the same.
        """
        self._is_part = is_part
        self._grant.require("read", key.type)
        record = (await self._stores.records.read((key,)))[0]
        owner = await self._vouching(key, record)
        if record is None or owner is None:
            raise self._refuse(key, record)
        if record.deleted:
            raise Failure(Category.GONE, "The resource was deleted.")
        content = await self._stores.records.content(key.id, record.version)
        if content is None:
            raise Failure(Category.CORRUPT, "The content of the Binary is not in the store.")
        self._touched.append(Touch(key, record.version, depth, owner.facts.patients))
        if owner.key != key:
            self._touch(owner, depth)
        ticket = ContentTicket(content, record, self._stores.objects, _damaged=self._stores.damaged)
        self._tickets.append(ticket)
        return ticket

    @property
    def touched(self) -> Sequence[Touch]:
        """What was touched so far."""
        return self._touched

    def require(self, action: Action, kind: str) -> None:
        """Refuse, before anything is read, what no record could make permissible. Raises Failure FORBIDDEN."""
        self._grant.require(action, kind)

    async def disclosed(self) -> None:
        """Make what was touched durable; called by the Custodian when the unit of work ends well."""
        touched = tuple(self._touched)
        if self._tickets:
            row = await self._telling.of_content(touched, is_part=self._is_part)
            for ticket in self._tickets:
                ticket.disclosed(row, tell=partial(self._telling.sent, row, touched))
        elif not self._audited:
            await self._telling.append(self._telling.disclosure("0", touched))

    async def refused(self, failure: Failure | None) -> None:
        """Make a refusal (None: a crash) durable, with what was attempted; called by the Custodian."""
        attempted = tuple(Touch(touch.key, touch.version, "refused", touch.patients) for touch in self._touched)
        about = self._telling.note.about
        if about is not None and about not in (touch.key for touch in attempted):
            attempted = (Touch(about, None, "refused", ()), *attempted)
        if failure is None:
            await self._telling.append(self._telling.disclosure("12", attempted, issue="exception"))
        else:
            outcome = _OUTCOMES.get(failure.category, "4")
            await self._telling.append(self._telling.disclosure(outcome, attempted, issue=failure.issues[0].code))

    async def _visible(self, key: Key) -> Record:
        self._grant.require("read", key.type)
        view = self._stores.views.get(key.type)
        record = (await (view or self._stores.records).read((key,)))[0]
        if record is None or not self._grant.admits("read", key, record.facts):
            raise self._refuse(key, record)
        return record

    async def _vouching(self, key: Key, binary: Record | None) -> Record | None:
        """The record through which a Binary may be read, or the Binary itself for its uploader; None for nobody.

        It is asked for absent Binaries as for hidden ones, so that both take the same time.
        """
        referrers = await self._stores.records.referrers(key.id)
        for referrer in referrers:
            if not self._grant.admits("read", referrer.key, referrer.facts):
                continue
            newest = (await self._stores.records.read((referrer.key,)))[0] or referrer
            if not newest.deleted and self._grant.admits("read", newest.key, newest.facts):
                return referrer
        if binary is None or referrers or binary.facts.owner != self._caller.owner:
            return None
        return binary

    def _touch(self, record: Record, depth: Depth) -> None:
        self._touched.append(Touch(record.key, record.version, depth, record.facts.patients))

    def _refuse(self, key: Key, hidden: Record | None) -> Failure:
        """Absent and hidden are one to the Caller; the audit tells them apart by the patients."""
        self._touched.append(Touch(key, None, "refused", () if hidden is None else hidden.facts.patients))
        return _absent()


def _absent() -> Failure:
    return Failure(Category.NOT_FOUND, "There is no such resource.")
