"""Requests nobody could be named for: counted by address, route and reason, written once in a while."""

import asyncio
import logging
from collections import Counter

from starlette.requests import Request

from fhirmedia.core.errors import Failure
from fhirmedia.custody.custodian import Custodian
from fhirmedia.web.request_log import template_of

EVERY_S = 10
MOST_KINDS = 1000

log = logging.getLogger("fhirmedia")


class UnauthenticatedCount:
    """Counts refusals; `run` writes one disclosure for each kind every ten seconds."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count(self, request: Request, failure: Failure) -> None:
        """Note one refusal; beyond a thousand kinds in one interval they are counted together."""
        address = request.client.host if request.client else "unknown"
        kind = (address, f"{request.method} {template_of(request.scope)}", failure.issues[0].code)
        self._add(kind, 1)

    async def run(self) -> None:
        """Write what was counted, again and again until cancelled; what could not be written is tried again."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
            except Failure:
                log.error("requests without a known caller could not be audited; it will be tried again")

    async def flush(self) -> None:
        """Write what was counted since the last time.

        Raises Failure UNAVAILABLE or DISK_FULL; what is not written then stays counted.
        """
        counts, self._counts = self._counts, Counter()
        try:
            for kind, number in list(counts.items()):
                address, route, reason = kind
                await self._custodian.note_unauthenticated(address=address, route=route, reason=reason, number=number)
                del counts[kind]
        finally:
            for kind, number in counts.items():
                self._add(kind, number)

    def _add(self, kind: tuple[str, str, str], number: int) -> None:
        self._counts[kind if len(self._counts) < MOST_KINDS or kind in self._counts else ("many", "", "")] += number
