"""`fhirmedia`: finds the command, runs it, and turns a Failure into one sentence."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from fhirmedia import __version__
from fhirmedia.cli.garbage import uncollected
from fhirmedia.core.errors import Failure

COMMANDS = {
    "serve": "serve a data folder",
    "demo": "make a believable region in a folder, and serve it",
    "import": "bring in resources (NDJSON) and the files they refer to",
    "token": "make, or explain, an access token",
    "search": "tell how a search is understood and found",
    "stats": "count resources and bytes by type",
    "check": "reconcile bytes, records, facts and index; repair what can be rebuilt",
    "audit": "verify the chained logs of who saw and changed what",
    "index": "tell how the search index beside the database stands, and retry what it refused",
    "index-worker": "take changes into the search index, instead of the servers",
    "reindex": "build the search index anew from the records",
    "migrate": "bring an older data folder to this version",
    "backup": "copy a data folder while it is served",
    "restore": "make a data folder from a backup",
}


class Command(Protocol):
    """A module of this package."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(given: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 refused or found wrong, 2 misused, 130 interrupted."""
    words = list(sys.argv[1:] if given is None else given)
    try:
        command, arguments = _command(words)
        os.umask(0o077)  # what a command writes, locks and logs of the database included, is its owner's alone
        return _run(command, arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _run(command: Command, arguments: argparse.Namespace) -> int:
    """The command's exit code; a Failure becomes its sentence and 1."""
    try:
        return command.run(arguments)
    except Failure as failure:
        for issue in failure.issues:
            where = f" ({issue.expression})" if issue.expression else ""
            print(f"fhirmedia {arguments.command}: {issue.text}{where}", file=sys.stderr)
        return 1


def _command(words: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command and its arguments; only that command's module is loaded. Raises SystemExit where misused."""
    parser = argparse.ArgumentParser(
        prog="fhirmedia", description="One FHIR R4 archive for everything clinical that is not a number.",
        epilog="`fhirmedia COMMAND --help` tells more about each.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"fhirmedia {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if word in COMMANDS), None)
    modules: dict[str, Command] = {}
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning.capitalize() + ".")
        if name == chosen:
            with uncollected():
                modules[name] = import_module(f"fhirmedia.cli.{name.replace('-', '_')}_command")
            modules[name].add_arguments(command)
    arguments = parser.parse_args(words)
    return modules[arguments.command], arguments


if __name__ == "__main__":
    sys.exit(main())
