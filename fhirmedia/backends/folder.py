"""The data folder: what is in it, how it is made, and when it may be opened.

VERSION      the schema the folder has        records.db  versions, facts, index, log of changes
objects/     bytes by digest                  audit/      logs of disclosures, checkpoints
keys/        keys of this installation        run/        locks; nothing worth a backup
tmp/         bytes being received             DEMO        present only in a folder of `fhirmedia demo`
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fhirmedia.backends.migrations import SCHEMA_VERSION, make_schema
from fhirmedia.backends.objects_files import sync_folder
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure

VOLATILE = frozenset({"tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"})
"""File systems that forget, or that do not keep the promises of fsync and locks."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths of one data folder."""

    path: Path

    @property
    def records(self) -> Path:
        return self.path / "records.db"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def audit(self) -> Path:
        return self.path / "audit"

    @property
    def write_lock(self) -> Path:
        return self.run / "write.lock"

    @property
    def exists(self) -> bool:
        """Whether something was installed here."""
        return (self.path / "VERSION").exists()

    def hold(self, *, alone: bool) -> IO[str]:
        """Keep the folder open beside others, or alone; held until the file is closed. Raises Failure CONFLICT."""
        self.run.mkdir(mode=0o700, exist_ok=True)
        lock = (self.run / "folder.lock").open("a")
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            text = "Stop the server first." if alone else "Another command has the folder to itself; wait for it."
            raise Failure(Category.CONFLICT, f"The data folder is in use. {text}") from None
        return lock


def make_folder(path: Path, *, timezone: str) -> Folder:
    """Make an empty or absent folder into a data folder. Raises Failure CONFLICT if other things are in it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise Failure(Category.CONFLICT, f"{path} holds other files; name an empty or new folder.")
    path.chmod(0o700)
    folder = Folder(path)
    for part in (folder.keys, folder.run, folder.audit):
        part.mkdir(mode=0o700)
    old = os.umask(0o077)
    try:
        with closing(open_writer(folder.records)) as connection:
            make_schema(connection)
            connection.execute("INSERT INTO installation VALUES ('timezone', ?)", (timezone,))
        _write_durably(path / "VERSION", f"{SCHEMA_VERSION}\n")
    finally:
        os.umask(old)
    return folder


def open_folder(path: Path, *, timezone: str, allow_volatile: bool) -> Folder:
    """A data folder made before. Raises Failure with a sentence for whoever started the program."""
    folder = Folder(path)
    if not folder.exists:
        raise Failure(Category.NOT_FOUND, f"{path} is not a data folder of fhirmedia.")
    found = (path / "VERSION").read_text().strip()
    if found != SCHEMA_VERSION:
        raise Failure(
            Category.CONFLICT,
            f"The data folder has version {found}, this program wants {SCHEMA_VERSION}. Make a backup, then run "
            f"`fhirmedia migrate --data {path}`.",
        )
    kind = file_system_of(path)
    if kind in VOLATILE and not allow_volatile:
        raise Failure(
            Category.CONFLICT,
            f"The data folder is on {kind}, which does not keep what it acknowledges. Choose a local disk, or set "
            "FHIRMEDIA_ALLOW_VOLATILE_STORAGE=1 to accept that.",
        )
    with closing(sqlite3.connect(f"file:{folder.records}?mode=ro", uri=True)) as connection:
        (zone,) = connection.execute("SELECT value FROM installation WHERE name = 'timezone'").fetchone()
    if zone != timezone:
        raise Failure(
            Category.CONFLICT,
            f"The folder was indexed for {zone}, FHIRMEDIA_TIMEZONE says {timezone}. Set it back, or run "
            f"`fhirmedia reindex --data {path}`.",
        )
    return folder


def file_system_of(path: Path) -> str:
    """The type of the file system a path is on, as the kernel names it."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return "unknown"


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
