"""How much of a file system writing leaves free, so that reading, which is audited, can go on when it is full."""

import os
from pathlib import Path

RESERVE_BYTES = 64 * 2**20
RESERVE_SHARE = 16
"""On a small file system the reserve is one part in so many."""


def has_room(folder: Path, more_bytes: int = 0) -> bool:
    """Whether so much may be written to the file system of a folder without touching the reserve."""
    state = os.statvfs(folder)
    reserve = min(RESERVE_BYTES, state.f_blocks * state.f_frsize // RESERVE_SHARE)
    return state.f_bavail * state.f_frsize - more_bytes >= reserve
