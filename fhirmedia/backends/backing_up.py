"""A backup of a folder that may be served meanwhile.

Order makes it consistent: the checkpoints, then the logs of disclosures, then the database, then the bytes it
describes. Whatever a checkpoint vouches for is in its log, and whatever the database describes is in the store, since
bytes never change and sweeping is paused. The manifest comes last and says that all is there.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fhirmedia.backends.audit_heads import audit_heads
from fhirmedia.backends.backup_manifest import MANIFEST, KeptFile, KeptHead, Manifest, has_place
from fhirmedia.backends.copying import Stage, copy_database, copy_file, copy_objects, fresh_folder, hash_file
from fhirmedia.backends.folder import Folder, folder_version
from fhirmedia.backends.objects_files import sync_folder
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.clock import instant
from fhirmedia.core.errors import Category, Failure

CHECKPOINTS = "checkpoints.jsonl"


@dataclass(frozen=True, slots=True)
class BackupWish:
    """What the manifest is to say of program and present (milliseconds UTC), and whether bytes are to be linked."""

    program: str
    now: int
    link: bool


def back_up(folder: Folder, target: Path, wish: BackupWish, *, stage: Stage) -> Manifest:
    """Make a backup in an empty or new folder; on failure nothing of it is left.

    Raises Failure CONFLICT (not empty, or inside the data folder), DISK_FULL, UNAVAILABLE.
    """
    if target.resolve().is_relative_to(folder.path.resolve()):
        raise Failure(Category.CONFLICT, "A backup cannot be inside the folder it is made of.")
    with folder.hold(alone=False), folder.sweeps_paused(), fresh_folder(target):
        for part in ("keys", "audit"):
            (target / part).mkdir(mode=0o700)
        _copy_whole_lines(folder.audit / CHECKPOINTS, target / "audit" / CHECKPOINTS)
        for path in _plain_files(folder):
            copy_file(path, target / path.relative_to(folder.path))
        for path in sorted(folder.audit.glob("disclosures-*.*.db")):
            copy_database(path, target / "audit" / path.name, stage=stage)
        database = target / folder.records.name
        copy_database(folder.records, database, stage=stage)
        copied = copy_objects(database, folder.path / "objects", target / "objects", link=wish.link, stage=stage)
        for part in ("keys", "audit"):
            sync_folder(target / part)
        sequence, changed_at = _last_change(database)
        heads = audit_heads(database, target / "audit")
        manifest = Manifest(
            version=folder_version(folder.path),
            program=wish.program,
            made_at=instant(wish.now),
            last_change=sequence,
            last_change_at=None if changed_at is None else instant(changed_at),
            objects=copied.number,
            object_bytes=copied.size_bytes,
            heads=tuple(KeptHead(head.log_id, head.sequence, head.hash.hex()) for head in heads),
            damaged=copied.damaged,
            files=tuple(_described(target)),
        )
        draft = target / f"{MANIFEST}.new"
        draft.write_bytes(manifest.encode())
        hash_file(draft)
        draft.rename(target / MANIFEST)
    return manifest


def _plain_files(folder: Folder) -> Iterator[Path]:
    """What nobody writes to while it is copied: marks at the top, keys."""
    for path in sorted((*folder.path.iterdir(), *folder.keys.iterdir())):
        if path.is_file() and path != folder.records and has_place(str(path.relative_to(folder.path))):
            yield path


def _copy_whole_lines(source: Path, target: Path) -> None:
    """Without a line that is being written just now."""
    if source.exists():
        whole, newline, _ = source.read_bytes().rpartition(b"\n")
        target.write_bytes(whole + newline)
        target.chmod(0o600)


def _described(target: Path) -> Iterator[KeptFile]:
    for path in sorted((*target.iterdir(), *(target / "keys").iterdir(), *(target / "audit").iterdir())):
        if path.is_file():
            yield KeptFile(str(path.relative_to(target)), *hash_file(path))


def _last_change(database: Path) -> tuple[int, int | None]:
    with closing(open_reader(database)) as connection:
        row = connection.execute(
            "SELECT sequence, changed_at FROM record_version ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
    return row or (0, None)
