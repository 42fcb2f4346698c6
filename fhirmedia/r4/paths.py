"""Paths of elements while JSON is walked: linked on the way down, written as FHIRPath only when somebody needs them."""

import re
from typing import TypeAlias

Path: TypeAlias = "tuple[Path | None, str, int | None]"
"""The path of the owner, the element's name, and its index where it is one of an array."""

_SAYABLE = re.compile(r"_?[A-Za-z]{1,60}(?:[0-9]{1,3}[A-Za-z]{0,20})?").fullmatch


def written(path: Path) -> str:
    """FHIRPath of an element: `Media.identifier[0].value`."""
    steps: list[str] = []
    step: Path | None = path
    while step is not None:
        owner, name, index = step
        steps.append(name if index is None else f"{name}[{index}]")
        step = owner
    return ".".join(reversed(steps))


def sayable(name: str) -> str | None:
    """A member name fit to be repeated in an answer: it looks like an element's name, not like somebody's data."""
    return name if _SAYABLE(name) else None
