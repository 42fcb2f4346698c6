"""A start makes half a million objects that stay: looking through them for garbage again and again is a tenth of it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected inside, and what was made inside is not looked through afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Garbage is looked for after a hundred thousand new objects, and not among those that were there before.

    For work that makes objects by the million and drops them as they are done with: looking through them is a fifth.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
