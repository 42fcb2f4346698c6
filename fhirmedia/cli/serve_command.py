"""`fhirmedia serve`: the archive over HTTP."""

import argparse
import sys

from fhirmedia.cli.options import add_data, add_serving
from fhirmedia.cli.serving import prepare_folder, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_data(parser)
    add_serving(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    folder, settings = prepare_folder(arguments.data)
    return serve(
        folder, settings, host=arguments.host, port=arguments.port, workers=arguments.workers, announce=_announce
    )


def _announce(base_url: str) -> None:
    print(f"ready: {base_url}", file=sys.stderr, flush=True)
