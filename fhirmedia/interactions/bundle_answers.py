"""What became of an entry of a Bundle."""

from dataclasses import dataclass
from typing import Literal

from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Record
from fhirmedia.custody.writing import Written

Change = Literal["created", "updated", "deleted", "found", "read"]


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """One of the three: a version and how it came about, a Bundle that was asked for, or a Failure."""

    record: Record | None = None
    change: Change = "read"
    bundle: bytes | None = None
    failure: Failure | None = None


def answer_of(written: Written) -> EntryAnswer:
    """What a write came to."""
    record = written.record
    if written.found:
        return EntryAnswer(record, "found")
    if record.deleted:
        return EntryAnswer(record, "deleted")
    return EntryAnswer(record, "created" if record.created else "updated")
