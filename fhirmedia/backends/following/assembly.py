"""What follows the records of one folder, put together for a server, a worker or a command."""

import logging
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.backends.folder import Folder
from fhirmedia.backends.following.documents import DocumentMaker
from fhirmedia.backends.following.filling import Filler
from fhirmedia.backends.following.generations import unfollow
from fhirmedia.backends.following.keeping import Keeper
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.presence import Presence
from fhirmedia.backends.following.routing import RoutedIndex
from fhirmedia.backends.following.waking import Bell
from fhirmedia.backends.following.worker import IndexWorker
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.ports.generations import SearchEngine
from fhirmedia.ports.index import IndexCounts, SearchIndex
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import Registry

BUDGET_S = 10
"""Seconds the engine itself may take for a search."""

log = logging.getLogger("fhirmedia")


@dataclass(frozen=True, slots=True)
class Following:
    """An engine beside the database of a folder, and all that works between the two."""

    folder: Folder
    engine: SearchEngine
    outbox: Outbox
    maker: DocumentMaker
    presence: Presence
    worker: IndexWorker
    filler: Filler
    keeper: Keeper
    clock: Clock

    def works(self, *, leaves_it: bool = False, keeps: bool = True) -> list[Coroutine[Any, Any, None]]:
        """What has to run as long as the process does.

        `leaves_it`: to a process that does nothing but index, as long as there is one. Without `keeps` nothing is made
        or filled that is not there.
        """
        stands_by = self.folder.has_index_worker if leaves_it else _never
        works = [self.presence.watch(), self.worker.run(self._bell(), stands_by=stands_by)]
        return [*works, self.keeper.run(stands_by=stands_by)] if keeps else works

    def ring(self) -> None:
        """Wake whoever indexes."""
        self._bell().ring()

    def _bell(self) -> Bell:
        return Bell(self.folder.index_bell)

    def routed(
        self, database: SearchIndex, counts: IndexCounts, *, patience_s: float, late: Callable[[], Collection[str]]
    ) -> RoutedIndex:
        """The engine and the database as one index."""
        return RoutedIndex(
            database,
            counts,
            self.engine,
            self.outbox,
            self.worker,
            self.presence,
            clock=self.clock,
            patience_s=patience_s,
            late=late,
        )

    def figures(self) -> tuple[float, int, int]:
        """By how many seconds it is behind, how many changes wait, how many were given up. Raises UNAVAILABLE."""
        backlog = self.outbox.backlog(now=self.clock())
        return backlog.lag_ms / 1000, backlog.depth, backlog.dead

    def state(self) -> dict[str, Any]:
        """The same in words, for whoever looks after the installation; no error, whatever is wrong."""
        try:
            (lag_s, depth, dead), live = self.figures(), self.outbox.generations().live
        except Failure:
            return {"status": "warn", "answers": False}
        answers = self.presence.is_there and live is not None and live.fingerprint == self.engine.fingerprint
        state: dict[str, Any] = {"status": "pass" if answers and not dead else "warn", "answers": answers}
        state |= {"lag_seconds": lag_s, "outbox_depth": depth, "dead_letters": dead}
        return state if self.presence.is_there else state | {"why": self.presence.why}

    async def close(self) -> None:
        """Let go of files and connections."""
        self.outbox.close()
        self.maker.close()
        await self.engine.close()


def engine_at(
    address: IndexAddress,
    registry: Registry,
    *,
    zone: ZoneInfo,
    base_url: str = "",
    language: str = DEFAULT_LANGUAGE,
) -> SearchEngine:
    """The engine; nothing is asked of it yet. Raises Failure INVALID if its library is not installed."""
    # What its client says of nodes that do not answer, `Presence` says once.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    from fhirmedia.backends.elastic import open_engine  # nobody pays for a library that is not used

    return open_engine(address, registry=registry, zone=zone, budget_s=BUDGET_S, base_url=base_url, language=language)


async def require_usable(address: IndexAddress, registry: Registry, *, zone: ZoneInfo) -> None:
    """Raise Failure INVALID if the engine is not one to work with; one that does not answer may yet come."""
    engine = engine_at(address, registry, zone=zone)
    try:
        await engine.ping()
    except Failure as failure:
        if failure.category is not Category.UNAVAILABLE:
            raise
    finally:
        await engine.close()


def follow(
    folder: Folder,
    address: IndexAddress,
    records: SqliteRecordStore,
    registry: Registry,
    *,
    base_url: str,
    zone: ZoneInfo,
    language: str,
    clock: Clock,
) -> Following:
    """All of it; nothing is asked of the engine yet. Raises as `engine_at`."""
    engine = engine_at(address, registry, zone=zone, base_url=base_url, language=language)
    extractor = Extractor(registry, base_url=base_url, zone=zone, language=language)
    outbox = Outbox(folder.records)
    maker = DocumentMaker(folder.records, extractor, types=engine.types)
    presence = Presence(engine.ping)
    filler = Filler(records, outbox, maker, engine, clock=clock)
    return Following(
        folder,
        engine,
        outbox,
        maker,
        presence,
        IndexWorker(records, outbox, maker, engine, presence, clock=clock),
        filler,
        Keeper(outbox, engine, filler, presence, clock=clock, turn=folder.index_turn),
        clock,
    )


def _never() -> bool:
    return False


async def leave(records: SqliteRecordStore, path: Path, *, clock: Clock) -> None:
    """Nothing follows any more, if something did: what was filled would miss what is written from now on."""
    outbox = Outbox(path)
    followed = bool(outbox.generations().targets)
    outbox.close()
    if followed:
        now = clock()
        await records.write(lambda transaction: transaction.beside(partial(unfollow, now=now)))
        log.warning("no search index is set any more; it will be filled anew if one is set again")
