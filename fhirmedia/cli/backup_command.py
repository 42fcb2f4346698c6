"""`fhirmedia backup`: a copy of a data folder, made while it is served."""

import argparse
from pathlib import Path

from fhirmedia import __version__
from fhirmedia.backends.backing_up import BackupWish, back_up
from fhirmedia.backends.backup_manifest import sha256_of_manifest
from fhirmedia.cli.opening import existing_folder
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.core.clock import system_clock

EXAMPLES = """\
The copy holds everything: records, index, bytes, audit, and the keys of the installation, so keep it as safe as the
folder itself. It shows one moment, has a hash of every file, and is of use without the folder. Nothing stops meanwhile.
--link is quick and takes no room, but guards against deletion only, not against a failing disk. Issuer files and other
settings are not in the folder: keep them with it. Whoever can change all of a backup can change its hashes, too: keep
the SHA-256 of the manifest, which is printed here and by `restore`, somewhere else. Exit code 1: made, but the folder
had lost contents.

examples:
  fhirmedia backup --data /srv/fhirmedia --to /backup/$(date +%F)
  fhirmedia restore --from /backup/2026-01-31 --data /srv/fhirmedia-again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--link", action="store_true", help="share the bytes of contents by hard links, if possible")


def run(arguments: argparse.Namespace) -> int:
    """Make the backup and say what is in it."""
    folder, _ = existing_folder(arguments.data, any_zone=True)
    wish = BackupWish(__version__, system_clock(), arguments.link)
    manifest = back_up(folder, arguments.to, wish, stage=Progress)
    print(
        f"{arguments.to}: {manifest.last_change:,} changes up to {manifest.last_change_at or 'none'}, "
        f"{manifest.objects:,} contents of {manifest.object_bytes:,} bytes, {len(manifest.heads)} audit logs"
    )
    print(f"SHA-256 of its manifest: {sha256_of_manifest(arguments.to)}")
    if manifest.damaged:
        print(
            f"{len(manifest.damaged)} contents are lost or damaged in the folder itself; see `fhirmedia check --bytes`"
        )
        return 1
    return 0
