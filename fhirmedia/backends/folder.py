"""The data folder: what is in it, how it is made, and when it may be opened.

VERSION      the schema the folder has        records.db  versions, facts, index, log of changes
objects/     bytes by digest                  audit/      logs of disclosures, checkpoints
keys/        keys of this installation        run/        locks; nothing worth a backup
tmp/         bytes being received             DEMO        present only in a folder of `fhirmedia demo`
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fhirmedia.backends.index_rebuild import is_complete
from fhirmedia.backends.migrations import SCHEMA_VERSION, STEPS, make_schema
from fhirmedia.backends.objects_files import sync_folder
from fhirmedia.backends.sqlite import open_reader, open_writer
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import DEFAULT_LANGUAGE

VOLATILE = frozenset({"tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"})
"""File systems that forget, or that do not keep the promises of fsync and locks."""

MADE_BEFORE_VERSION = frozenset(
    {"keys", "audit", "run", "DEMO", "VERSION.new", *(f"records.db{end}" for end in ("", "-journal", "-wal", "-shm"))}
)
"""What may stand in a folder whose making was cut short."""

UNFINISHED = "(unfinished)"
"""Stands for the time zone until every index row is of the new one, so that nobody serves a mixture."""


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
        lock = self._lock("folder.lock", (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        if lock is None:
            text = "Stop the server first." if alone else "Another command has the folder to itself; wait for it."
            raise Failure(Category.CONFLICT, f"The data folder is in use. {text}")
        return lock

    def hold_filling(self) -> IO[str]:
        """The right to fill in a search parameter, until the file is closed. Raises Failure CONFLICT."""
        lock = self._lock("filling.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            raise Failure(Category.CONFLICT, "Another search parameter is being indexed by; wait for it.")
        return lock

    def take_sweeper(self) -> IO[str] | None:
        """The right to sweep, until the file is closed; None while another process has it."""
        return self._lock("sweeper.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def index_bell(self) -> Path:
        """Where writes ring for whoever follows them."""
        return self.run / "index.bell"

    @contextmanager
    def index_turn(self) -> Iterator[bool]:
        """The right to make and fill indexes beside the database: true inside for one process at a time."""
        lock = self._lock("index-turn.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.close()

    def index_worker(self) -> IO[str]:
        """Held, until it is closed, by a process that does nothing but index, so that servers leave it to that."""
        lock = self._lock("index-worker.lock", fcntl.LOCK_SH)
        assert lock is not None
        return lock

    def has_index_worker(self) -> bool:
        """Whether there is such a process."""
        lock = self._lock("index-worker.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is not None:
            lock.close()
        return lock is None

    def take_reader(self) -> IO[str] | None:
        """The right to read texts, until the file is closed; None while another process has it."""
        return self._lock("texts.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)

    @contextmanager
    def sweep_turn(self) -> Iterator[bool]:
        """One step of a sweep: true inside unless somebody has paused the sweeps."""
        lock = self._lock("sweeping.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.close()

    @contextmanager
    def sweeps_paused(self) -> Iterator[None]:
        """Nothing is swept inside; waits for the step under way."""
        lock = self._lock("sweeping.lock", fcntl.LOCK_SH)
        try:
            yield
        finally:
            if lock is not None:
                lock.close()

    def _lock(self, name: str, how: int) -> IO[str] | None:
        self.run.mkdir(mode=0o700, exist_ok=True)
        lock = (self.run / name).open("a")
        try:
            fcntl.flock(lock, how)
        except BlockingIOError:
            lock.close()
            return None
        return lock


def make_folder(
    path: Path, *, timezone: str, language: str = DEFAULT_LANGUAGE, mark: Callable[[Path], None] = lambda _: None
) -> Folder:
    """Make an empty or absent folder into a data folder, or finish one whose making was cut short.

    `mark` puts into it what it must never be without. VERSION comes last, so a folder that has one is whole. Raises
    Failure CONFLICT if other things are in it, or somebody is making it now.
    """
    _make_path_durably(path)
    _require_unmade(path)
    path.chmod(0o700)
    folder = Folder(path)
    with folder.hold(alone=True):
        _require_unmade(path)  # somebody may have finished it since
        for part in (folder.keys, folder.audit):
            part.mkdir(mode=0o700, exist_ok=True)
        old = os.umask(0o077)
        try:
            with closing(open_writer(folder.records)) as connection:
                make_schema(connection)
                connection.execute("INSERT OR REPLACE INTO installation VALUES ('timezone', ?)", (timezone,))
                connection.execute("INSERT OR REPLACE INTO installation VALUES ('language', ?)", (language,))
            mark(path)
            _write_durably(path / "VERSION", f"{SCHEMA_VERSION}\n")
        finally:
            os.umask(old)
    return folder


def _require_unmade(path: Path) -> None:
    """Raise Failure CONFLICT unless all that is in a folder is what making one leaves behind when it is cut short.

    Whatever was opened once has `keys/` or `objects/` with something in it, and is nothing to be made again.
    """
    made = {each.name for each in path.iterdir()}
    kept = [each for name in ("keys", "audit") if name in made for each in (path / name).iterdir()]
    if kept or not made <= MADE_BEFORE_VERSION:
        raise Failure(Category.CONFLICT, f"{path} holds other files; name an empty or new folder.")


def open_folder(path: Path, *, timezone: str | None, allow_volatile: bool, language: str = DEFAULT_LANGUAGE) -> Folder:
    """A data folder made before. Raises Failure with a sentence for whoever started the program.

    `timezone` None accepts any zone and language, and an index whose rebuild was interrupted: for whoever builds it
    anew.
    """
    folder = Folder(path)
    found = folder_version(path)
    if found < int(SCHEMA_VERSION):
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
    with closing(open_reader(folder.records)) as connection:
        (zone,) = connection.execute("SELECT value FROM installation WHERE name = 'timezone'").fetchone()
        (spoken,) = connection.execute("SELECT value FROM installation WHERE name = 'language'").fetchone()
        is_indexed = is_complete(connection)
    if timezone is None:
        return folder
    if zone == UNFINISHED or not is_indexed:
        raise Failure(
            Category.CONFLICT,
            f"The search index is not complete; run `fhirmedia reindex --data {path}`.",
        )
    if zone != timezone:
        raise Failure(
            Category.CONFLICT,
            f"The folder was indexed for {zone}, FHIRMEDIA_TIMEZONE says {timezone}. Set it back, or run "
            f"`fhirmedia reindex --data {path}`.",
        )
    if spoken != language:
        raise Failure(
            Category.CONFLICT,
            f"The folder was indexed for names in {spoken}, FHIRMEDIA_LANGUAGE says {language}. Set it back, or run "
            f"`fhirmedia reindex --data {path}`.",
        )
    return folder


def served_base_url(folder: Folder) -> str | None:
    """The FHIR base the folder was last served at; None if it never was."""
    with closing(open_reader(folder.records)) as connection:
        found = connection.execute("SELECT value FROM installation WHERE name = 'base_url'").fetchone()
    return None if found is None else str(found[0])


def note_base_url(folder: Folder, base_url: str) -> None:
    """Keep, durably, at which FHIR base the folder is served."""
    with closing(open_writer(folder.records)) as connection:
        connection.execute("INSERT OR REPLACE INTO installation (name, value) VALUES ('base_url', ?)", (base_url,))


def folder_version(path: Path) -> int:
    """The version of a data folder: what VERSION or the database says, whichever is older.

    They differ only where `fhirmedia migrate` was interrupted. Raises Failure NOT_FOUND if it is no data folder,
    CONFLICT if it is one of a newer program.
    """
    folder = Folder(path)
    if not folder.exists:
        raise Failure(Category.NOT_FOUND, f"{path} is not a data folder of fhirmedia.")
    stated = (path / "VERSION").read_text().strip()
    try:
        with closing(open_reader(folder.records)) as connection:
            (made,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        text = "The database of the folder cannot be read; restore a backup into another folder."
        raise Failure(Category.CORRUPT, text) from None
    if not stated.isdecimal() or max(int(stated), made) > int(SCHEMA_VERSION):
        raise Failure(
            Category.CONFLICT,
            f"The data folder was made by a newer fhirmedia; this program knows versions up to {SCHEMA_VERSION}.",
        )
    return min(int(stated), int(made))


def migrate_folder(folder: Folder, *, steps: Path = STEPS, version: str = SCHEMA_VERSION) -> None:
    """Bring the folder's database to the newest schema, wholly or not at all; whoever calls holds the folder alone."""
    with closing(open_writer(folder.records)) as connection:
        make_schema(connection, steps=steps, version=version)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    _write_durably(folder.path / "VERSION", f"{version}\n")


def file_system_of(path: Path) -> str:
    """The type of the file system a path is on, as the kernel names it."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return "unknown"


def _make_path_durably(path: Path) -> None:
    """The folder and those above it that are missing; a name is durable once the folder it stands in is synced."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700)
    for each in missing:
        sync_folder(each.parent)


def _write_durably(path: Path, text: str) -> None:
    """As a whole or not at all."""
    draft = path.with_name(path.name + ".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)
