"""The Custodian: the only holder of the stores, and the only maker of Sessions."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.access.policy import grant_for
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.cursors import CursorSeal
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.session import RequestNote, Session
from fhirmedia.ports.disclosures import DisclosureLog
from fhirmedia.ports.index import SearchIndex
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.records import RecordStore
from fhirmedia.ports.views import RecordView
from fhirmedia.r4.registry import Registry


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything a Session reaches for; `views` are types projected from something else than records."""

    records: RecordStore
    objects: ObjectStore
    index: SearchIndex
    disclosures: DisclosureLog
    views: Mapping[str, RecordView]


class Custodian:
    """Opens Sessions. Nothing outside custody can name what it holds."""

    def __init__(self, stores: Stores, *, registry: Registry, intake: Intake, seal: CursorSeal, clock: Clock) -> None:
        self._stores = stores
        self._intake = intake
        self._seal = seal
        self._clock = clock
        self._grant = lru_cache(maxsize=4096)(lambda caller: grant_for(caller, registry))

    @asynccontextmanager
    async def session(self, caller: Caller, interaction: str, *, note: RequestNote) -> AsyncIterator[Session]:
        """One unit of work. When the block ends, what it touched is durable in the audit, or Failure is raised.

        A Failure or crash inside the block is audited too, with its outcome, and then goes on to the caller.
        """
        session = Session(self._stores, caller, self._grant(caller), interaction, note, self._intake, self._clock)
        try:
            await self._confirm_patient(caller)
            yield session
        except Failure as failure:
            await session.refused(failure)
            raise
        except Exception:
            await session.refused(None)
            raise
        await session.disclosed()

    def grant(self, caller: Caller) -> Grant:
        """What the caller may touch, for decisions that come before a Session (may this body be read at all?)."""
        grant: Grant = self._grant(caller)
        return grant

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

    async def close(self) -> None:
        """Finish what is queued."""
        await self._stores.records.close()
        await self._stores.disclosures.close()

    async def _confirm_patient(self, caller: Caller) -> None:
        if caller.patient is None:
            return
        record = (await self._stores.records.read((Key("Patient", caller.patient),)))[
            0
        ]  # type-name: the launch patient
        if record is None or record.deleted:
            raise Failure(Category.UNAUTHENTICATED, "The token names a patient this server does not hold.")
