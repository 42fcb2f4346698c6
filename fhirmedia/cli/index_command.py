"""`fhirmedia index`: how the search index beside the database stands, and what it refused."""

import argparse
import asyncio
import json
from functools import partial

from fhirmedia.backends.following import outbox_work
from fhirmedia.backends.following.assembly import Following
from fhirmedia.cli.following import opened, status
from fhirmedia.cli.opening import add_json, add_served_port
from fhirmedia.cli.options import add_data
from fhirmedia.core.clock import instant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, parse_key

EXAMPLES = """\
A document that the index refuses is tried again a few times, then given up: a dead letter. Its resource is stored, read
and found by searches about its patient, which the database answers then; searches across patients miss it. A change of
the resource lets it be tried again, and so does `retry`.

examples:
  fhirmedia index status --data /srv/fhirmedia
  fhirmedia index dead --data /srv/fhirmedia
  fhirmedia index retry --data /srv/fhirmedia
  fhirmedia index retry --data /srv/fhirmedia --key Media/7b1f
"""
_MOST = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "act",
        choices=tuple(_ACTS),
        help="status: how it stands; dead: list what was given up; retry: try that again",
    )
    parser.add_argument("--key", type=_key, metavar="TYPE/ID", help="retry: this resource only")
    add_data(parser)
    add_served_port(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 if there is something to see to."""

    async def act() -> int:
        async with opened(arguments) as following:
            return await _ACTS[arguments.act](following, arguments)

    return asyncio.run(act())


async def _status(following: Following, arguments: argparse.Namespace) -> int:
    return await status(following, as_json=arguments.json)


async def _dead(following: Following, arguments: argparse.Namespace) -> int:
    letters = following.outbox.dead(limit=_MOST)
    rows = [
        {"key": str(each.key), "since": instant(each.since), "attempts": each.attempts, "reason": each.reason}
        for each in letters
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print("  ".join(map(str, row.values())))
        number = following.figures()[2]
        print(f"{number:,} resources were given up" + (f"; these are the first {_MOST:,}" if number > _MOST else ""))
    return 1 if rows else 0


async def _retry(following: Following, arguments: argparse.Namespace) -> int:
    number = await following.filler.write(partial(outbox_work.retry_dead, key=arguments.key))
    if arguments.key is not None and not number:
        raise Failure(Category.NOT_FOUND, f"{arguments.key} was not given up.")
    following.ring()
    print(f"{number:,} resources will be tried again by a server or worker that runs")
    return 0


def _key(text: str) -> Key:
    try:
        return parse_key(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a type and an id, as in Media/7b1f") from None


_ACTS = {"status": _status, "dead": _dead, "retry": _retry}
