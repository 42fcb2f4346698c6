"""`fhirmedia restore`: a data folder from a backup, checked before anybody is served from it."""

import argparse
import asyncio
import time
from dataclasses import replace
from pathlib import Path

from fhirmedia.app.addresses import known_base_url
from fhirmedia.backends.backup_manifest import sha256_of_manifest
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.migrations import SCHEMA_VERSION
from fhirmedia.backends.restoring import indexed_for, restore
from fhirmedia.cli.audit_command import verify_audit
from fhirmedia.cli.checking import check_folder
from fhirmedia.cli.opening import add_served_port
from fhirmedia.cli.options import add_data
from fhirmedia.cli.progress import Progress
from fhirmedia.core.settings import load_settings

EXAMPLES = """\
Every file and every content is held against its hash; a backup that was changed is refused and leaves nothing behind.
Then the new folder goes through `check` and `audit verify`. It prints how long that took (the recovery time) and when
the last change in it was made: what was written later is not there (the recovery point). Set FHIRMEDIA_PUBLIC_URL as it
is for `serve`. Exit code 0: sound; 1: refused, or something in it is wrong.

example:
  fhirmedia restore --from /backup/2026-01-31 --data /srv/fhirmedia
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_data(parser)
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="the backup")
    add_served_port(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore, check, and say what was recovered."""
    started = time.monotonic()
    settings = load_settings()
    folder = Folder(arguments.data)
    manifest = restore(arguments.source, folder.path, stage=Progress)
    base_url = known_base_url(settings, folder, port=arguments.port)
    print(
        f"restored {manifest.last_change:,} changes and {manifest.objects:,} contents, backed up at {manifest.made_at}"
    )
    print(f"SHA-256 of its manifest: {sha256_of_manifest(arguments.source)}")
    code = 0
    if manifest.version < int(SCHEMA_VERSION):
        print(
            f"The folder is of an older version: run `fhirmedia migrate --data {folder.path}`, then `fhirmedia check`."
        )
    else:
        timezone, language = indexed_for(folder)
        settings = replace(settings, timezone=timezone, language=language)
        report = asyncio.run(check_folder(folder, settings, base_url=base_url, reread=False))
        audit = verify_audit(folder)
        print("\n".join(report.lines()))
        print("the audit is as it was written" if not audit.breaches else "the audit is NOT as it was written")
        code = 1 if report.damages or audit.breaches else 0
    print(f"recovery point: {manifest.last_change_at or 'no change was ever made'}")
    print(f"recovery time: {time.monotonic() - started:.1f} s")
    return code
