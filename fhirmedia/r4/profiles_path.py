"""Where the facts of `profiles/` lie, installed as a wheel or run from a working copy."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


@cache
def profiles() -> Traversable:
    """The folder of the switchboard, the facts of R4 and our own definitions.

    In a wheel it is `fhirmedia/profiles`; in an editable install the build places it beside the package, so the
    folder beside the package is taken when the inner one is absent.
    """
    inner = files("fhirmedia") / "profiles"
    return inner if inner.is_dir() else Path(__file__).parents[2] / "profiles"
