"""`fhirmedia index-worker`: takes changes into the search index, so that servers need not."""

import argparse
import asyncio
import signal
import sys

from fhirmedia.cli.following import opened
from fhirmedia.cli.opening import add_served_port
from fhirmedia.cli.options import add_data

EXAMPLES = """\
`fhirmedia serve` does this by itself; as long as a worker runs beside it, it leaves the work to that. Several workers
share it. It can be stopped, or killed, at any time: what waits is in the data folder.

example:
  FHIRMEDIA_INDEX=elasticsearch://127.0.0.1:9200 fhirmedia index-worker --data /srv/fhirmedia
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    add_served_port(parser)


def run(arguments: argparse.Namespace) -> int:
    """Work until told to stop."""

    async def work() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with opened(arguments) as following:
            await following.presence.look()
            with following.folder.index_worker():
                tasks = [asyncio.create_task(each) for each in following.works()]
                print(f"indexing: {arguments.data}", file=sys.stderr, flush=True)
                await stopped.wait()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())
    return 0
