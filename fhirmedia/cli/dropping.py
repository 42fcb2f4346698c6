"""`fhirmedia reindex --drop-fts`: words are left to a search index beside the database that is known to be whole."""

import argparse
import asyncio

from fhirmedia.backends.dropping_words import drop_words
from fhirmedia.backends.following.assembly import Following
from fhirmedia.cli.following import opened
from fhirmedia.cli.opening import existing_folder
from fhirmedia.cli.reindex_steps import differences, settled
from fhirmedia.core.errors import Category, Failure


def drop(arguments: argparse.Namespace) -> int:
    """Hold the live index against the records, and take the words it holds out of the database."""
    folder, _ = existing_folder(arguments.data)
    types = asyncio.run(_types_held(arguments))
    with folder.hold(alone=True):
        print(f"dropping the words of {', '.join(types)}", flush=True)
        freed = drop_words(folder.records, types)
    print(
        f"the database is {freed / 2**20:,.1f} MiB smaller; words across patients are found by the search index alone"
    )
    return 0


async def _types_held(arguments: argparse.Namespace) -> list[str]:
    """What the live index holds, if that is all there is. Raises Failure CONFLICT, UNAVAILABLE."""
    async with opened(arguments, works=True, alone=True) as following:
        await following.presence.look()
        if not following.presence.is_there:
            raise Failure(Category.UNAVAILABLE, f"The search index cannot be asked: {following.presence.why}")
        await _require_live(following)
        return sorted(following.engine.types)


async def _require_live(following: Following) -> None:
    live, engine = following.outbox.generations().live, following.engine
    if live is None or live.fingerprint != engine.fingerprint or not await engine.is_sound(live.name):
        text = "No complete search index answers yet; serve the folder with FHIRMEDIA_INDEX until one does."
        raise Failure(Category.CONFLICT, f"{text} `fhirmedia index status` tells how it stands.")
    await settled(following)
    if not await engine.is_complete(live.name) or await differences(following, live):
        raise Failure(Category.CONFLICT, "The search index is not complete, so the words stay in the database.")
