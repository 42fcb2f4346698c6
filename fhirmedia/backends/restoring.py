"""A data folder from a backup: nothing enters it that is not, to the byte, what the manifest and the database say."""

import shutil
from contextlib import closing
from pathlib import Path

from fhirmedia.backends.audit_heads import audit_heads
from fhirmedia.backends.backup_manifest import KeptHead, Manifest, read_manifest
from fhirmedia.backends.copying import Stage, copy_file, copy_objects, fresh_folder
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.following.generations import disown
from fhirmedia.backends.migrations import SCHEMA_VERSION
from fhirmedia.backends.objects_files import sync_folder
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.errors import Category, Failure

_VERSION, _LAST = "VERSION", "VERSION.new"
"""The file that makes a folder a data folder, and its name until everything else is there."""


def restore(source: Path, target: Path, *, stage: Stage) -> Manifest:
    """Make an empty or new folder into what was backed up; on failure nothing of it is left.

    Raises Failure NOT_FOUND (no backup), CORRUPT (not what was backed up), CONFLICT (the target is not empty, or the
    backup is of a newer program), DISK_FULL, UNAVAILABLE.
    """
    manifest = read_manifest(source)
    if manifest.version > int(SCHEMA_VERSION):
        text = f"The backup was made by a newer fhirmedia; this program knows versions up to {SCHEMA_VERSION}."
        raise Failure(Category.CONFLICT, text)
    with fresh_folder(target):
        _require_room(manifest, target)
        folder = Folder(target)
        for part in (folder.keys, folder.audit, folder.run, target / "tmp"):
            part.mkdir(mode=0o700)
        _copy_files(manifest, source, target, stage=stage)
        copied = copy_objects(folder.records, source / "objects", target / "objects", link=False, stage=stage)
        if set(copied.damaged) != set(manifest.damaged):
            raise Failure(Category.CORRUPT, "Contents of the backup are missing or changed; nothing was restored.")
        heads = audit_heads(folder.records, folder.audit)
        if tuple(KeptHead(head.log_id, head.sequence, head.hash.hex()) for head in heads) != manifest.heads:
            raise Failure(Category.CORRUPT, "The audit does not end where the manifest says; nothing was restored.")
        disown(folder.records)
        for part in (folder.keys, folder.audit):
            sync_folder(part)
        (target / _LAST).rename(target / _VERSION)
    return manifest


def indexed_for(folder: Folder) -> tuple[str, str]:
    """The time zone and the language the folder's index was built for."""
    with closing(open_reader(folder.records)) as connection:
        rows = connection.execute("SELECT name, value FROM installation WHERE name IN ('timezone', 'language')")
        found = dict(rows.fetchall())
    return str(found["timezone"]), str(found["language"])


def _copy_files(manifest: Manifest, source: Path, target: Path, *, stage: Stage) -> None:
    with stage("files", len(manifest.files)) as meter:
        for file in manifest.files:
            name = _LAST if file.path == _VERSION else file.path
            try:
                is_same = copy_file(source / file.path, target / name) == (file.size_bytes, file.sha256_hex)
            except FileNotFoundError:
                is_same = False
            if not is_same:
                raise Failure(Category.CORRUPT, f"{file.path} is not what was backed up; nothing was restored.")
            meter.advance()
    if not {_VERSION, "records.db"} <= {file.path for file in manifest.files}:
        raise Failure(Category.CORRUPT, "The manifest names no whole folder; nothing was restored.")


def _require_room(manifest: Manifest, target: Path) -> None:
    wanted = manifest.object_bytes + sum(file.size_bytes for file in manifest.files)
    if shutil.disk_usage(target).free < wanted:
        raise Failure(Category.DISK_FULL, f"There is not enough room for {target}: {wanted:,} bytes are needed.")
