"""Opening what follows the records of a folder, for commands that look after it beside running servers."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fhirmedia.app.addresses import known_base_url
from fhirmedia.app.house import open_house
from fhirmedia.backends.following.assembly import Following
from fhirmedia.cli.opening import existing_folder
from fhirmedia.core.clock import instant
from fhirmedia.core.errors import Category, Failure


@asynccontextmanager
async def opened(
    arguments: argparse.Namespace, *, works: bool = False, alone: bool = False
) -> AsyncIterator[Following]:
    """What follows the folder's records; with `works`, changes are taken in meanwhile, `alone` by nobody else.

    Raises Failure INVALID where no index is set, UNAVAILABLE.
    """
    folder, settings = existing_folder(arguments.data)
    if settings.index is None:
        raise Failure(Category.INVALID, "FHIRMEDIA_INDEX is not set: there is no search index beside the database.")
    base_url = known_base_url(settings, folder, port=arguments.port)
    house = open_house(folder, settings, base_url=base_url, beside=True, alone=alone)
    following = house.following
    assert following is not None
    tasks = [asyncio.create_task(work) for work in following.works(keeps=False)] if works else []
    try:
        yield following
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await house.close()


async def status(following: Following, *, as_json: bool) -> int:
    """Print how the index stands and which fillings there are; 1 if there is something to see to."""
    await following.presence.look()
    state = following.state()
    fillings = [
        {"name": each.name, "state": each.state, "documents": each.documents, "since": instant(each.state_since)}
        for each in following.outbox.generations().each
    ]
    if as_json:
        print(json.dumps({**state, "generations": fillings}, indent=2))
    else:
        for name, value in state.items():
            print(f"{name.replace('_', ' '):14} {value}")
        for each in fillings:
            print(
                f"{each['state']:14} {each['name']}, {each['documents']:,} documents filled in, since {each['since']}"
            )
    return 0 if state["status"] == "pass" else 1
