"""HL7's official R4 examples, for tests: fetched once, announced when they cannot be had, demanded under CI."""

import os
from collections.abc import Iterator

import pytest

from scripts.definitions import Definitions, UnavailableError

BULK = ("StructureDefinition-", "ValueSet-", "CodeSystem-", "SearchParameter-")
"""Definitions by the hundred: a sample is enough for every day."""


def definitions() -> Definitions:
    """The official package; without it the test is left out with a sentence, or fails where `CI` is `true`."""
    try:
        return Definitions()
    except UnavailableError as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"official examples are demanded under CI: {reason}")
        pytest.skip(f"official examples left out: {reason}")


def examples(source: Definitions, *, every: int) -> Iterator[tuple[str, bytes]]:
    """Name and text of each example; of the bulk definitions only each `every`-th, and nothing over 300 kB then."""
    for number, name in enumerate(source.names("")):
        if name in {"package.json", "ig-r4.json"}:
            continue
        if every > 1 and (source.size_bytes(name) > 300_000 or (name.startswith(BULK) and number % every)):
            continue
        yield name, source.content(name)
