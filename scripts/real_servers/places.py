"""Where servers and downloads lie, and which user runs them."""

import fcntl
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ROOT / ".services"
"""Downloads, records of what runs, and, where the ordinary user may go, the servers themselves."""

ELSEWHERE = Path("/var/tmp")


class UnavailableError(Exception):
    """A server cannot be had; the text is one sentence for the person at the keyboard."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Whom a server runs as; None where it is whoever calls."""

    uid: int | None = None
    gid: int | None = None

    def own(self, folder: Path) -> None:
        """Give the folder and all in it to the runner."""
        if self.uid is None or self.gid is None:
            return
        os.chown(folder, self.uid, self.gid)
        for place, folders, files in os.walk(folder):
            for name in folders + files:
                os.chown(Path(place) / name, self.uid, self.gid, follow_symlinks=False)


def runner() -> Runner:
    """Whoever calls, or `nobody` where that is root: some servers refuse to run as root."""
    if os.geteuid() != 0:
        return Runner()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise UnavailableError("There is no user nobody to run a server as: call this as an ordinary user.") from None
    return Runner(nobody.pw_uid, nobody.pw_gid)


def enterable(folder: Path) -> bool:
    """Whether any user may reach what lies in the folder; one still missing is judged by the first that is there."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return all(place.stat().st_mode & stat.S_IXOTH for place in (there, *there.parents))


def grounds(services: Path = SERVICES) -> Path:
    """The folder servers live in: `services`, or one of its own in /var/tmp if only root may enter that.

    Raises UnavailableError where the folder in /var/tmp belongs to somebody else.
    """
    if runner().uid is None or enterable(services):
        services.mkdir(parents=True, exist_ok=True)
        return services
    name = hashlib.sha256(str(services).encode()).hexdigest()[:12]
    folder = ELSEWHERE / f"fhirmedia-services-{name}"
    folder.mkdir(mode=0o755, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UnavailableError(f"{folder} is not ours: remove it, or clone to a folder that every user may enter.")
    folder.chmod(0o755)
    return folder


@contextmanager
def locked(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of that name while the block runs; False if it is taken and `wait` is not. A crash frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
