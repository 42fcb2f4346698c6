"""Routes of batch and transaction: a Bundle posted to the base (FHIR R4, http 3.1.0.11)."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.batch import batch
from fhirmedia.interactions.transaction import transaction
from fhirmedia.r4.bundle_in import read_envelope
from fhirmedia.web.answers import fhir_response
from fhirmedia.web.bodies import resource_body
from fhirmedia.web.bundle_response import bundle_body
from fhirmedia.web.callers import AskedRoute
from fhirmedia.web.headers import preference, require_no_parameters
from fhirmedia.web.negotiation import require_answer_format

T = TypeVar("T")

MANY_ENTRIES = 300
"""From so many on, what is done to all of them at once is done in a thread: others are answered meanwhile."""

BUNDLE_MAX_BYTES = 64 * 2**20
LARGE_BYTES = 4 * 2**20
LARGE_AT_ONCE = 2
"""Bundles above that size, or of unknown size, that one worker takes in at a time."""


class BundleRoutes:
    """Endpoints over one Archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._large = 0

    def routes(self) -> list[AskedRoute]:
        """With and without a slash at the end: clients send both."""
        return [
            AskedRoute("POST", "/fhir", "transaction", self.bundle),
            AskedRoute("POST", "/fhir/", "transaction", self.bundle),
        ]

    async def bundle(self, request: Request, asker: Asker) -> Response:
        archive = self._archive
        require_no_parameters(request)
        require_answer_format(request)
        wanted = preference(request)
        if not archive.custodian.grant(asker.caller).rules:
            raise Failure(Category.FORBIDDEN, "The token does not allow anything a Bundle could ask for.")
        with self._turn(request):
            sent = await resource_body(request, limit=BUNDLE_MAX_BYTES)
            listed = sent.get("entry")
            entries = len(listed) if isinstance(listed, list) else 0
            envelope = await _apart(entries, partial(read_envelope, sent, base_url=archive.base_url))
            if envelope.type not in archive.registry.system_interactions:
                raise Failure(Category.INVALID, f"A {envelope.type} is not served.", code="not-supported")
            run = batch if envelope.type == "batch" else transaction
            answers = await run(archive, asker, envelope.entries, lenient=wanted.lenient)
        answered = list(zip(envelope.entries, answers, strict=True))
        write = partial(bundle_body, envelope.type, answered, preference=wanted, base_url=archive.base_url)
        return fhir_response(request, await _apart(len(answered), partial(write, now=archive.clock())))

    @contextmanager
    def _turn(self, request: Request) -> Iterator[None]:
        """Raise THROTTLED where a large Bundle comes while enough others are at work."""
        announced = request.headers.get("content-length", "")
        is_large = not announced.isdecimal() or int(announced) > LARGE_BYTES
        if is_large and self._large >= LARGE_AT_ONCE:
            raise Failure(Category.THROTTLED, "Other large Bundles are being taken in; try again.", retry_after_s=5)
        self._large += is_large
        try:
            yield
        finally:
            self._large -= is_large


async def _apart(entries: int, work: Callable[[], T]) -> T:
    """The result of work on so many entries."""
    return work() if entries < MANY_ENTRIES else await asyncio.to_thread(work)
