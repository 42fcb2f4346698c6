"""The yardstick of bytes: a route that hashes, writes and syncs what it is sent, and Starlette's own FileResponse."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

RUN = 2**20


def app(folder: Path) -> Starlette:
    """PUT /up, GET /down."""
    target = folder / "bare.bin"

    async def up(request: Request) -> Response:
        digest, gathered = hashlib.sha256(), bytearray()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

        def keep(run: bytes) -> None:
            os.write(descriptor, run)
            digest.update(run)

        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= RUN:
                await asyncio.to_thread(keep, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(keep, bytes(gathered))
        await asyncio.to_thread(os.fsync, descriptor)
        os.close(descriptor)
        return Response(digest.hexdigest())

    async def down(request: Request) -> Response:
        return FileResponse(target)

    return Starlette(routes=[Route("/up", up, methods=["PUT"]), Route("/down", down)])


if __name__ == "__main__":
    uvicorn.run(app(Path(sys.argv[1])), port=int(sys.argv[2]), access_log=False, log_level="warning")
