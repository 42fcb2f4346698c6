"""`fhirmedia check`: whether bytes, records, facts and index agree; repairs what can be made from what is there."""

import argparse
import asyncio
import json

from fhirmedia.app.addresses import known_base_url
from fhirmedia.app.house import open_house
from fhirmedia.backends.folder import Folder
from fhirmedia.cli.checking import Report, check_folder, repair_folder
from fhirmedia.cli.opening import add_json, add_served_port, existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.core.settings import Settings

EXAMPLES = """\
What is held against each other:
  database  the database's own structure
  records   every version follows the one before it, and its body says what it is
  facts     what access is decided by follows from the body, as of when it was written
  index     what searches go through follows from the newest version
  bytes     each content is there with its size; with --bytes every byte is read and hashed

It runs beside a server and changes nothing. --repair needs the folder to itself: it makes facts, index rows and claims
of Binaries anew, and writes that to the audit; it removes nothing but rows that stand for nothing, and bytes older than
a day that belong to no record. Exit code 0: sound (notes are no damage); 1: something is wrong.

examples:
  fhirmedia check --data /srv/fhirmedia
  fhirmedia check --data /srv/fhirmedia --bytes --json > report.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("--bytes", action="store_true", help="read and hash every byte of every content, too")
    parser.add_argument("--repair", action="store_true", help="put right what can be; the server must be stopped")
    add_served_port(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, repair if asked to, and print the report."""
    folder, settings = existing_folder(arguments.data)
    base_url = known_base_url(settings, folder, port=arguments.port)
    if arguments.repair:
        report = asyncio.run(_repair(folder, settings, base_url=base_url, reread=arguments.bytes))
    else:
        with folder.hold(alone=False), folder.sweeps_paused():
            report = asyncio.run(check_folder(folder, settings, base_url=base_url, reread=arguments.bytes))
    print(json.dumps(report.as_json(), indent=2) if arguments.json else "\n".join(report.lines()))
    return 0 if report.damages == 0 else 1


async def _repair(folder: Folder, settings: Settings, *, base_url: str, reread: bool) -> Report:
    """Repair, then sweep if nothing is wrong any more."""
    house = open_house(folder, settings, base_url=base_url, alone=True)
    try:
        report = await repair_folder(folder, settings, house.mender, base_url=base_url, reread=reread)
        if report.damages == 0:
            await house.sweeper.sweep()
        return report
    finally:
        await house.close()
