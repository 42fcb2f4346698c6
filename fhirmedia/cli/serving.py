"""Running the application: an open socket, one process or several on it, and a graceful end."""

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

import uvicorn

from fhirmedia.app.addresses import settled_base_url
from fhirmedia.app.trust import trusted_issuers
from fhirmedia.app.worker import build_app
from fhirmedia.backends.folder import Folder, file_system_of, make_folder, open_folder
from fhirmedia.backends.following.assembly import require_usable
from fhirmedia.backends.words_kept import require_words
from fhirmedia.cli.garbage import uncollected
from fhirmedia.cli.http_head import BoundedHttp
from fhirmedia.cli.log_lines import write_lines
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import LOOPBACK, PREFIX, Settings, load_settings
from fhirmedia.issuer.minting import is_demo
from fhirmedia.r4.registry import load_registry
from fhirmedia.web.metrics import share_metrics

GRACE_S = 20


def prepare_folder(path: Path) -> tuple[Folder, Settings]:
    """The folder, made first if it is empty or absent, and the settings it is opened with."""
    settings = load_settings()
    if not Folder(path).exists:
        make_folder(path, timezone=settings.timezone, language=settings.language)
    if is_demo(path) and PREFIX + "ENVIRONMENT" not in os.environ:
        settings = replace(settings, environment="test")
    if settings.allow_volatile_storage:
        print(
            f"fhirmedia: FHIRMEDIA_ALLOW_VOLATILE_STORAGE is set; what is on {file_system_of(path)} may be lost.",
            file=sys.stderr,
        )
    folder = open_folder(
        path,
        timezone=settings.timezone,
        allow_volatile=settings.allow_volatile_storage,
        language=settings.language,
    )
    return folder, settings


def serve(
    folder: Folder, settings: Settings, *, host: str, port: int, workers: int, announce: Callable[[str], None]
) -> int:
    """Serve until SIGTERM or SIGINT; `announce` is called with the FHIR base once requests are answered."""
    if host not in LOOPBACK and is_demo(folder.path):
        raise Failure(Category.INVALID, "A demo folder is served on a loopback address only.")
    with _listen(host, port) as listener:
        base_url = settled_base_url(settings, folder, port=listener.getsockname()[1], moved=_say_moved)
        if workers > 1:  # refuse here rather than in every child
            trusted_issuers(settings, folder, load_registry(), base_url=base_url)
        if settings.index is None:
            require_words(folder.records, folder=folder.path)
        else:
            zone = ZoneInfo(settings.timezone)
            asyncio.run(require_usable(settings.index, load_registry(), zone=zone))
        share_metrics(folder.run / "metrics")
        if workers == 1:
            return _run_worker(folder, settings, base_url, listener, lambda: announce(base_url))
        return _run_workers(folder, settings, base_url, listener, workers=workers, announce=announce)


def _say_moved(known: str) -> None:
    text = f"fhirmedia: this demo was served as {known} before; what names that address in full leads nowhere now."
    print(text, file=sys.stderr)


class Worker(uvicorn.Server):
    """One process's server; says when it has started, and ends well when it is asked to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what is under way; a second SIGINT does not wait. The signal is not raised again afterwards."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _run_worker(
    folder: Folder, settings: Settings, base_url: str, listener: socket.socket, started: Callable[[], None]
) -> int:
    with uncollected():
        app = build_app(folder, settings, base_url=base_url)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        http=BoundedHttp,
        lifespan="on",
    )
    server = Worker(config, started)
    write_lines()
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _run_workers(
    folder: Folder,
    settings: Settings,
    base_url: str,
    listener: socket.socket,
    *,
    workers: int,
    announce: Callable[[str], None],
) -> int:
    """One child per worker; a child that dies by itself ends the others, so that nothing half serves."""
    context = multiprocessing.get_context("fork")
    heard, said = context.Pipe(duplex=False)
    arguments = (folder, settings, base_url, listener, lambda: said.send_bytes(b"started"))
    children = [context.Process(target=_child, args=arguments, name=f"fhirmedia-{each}") for each in range(workers)]
    for child in children:
        child.start()

    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        """Told once: a child that has ended its work hears no signal any more, it would die of a second one."""
        if not told:
            told.append(number)
            for child in children:
                child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ended = [child.sentinel for child in children]
    starting = workers
    while starting and heard in multiprocessing.connection.wait([heard, *ended]):
        heard.recv_bytes()
        starting -= 1
    if not starting:
        announce(base_url)
        multiprocessing.connection.wait(ended)
    stop(0, None)
    for child in children:
        child.join()
    return max(abs(child.exitcode or 0) for child in children)


def _child(
    folder: Folder, settings: Settings, base_url: str, listener: socket.socket, started: Callable[[], None]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_run_worker(folder, settings, base_url, listener, started))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise Failure(Category.CONFLICT, f"Port {port} of {host} is taken; choose another with --port.") from None
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener
