"""The page of memory shared with the shim: which call is under way, and which one is to fail."""

import errno
import mmap
import struct
from pathlib import Path

OPERATIONS = ("write", "sync", "rename", "open", "unlink", "mkdir", "truncate", "link", "look")
KINDS = (
    "received bytes",
    "objects",
    "records log",
    "records",
    "audit log",
    "audit",
    "checkpoints",
    "other",
)
"""As in shim.c: what a path is about, by its place in the folder."""

SHORT, ALL = -1, -1
LOOK = OPERATIONS.index("look")
"""Opening what is there changes nothing."""

_NUMBER = struct.Struct("=i")
_ARMED, _OPERATION, _KIND, _COUNTDOWN, _ERROR, _FIRED, _LAST, _DONE = (4 * at for at in range(8))
_ACTIVE = _DONE + 4 * len(OPERATIONS)
_SIZE = _ACTIVE + 4 * len(OPERATIONS) * len(KINDS)


class Control:
    """The page, in a file of its own."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self.path = path
        self.clear()

    def clear(self) -> None:
        """Nothing is under way, nothing was done, nothing fails."""
        self._page[:] = bytes(_SIZE)
        self._set(_LAST, -1)

    def fail_once(self, operation: str, error: int, *, after: int = 0) -> None:
        """Make one call fail, or (SHORT) do only half, once `after` others of its operation have passed."""
        self._arm(1, OPERATIONS.index(operation), error, after)

    def fill_up(self) -> None:
        """From now on nothing finds room."""
        self._arm(2, ALL, errno.ENOSPC, 0)

    def disarm(self) -> None:
        """Calls succeed again."""
        self._set(_ARMED, 0)

    @property
    def fired(self) -> int:
        """How many calls were made to fail."""
        return self._get(_FIRED)

    def done(self, operation: str) -> int:
        """How many calls of an operation have ended."""
        return self._get(_DONE + 4 * OPERATIONS.index(operation))

    def is_under_way(self, operation: str, kind: str) -> bool:
        """Whether a process is inside such a call now."""
        at = OPERATIONS.index(operation) * len(KINDS) + KINDS.index(kind)
        return self._get(_ACTIVE + 4 * at) > 0

    def phases(self) -> list[str]:
        """What a process is in the middle of; what it did last where that is nothing."""
        active = [
            f"{OPERATIONS[at // len(KINDS)]} {KINDS[at % len(KINDS)]}"
            for at in range(len(OPERATIONS) * len(KINDS))
            if self._get(_ACTIVE + 4 * at) > 0 and at // len(KINDS) != LOOK
        ]
        last = self._get(_LAST)
        if active or last < 0:
            return active or ["before the first call"]
        return [f"after {OPERATIONS[last // len(KINDS)]} {KINDS[last % len(KINDS)]}"]

    def _arm(self, how: int, operation: int, error: int, after: int) -> None:
        for place, value in (
            (_OPERATION, operation),
            (_KIND, ALL),
            (_COUNTDOWN, after),
            (_ERROR, error),
            (_FIRED, 0),
            (_ARMED, how),
        ):
            self._set(place, value)

    def _get(self, place: int) -> int:
        (value,) = _NUMBER.unpack_from(self._page, place)
        return int(value)

    def _set(self, place: int, value: int) -> None:
        _NUMBER.pack_into(self._page, place, value)
