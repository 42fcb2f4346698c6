"""Mending: what reconciliation found wrong and can be made again from what is there, written and audited."""

from collections.abc import Sequence

from fhirmedia.access.caller import Caller
from fhirmedia.core.clock import Clock
from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.ids import new_id
from fhirmedia.custody.reconcile import Correction
from fhirmedia.ports.maintenance import UpkeepStore, UpkeepTransaction


class Mender:
    """Writes corrections. Bodies, versions and bytes are never touched: there is nothing to make them from."""

    def __init__(self, store: UpkeepStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Give versions the facts and index rows they should have. Raises Failure UNAVAILABLE or DISK_FULL."""

        def work(transaction: UpkeepTransaction) -> None:
            for record, entries in corrections:
                transaction.correct(record, entries)
            touched = tuple(Touch(record.key, record.version, "written") for record, _ in corrections)
            self._audit(transaction, "facts and index rows made anew from the body", touched)

        await self._store.write(work)

    async def mend(self, *, claims: bool) -> None:
        """Drop index rows that stand for nothing; with `claims`, settle anew which Binaries are referred to.

        Claims are settled only where nothing is lost: a Binary whose only referrer is gone must not count as unclaimed,
        since those are swept. Raises Failure UNAVAILABLE or DISK_FULL.
        """

        def work(transaction: UpkeepTransaction) -> None:
            transaction.mend(claims=claims)
            self._audit(transaction, "index rows that stand for nothing and claims of Binaries settled anew", ())

        await self._store.write(work)

    def _audit(self, transaction: UpkeepTransaction, reason: str, touched: tuple[Touch, ...]) -> None:
        caller = Caller.system(reason)  # unscoped: whoever may run the command on the machine owns the folder
        disclosure = Disclosure(
            time=self._clock(),
            interaction="repair",
            subject=caller.subject,
            client=caller.client,
            request_id=f"repair-{new_id()}",
            reason=caller.system_reason,
            touched=touched,
        )
        transaction.audit(disclosure.encode())
