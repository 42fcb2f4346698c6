"""The application of one worker: routes over a house, and the works behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from fhirmedia import __version__
from fhirmedia.app.house import open_house
from fhirmedia.app.trust import trusted_issuers
from fhirmedia.backends.folder import Folder
from fhirmedia.core.clock import Clock, system_clock
from fhirmedia.core.errors import Failure
from fhirmedia.core.settings import Settings
from fhirmedia.web.callers import Callers
from fhirmedia.web.cors import Cors
from fhirmedia.web.envelope import Envelope
from fhirmedia.web.errors import answer_crash, answer_failure, answer_http_exception
from fhirmedia.web.fhir_routes import FhirRoutes
from fhirmedia.web.health import Health, health_routes
from fhirmedia.web.metrics import Metrics
from fhirmedia.web.request_log import RequestLog
from fhirmedia.web.routing import Shortcut
from fhirmedia.web.unauthenticated import UnauthenticatedCount


def build_app(folder: Folder, settings: Settings, *, base_url: str, clock: Clock = system_clock) -> ASGIApp:
    """The ASGI application of one worker."""
    metrics = Metrics()
    mismatched = metrics.index_mismatch.inc
    house = open_house(
        folder,
        settings,
        base_url=base_url,
        clock=clock,
        beside=True,
        mismatched=mismatched,
        text_read=metrics.text_read,
        content_damaged=metrics.content_damaged.inc,
    )
    archive, disclosures = house.archive, house.disclosures
    issuers = trusted_issuers(settings, folder, archive.registry, base_url=base_url)
    refused = UnauthenticatedCount(archive.custodian)
    log = RequestLog(clock)
    health = Health(folder.path, index=None if house.following is None else house.following.state)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        issuers.warm(clock() // 1000)
        watching = metrics.watch(lambda: (disclosures.head.log_id, disclosures.head.sequence, disclosures.attested))
        works = [
            refused.run(),
            house.sweeper.run(),
            house.facts_job.run(),
            house.added.run(),
            watching,
            house.texts_job.run(),
            metrics.watch_texts(house.texts_job.waiting),
        ]
        if house.following is None:
            await house.leave()
        else:
            works += [*house.following.works(leaves_it=True), metrics.watch_index(house.following.figures)]
        behind = [asyncio.create_task(work) for work in works]
        health.started()
        try:
            yield
        finally:
            for task in behind:
                task.cancel()
            await asyncio.gather(*behind, return_exceptions=True)
            try:
                await refused.flush()
            finally:
                await house.close()
                log.flush()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    app.add_exception_handler(Failure, answer_failure)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, answer_crash)
    fhir = FhirRoutes(archive, Callers(issuers, refused, archive), version=__version__)
    routes = [*fhir.routes(), *health_routes(health, metrics)]
    app.router.routes.extend(routes)
    return Envelope(Cors(Shortcut(routes, app), issuers.origins), metrics, log)
