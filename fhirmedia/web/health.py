"""`/healthz` (the process answers), `/readyz` (it can serve), `/metrics`: without a token, without patient data."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fhirmedia.web.metrics import CONTENT_TYPE, Metrics
from fhirmedia.web.routing import PublicRoute as Route

LEAST_FREE_BYTES = 256 * 2**20


class Health:
    """What the two probes answer from."""

    def __init__(self, folder: Path, index: Callable[[], dict[str, Any]] | None = None) -> None:
        self._folder = folder
        self._index = index
        self._started = False

    def started(self) -> None:
        """Called once the worker accepts requests."""
        self._started = True

    async def alive(self, request: Request) -> Response:
        return JSONResponse({"status": "pass"})

    async def ready(self, request: Request) -> Response:
        free = shutil.disk_usage(self._folder).free
        ready = self._started and free >= LEAST_FREE_BYTES
        state: dict[str, Any] = {
            "status": "pass" if ready else "fail",
            "started": self._started,
            "disk_free_bytes": free,
        }
        if self._index is not None:  # it never keeps the server from serving: the database answers in its place
            state["index"] = self._index()
        return JSONResponse(state, 200 if ready else 503)


def health_routes(health: Health, metrics: Metrics) -> list[Route]:
    """The routes an operator's probes use."""

    async def page(request: Request) -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE)

    return [
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/metrics", page, methods=["GET"]),
    ]
