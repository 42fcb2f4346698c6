"""The Custodian: the only holder of the stores, and the only maker of Sessions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from types import TracebackType

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.access.policy import grant_for
from fhirmedia.access.unsettled import Unsettled
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.behind import Behind
from fhirmedia.custody.citing import Citations
from fhirmedia.custody.cursors import CursorSeal
from fhirmedia.custody.inside import CountsInside, Inside, RecordsInside, views_inside
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.session import Session
from fhirmedia.custody.telling import RequestNote
from fhirmedia.ports.changes import Reach
from fhirmedia.ports.disclosures import DisclosureLog
from fhirmedia.ports.index import IndexCounts, SearchIndex
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.quotas import Quota
from fhirmedia.ports.records import RecordStore
from fhirmedia.ports.views import RecordView
from fhirmedia.r4.registry import Registry


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything a Session reaches for.

    `views` are types projected from something else than records; `mismatched` is told how many hits of a search the
    re-check refused, `damaged` of each content that is not what was stored; `pending` are the facts by which records
    wait for a change elsewhere; `quota` is of counts, for those who may not list what is counted.
    """

    records: RecordStore
    objects: ObjectStore
    index: SearchIndex
    counts: IndexCounts
    disclosures: DisclosureLog
    views: Mapping[str, RecordView]
    quota: Quota
    mismatched: Callable[[int], None] = lambda _number: None
    damaged: Callable[[], None] = lambda: None
    pending: Callable[[], frozenset[Reach]] = frozenset
    citations: Citations = field(default_factory=Citations)
    behind: Behind = field(default_factory=Behind)


class Custodian:
    """Opens Sessions. Nothing outside custody can name what it holds."""

    def __init__(self, stores: Stores, *, registry: Registry, intake: Intake, seal: CursorSeal, clock: Clock) -> None:
        self._stores = stores
        self._intake = intake
        self._seal = seal
        self._clock = clock
        grants = lru_cache(maxsize=4096)(partial(_grant_for, registry))
        self._grant: Callable[[Caller], Grant] = lambda caller: grants(caller, self._stores.pending())

    def session(self, caller: Caller, interaction: str, *, note: RequestNote) -> "Opening":
        """One unit of work: `async with custodian.session(…) as session`.

        When the block ends, what it touched is durable in the audit, or Failure is raised. A Failure or crash inside
        the block is audited too, with its outcome, and then goes on to the caller.
        """
        return Opening(self._session(caller, interaction, note), caller, self._stores.records)

    async def refused(self, caller: Caller, interaction: str, error: Exception, *, note: RequestNote) -> None:
        """Audit a refusal (or crash) of a known Caller that came outside a Session; nothing if a Session has done so.

        Raises Failure UNAVAILABLE or DISK_FULL if it cannot be made durable.
        """
        await _record(self._session(caller, interaction, note), error)

    def grant(self, caller: Caller) -> Grant:
        """What the caller may touch, for decisions that come before a Session (may this body be read at all?)."""
        return self._grant(caller)

    @property
    def seal(self) -> CursorSeal:
        """The maker of cursors."""
        return self._seal

    async def note_unauthenticated(self, *, address: str, route: str, reason: str, number: int) -> None:
        """Write one row for a number of refused requests that nobody could be named for."""
        refused = Disclosure(
            time=self._clock(),
            interaction=f"unauthenticated {number} {route}",
            subject="unknown",
            client="unknown",
            request_id="",
            outcome="4",
            address=address,
            issue=reason,
        )
        await self._stores.disclosures.append(refused.encode())

    def _session(self, caller: Caller, interaction: str, note: RequestNote) -> Session:
        return Session(self._stores, caller, self._grant(caller), interaction, note, self._intake, self._clock)

    def within(self, inside: Inside) -> "Custodian":
        """A Custodian of what a transaction under way shows; its Sessions only read, and tell the transaction what."""
        shown = RecordsInside(inside.transaction)
        views = views_inside(self._stores.views)
        stores = replace(self._stores, records=shown, index=shown, counts=CountsInside(), views=views)
        return _InnerCustodian(inside, stores, self._grant, intake=self._intake, seal=self._seal, clock=self._clock)

    async def close(self) -> None:
        """Finish what is queued."""
        await self._stores.behind.finish()
        await self._stores.records.close()
        await self._stores.disclosures.close()


def _grant_for(registry: Registry, caller: Caller, pending: frozenset[Reach]) -> Grant:
    if not pending:
        return grant_for(caller, registry)
    encounters = frozenset(reach.value for reach in pending if reach.fact == "encounter")
    units = frozenset(reach.value for reach in pending if reach.fact == "unit")
    return grant_for(caller, registry, unsettled=Unsettled(encounters, units))


class Opening:
    """The context of one Session; a class of its own because it stands around every request."""

    def __init__(self, session: Session, caller: Caller, records: RecordStore) -> None:
        self._session = session
        self._caller = caller
        self._records = records

    async def __aenter__(self) -> Session:
        if self._caller.patient is not None:
            await self._confirm_patient(self._caller.patient)
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._session.disclosed()
        elif isinstance(error, Exception):
            await _record(self._session, error)

    async def _confirm_patient(self, patient: str) -> None:
        record = (await self._records.read((Key("Patient", patient),)))[0]  # type-name: the launch patient
        if record is None or record.deleted:
            failure = Failure(Category.UNAUTHENTICATED, "The token names a patient this server does not hold.")
            await _record(self._session, failure)
            raise failure


class _InnerCustodian(Custodian):
    """For the thread that writes, as long as the transaction is under way."""

    def __init__(
        self,
        inside: Inside,
        stores: Stores,
        grant: Callable[[Caller], Grant],
        *,
        intake: Intake,
        seal: CursorSeal,
        clock: Clock,
    ) -> None:
        self._inside = inside
        self._stores = stores
        self._grant = grant
        self._intake = intake
        self._seal = seal
        self._clock = clock

    def session(self, caller: Caller, interaction: str, *, note: RequestNote) -> "Opening":
        return _InnerOpening(self._session(caller, interaction, note), caller, self._inside)


class _InnerOpening(Opening):
    """What is touched here is durable when the transaction is; a Failure undoes that, and is told by it."""

    def __init__(self, session: Session, caller: Caller, inside: Inside) -> None:
        super().__init__(session, caller, RecordsInside(inside.transaction))
        self._inside = inside

    async def __aenter__(self) -> Session:
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside.touched += self._session.touched


_RECORDED = "its disclosure is durable"


async def _record(session: Session, error: Exception) -> None:
    """Make a refusal durable, once for each request: those who waited for one commit may share its exception."""
    recorded = f"{_RECORDED} ({id(session.mark)})"
    if recorded not in getattr(error, "__notes__", ()):
        await session.refused(error if isinstance(error, Failure) else None)
        error.add_note(recorded)
