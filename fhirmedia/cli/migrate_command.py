"""`fhirmedia migrate`: a data folder of an older version brought to this one."""

import argparse

from fhirmedia.backends.folder import Folder, folder_version, migrate_folder
from fhirmedia.backends.migrations import SCHEMA_VERSION
from fhirmedia.cli.options import add_data

EXAMPLES = """\
Make a backup first, with the program that made the folder: there is no way back. The server must be stopped. The
database changes wholly or not at all; an interrupted run is simply repeated.

example:
  fhirmedia migrate --data /srv/fhirmedia
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Migrate, unless there is nothing to do."""
    found = folder_version(arguments.data)
    if str(found) == SCHEMA_VERSION:
        print(f"The folder has version {SCHEMA_VERSION} already.")
        return 0
    folder = Folder(arguments.data)
    with folder.hold(alone=True):
        migrate_folder(folder)
    print(f"The folder went from version {found} to {SCHEMA_VERSION}.")
    return 0
