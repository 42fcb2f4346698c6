"""`fhirmedia demo`: a believable region in a folder, then the server on it and what to try."""

import argparse
import os
import sys
from pathlib import Path

from fhirmedia.cli.options import add_serving
from fhirmedia.cli.serving import prepare_folder, serve
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import PREFIX

FOLDER = Path("demo-data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--data",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help=f"the demo's folder, made if absent (default: {FOLDER})",
    )
    parser.add_argument("--empty", action="store_true", help="only mark the folder as demo; put nothing into it")
    add_serving(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the region if it is not there yet, and serve it."""
    from fhirmedia.cli.demo_loading import load_demo, tour

    _prepare(arguments.data)
    folder, settings = prepare_folder(arguments.data)
    if not arguments.empty:
        load_demo(folder, settings, port=arguments.port)

    def announce(base_url: str) -> None:
        print(f"ready: {base_url}", flush=True)
        if not arguments.empty:
            print(tour(base_url, folder.path, port=arguments.port), flush=True)

    return serve(
        folder, settings, host=arguments.host, port=arguments.port, workers=arguments.workers, announce=announce
    )


def _prepare(path: Path) -> None:
    """A folder marked as demo. Raises Failure where another folder is in the way."""
    from fhirmedia.backends.folder import Folder, file_system_of, make_folder
    from fhirmedia.core.settings import load_settings
    from fhirmedia.issuer.minting import is_demo, mark_demo

    if not Folder(path).exists:
        settings = load_settings()
        make_folder(path, timezone=settings.timezone, language=settings.language, mark=mark_demo)
    elif not is_demo(path):
        raise Failure(Category.CONFLICT, f"{path} is a data folder, but not one of the demo; name another.")
    if file_system_of(path) == "tmpfs":
        print("fhirmedia demo: the folder is in memory (tmpfs) and will not outlive the machine.", file=sys.stderr)
        os.environ.setdefault(PREFIX + "ALLOW_VOLATILE_STORAGE", "1")
