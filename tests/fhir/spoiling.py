"""Ways to spoil a sound resource, and what the checker finds then: the words of the checker's tables."""

from collections.abc import Callable
from typing import Any

from fhirmedia.r4.checker import check
from fhirmedia.r4.json_types import JsonObject
from tests.fhir.samples import sample

Spoil = Callable[[Any], object]
"""Changes a resource in place."""

Row = tuple[str, str, Spoil, str, str]
"""What is wrong, the type, how it is spoilt, the issue code, the expression."""

EXTENSION: JsonObject = {"url": "u", "valueCode": "x"}
EXTENDED: JsonObject = {"extension": [EXTENSION]}
XHTML = "http://www.w3.org/1999/xhtml"


def rows(type: str, *table: tuple[str, Spoil, str, str]) -> list[Row]:
    """Rows of one type, their paths written without it."""
    return [(name, type, spoil, code, f"{type}.{path}" if path else type) for name, spoil, code, path in table]


def found(type: str, spoil: Spoil) -> list[tuple[str, str | None]]:
    """Code and expression of each finding in a sample that was spoilt."""
    resource = sample(type)
    spoil(resource)
    return [(issue.code, issue.expression) for issue in check(resource, type=type)]


def put(**members: object) -> Spoil:
    """Sets root members."""
    return lambda resource: resource.update(members)


def within(*path: str | int, **members: object) -> Spoil:
    """Sets members of the object at a path."""

    def spoil(resource: Any) -> None:
        node = resource
        for step in path:
            node = node[step]
        node.update(members)

    return spoil


def without(*names: str) -> Spoil:
    """Takes root members away."""

    def spoil(resource: Any) -> None:
        for name in names:
            del resource[name]

    return spoil


def containing(**members: object) -> Spoil:
    """Changes the contained resource."""
    return within("contained", 0, **members)


def whole(div: object) -> Spoil:
    """Gives the resource a narrative."""
    return put(text={"status": "generated", "div": div})


def div(inside: str) -> Spoil:
    """Gives the resource a narrative with this in its div."""
    return whole(f'<div xmlns="{XHTML}">{inside}</div>')
