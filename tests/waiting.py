"""Waiting for what happens beside the test."""

import time
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """What `holds` returns, once that is true."""
    given_up_at = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < given_up_at, "it did not come true in time"
        time.sleep(0.01)
    return found
