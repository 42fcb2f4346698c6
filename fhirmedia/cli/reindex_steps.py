"""`fhirmedia reindex fill | verify | switch | rollback | status`: another filling of the index beside the database.

Servers go on meanwhile: what is written reaches the old filling and the new one.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from fhirmedia.backends.following import generations, outbox_work
from fhirmedia.backends.following.assembly import Following
from fhirmedia.backends.following.generations import Generation, State
from fhirmedia.backends.following.verifying import Verifier
from fhirmedia.cli.following import opened, status
from fhirmedia.cli.garbage import seldom_collected
from fhirmedia.cli.progress import Progress
from fhirmedia.core.errors import Category, Failure

_TURN_S = 10.0
_PATIENCE_S = 120.0
"""So long an engine that does not answer is waited for before a filling stops."""
_CAUGHT_UP_MS = 1000
_LOOK_S = 0.25
_REST_S = 1.0
_SHOWN = 20


def run(arguments: argparse.Namespace) -> int:
    """Do the step; 1 if something differs."""

    async def act() -> int:
        # Who reads rows gives up the interpreter's lock at each: beside a thread that makes documents, both cost more.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with opened(arguments, works=arguments.step in ("fill", "verify", "switch")) as following:
            await following.presence.look()
            if not following.presence.is_there and arguments.step != "status":
                raise Failure(Category.UNAVAILABLE, f"The search index cannot be asked: {following.presence.why}")
            if arguments.step == "fill" and arguments.type is not None:
                return await _refill(following, arguments.type)
            return await STEPS[arguments.step](following)

    return asyncio.run(act())


async def _fill(following: Following) -> int:
    filler = following.filler
    async with _turn(following):
        generation = await filler.begin()
        if generation.position:
            print(f"going on where it stopped, {generation.documents:,} documents in")
        end = await asyncio.to_thread(following.maker.end)
        with seldom_collected(), Progress("indexing", end - generation.position) as progress:
            name = generation.name
            await _to_the_end(
                lambda: following.filler.fill(
                    _found(following, name), on_progress=lambda changes, _: progress.advance(changes)
                ),
                place=lambda: _place(following, name),
            )
        await filler.set_state(generation, "filled")
    filled = following.outbox.generations().named(generation.name)
    number = 0 if filled is None else filled.documents
    print(f"{number:,} documents are filled in; `fhirmedia reindex switch` lets searches be answered from them")
    return 0


async def _refill(following: Following, kind: str) -> int:
    """The documents of one type anew, in the index that answers and in one that is to."""
    if kind not in following.engine.types:
        types = ", ".join(sorted(following.engine.types))
        raise Failure(Category.INVALID, f"The search index holds {types}; name one of these, or none for all.")
    async with _turn(following):
        targets = [each for each in following.outbox.generations().targets if each.state in ("live", "filled")]
        if not targets or any(each.fingerprint != following.engine.fingerprint for each in targets):
            raise Failure(Category.NOT_FOUND, "There is no search index to write to; a server that runs fills it.")
        for each in targets:
            await _refill_one(following, each, kind)
    return 0


async def _refill_one(following: Following, generation: Generation, kind: str) -> None:
    filler, written = following.filler, 0
    begun = await filler.refilled(generation, kind)
    if begun:
        print(f"going on behind change {begun:,}, where it stopped")
    end = await asyncio.to_thread(following.maker.end)
    with seldom_collected(), Progress(f"indexing {kind} ({generation.state})", end - begun) as progress:

        def advance(changes: int, documents: int) -> None:
            nonlocal written
            written += documents
            progress.advance(changes)

        await _to_the_end(
            lambda: filler.refill(generation, kind, on_progress=advance),
            place=lambda: filler.refilled(generation, kind),
        )
    print(f"{generation.state} {generation.name}: {written:,} documents of {kind} were written anew")


async def _to_the_end(fill: Callable[[], Awaitable[None]], *, place: Callable[[], Awaitable[int]]) -> None:
    """An engine that does not answer for a while is waited for; `place` tells how far it has come."""
    given_up_at = time.monotonic() + _PATIENCE_S
    while True:
        before = await place()
        try:
            return await fill()
        except Failure as failure:
            if await place() != before:
                given_up_at = time.monotonic() + _PATIENCE_S
            if failure.category is not Category.UNAVAILABLE or time.monotonic() > given_up_at:
                print(f"stopped behind change {await place():,}; run the same command again to go on", file=sys.stderr)
                raise
        await asyncio.sleep(_REST_S)


async def _place(following: Following, name: str) -> int:
    return _found(following, name).position


async def _verify(following: Following) -> int:
    number = 0
    for generation in following.outbox.generations().targets:
        if generation.state in ("live", "filled") and generation.fingerprint == following.engine.fingerprint:
            number += await differences(following, generation)
    if not following.outbox.generations().targets:
        raise Failure(Category.NOT_FOUND, "There is no search index yet; a server that runs fills it.")
    return 1 if number else 0


async def differences(following: Following, generation: Generation) -> int:
    """How many there are between the generation and the records; told, and seen to where that can be done."""
    parts = (following.maker, following.outbox, following.engine, generation.name)
    end = await asyncio.to_thread(following.maker.end)
    with Progress(f"verifying ({generation.state})", end) as progress:
        found = await Verifier(*parts, clock=following.clock).verify(on_progress=progress.advance)
    print(f"{generation.state} {generation.name}: {found.looked_at:,} resources, {found.number:,} differences")
    for key in found.different[:_SHOWN]:
        print(f"  {key} has no document, or another one")
    for kind, number in found.surplus.items():
        print(f"  {number:,} documents of {kind} stand for nothing")
    if found.different:
        now = following.clock()
        await following.filler.write(partial(outbox_work.enqueue, keys=found.different, now=now))
        following.ring()
        print("  those that differ are indexed anew by a server or worker that runs; verify again later")
    if found.surplus:
        print("  run `fhirmedia reindex fill` and `switch` to be rid of documents that stand for nothing")
    return found.number


async def _switch(following: Following) -> int:
    return await _publish(following, "filled", "There is nothing to switch to; run `fhirmedia reindex fill` first.")


async def _rollback(following: Following) -> int:
    return await _publish(following, "kept", "There is nothing to go back to: no index was kept, or it has expired.")


async def _publish(following: Following, state: State, missing: str) -> int:
    async with _turn(following):
        generation = following.outbox.generations().in_state(state)
        if generation is None or generation.fingerprint != following.engine.fingerprint:
            raise Failure(Category.NOT_FOUND, missing)
        if not await following.engine.is_sound(generation.name):
            raise Failure(Category.CONFLICT, "That index is gone, or not as it was made; run `fhirmedia reindex fill`.")
        await settled(following)
        await following.filler.publish(generation)
    print(f"searches are answered from {generation.name}; `fhirmedia reindex rollback` undoes that within 7 days")
    return 0


async def settled(following: Following) -> None:
    """Wait until hardly anything waits. Raises Failure CONFLICT if that takes too long, or something was given up."""
    given_up_at = time.monotonic() + _PATIENCE_S
    while (lag_ms := following.outbox.lag(now=following.clock())[0]) >= _CAUGHT_UP_MS:
        if time.monotonic() > given_up_at:
            text = f"Changes of the last {lag_ms // 1000} s are not in the index yet; see `fhirmedia index status`."
            raise Failure(Category.CONFLICT, text)
        await asyncio.sleep(_LOOK_S)
    await following.filler.write(generations.require_no_dead)


async def _status(following: Following) -> int:
    return await status(following, as_json=False)


@asynccontextmanager
async def _turn(following: Following) -> AsyncIterator[None]:
    """Nobody else makes or fills indexes inside. Raises Failure CONFLICT while somebody fills one."""
    given_up_at = time.monotonic() + _TURN_S
    while time.monotonic() < given_up_at:
        with following.folder.index_turn() as is_mine:
            if is_mine:
                yield
                return
        await asyncio.sleep(_LOOK_S)
    raise Failure(Category.CONFLICT, "A server or another command is filling the index at present; wait for it.")


def _found(following: Following, name: str) -> Generation:
    generation = following.outbox.generations().named(name)
    if generation is None:
        raise Failure(Category.CONFLICT, "Somebody else has given up the index that was being filled.")
    return generation


STEPS: dict[str, Callable[[Following], Awaitable[int]]] = {
    "fill": _fill,
    "verify": _verify,
    "switch": _switch,
    "rollback": _rollback,
    "status": _status,
}
