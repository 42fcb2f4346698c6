"""Opening a data folder that is there already, for commands that look after it."""

import argparse
import sys
from pathlib import Path

from fhirmedia.backends.folder import Folder, open_folder
from fhirmedia.cli.options import DEFAULT_PORT, port
from fhirmedia.core.settings import Settings, load_settings


def existing_folder(path: Path, *, any_zone: bool = False) -> tuple[Folder, Settings]:
    """The folder and the settings it is opened with. Raises Failure if it is none, or needs something done first.

    `any_zone`: also one whose index was built for another time zone or language, or not to its end.
    """
    settings = load_settings()
    if settings.allow_volatile_storage:
        print("fhirmedia: FHIRMEDIA_ALLOW_VOLATILE_STORAGE is set; the folder may be lost.", file=sys.stderr)
    timezone = None if any_zone else settings.timezone
    allow = settings.allow_volatile_storage
    return open_folder(path, timezone=timezone, allow_volatile=allow, language=settings.language), settings


def add_served_port(parser: argparse.ArgumentParser) -> None:
    """`--port`, for what depends on the address a demo folder is served at."""
    parser.add_argument(
        "--port",
        type=port,
        default=DEFAULT_PORT,
        metavar="N",
        help="port of a demo folder that was never served (default: %(default)s); a served one knows its address",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
