"""The small, hand-made corpora that the conformance tables are about."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.access.records import a, places
from tests.fhir.timelines import START_MS, media, others, people

HERE = Path(__file__).parent / "search"
_HOUR_MS = 3_600_000
_INSTANCES = 900


def corpus(name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Resources with the time they were last updated; those of `reach` one after the other."""
    if name == "timeline":
        newest = {(each["resourceType"], each["id"]): each for each in (*places(), *people(), *media())}
        yield from ((each, START_MS) for each in newest.values())
        yield from ((each, START_MS + _HOUR_MS) for each in others())
        return
    lines = (HERE / "corpora" / f"{name.partition('-')[0]}.ndjson").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        yield json.loads(line), START_MS + (number if name == "reach" else 0)
    if name == "reach":
        yield long_study(), START_MS


def long_study() -> dict[str, Any]:
    """A study of 900 instances, which nobody wants to read as a line."""
    instances = [
        {"uid": f"1.2.3.{number}", "sopClass": {"code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}
        for number in range(1, _INSTANCES + 1)
    ]
    series = [{"uid": "1.2.3", "modality": {"code": "CT"}, "instance": instances}]
    return a("ImagingStudy", "long", of="bo", unit="heart", series=series)
