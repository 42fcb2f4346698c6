"""The one exception of the house: a category, an issue code, an element path; never a value a client sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from traceback import walk_tb
from types import TracebackType
from typing import Self

_PLACES = 8


class Category(StrEnum):
    """What went wrong, as every layer names it; `web/errors` turns it into HTTP, `dimse` into a DICOM status.

    The value is the default issue code (FHIR R4 value set issue-type).
    """

    code: str

    INVALID = "invalid", "invalid"
    UNPROCESSABLE = "unprocessable", "business-rule"
    UNAUTHENTICATED = "unauthenticated", "login"
    FORBIDDEN = "forbidden", "forbidden"
    NOT_FOUND = "not-found", "not-found"
    NOT_ALLOWED = "not-allowed", "not-supported"
    NOT_ACCEPTABLE = "not-acceptable", "not-supported"
    GONE = "gone", "deleted"
    CONFLICT = "conflict", "conflict"
    PRECONDITION = "precondition", "conflict"
    PRECONDITION_REQUIRED = "precondition-required", "required"
    TOO_LARGE = "too-large", "too-long"
    URI_TOO_LONG = "uri-too-long", "too-long"
    HEADERS_TOO_LARGE = "headers-too-large", "too-long"
    UNSUPPORTED_MEDIA = "unsupported-media", "not-supported"
    RANGE = "range", "invalid"
    TOO_COSTLY = "too-costly", "too-costly"
    THROTTLED = "throttled", "throttled"
    CORRUPT = "corrupt", "exception"
    UNAVAILABLE = "unavailable", "transient"
    DISK_FULL = "disk-full", "no-store"
    NOT_IMPLEMENTED = "not-implemented", "not-supported"
    INTERNAL = "internal", "exception"

    def __new__(cls, value: str, code: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        return member


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding, ready for an OperationOutcome: issue code, a sentence without values, FHIRPath of the element."""

    code: str
    text: str
    expression: str | None = None
    severity: str = "error"


class Failure(Exception):
    """The only exception raised on purpose; `issues` has at least one entry."""

    def __init__(
        self,
        category: Category,
        text: str = "",
        *,
        code: str | None = None,
        expression: str | None = None,
        issues: Sequence[Issue] = (),
        retry_after_s: int | None = None,
    ) -> None:
        self.category = category
        self.issues: tuple[Issue, ...] = tuple(issues) or (Issue(code or category.code, text, expression),)
        self.retry_after_s = retry_after_s
        super().__init__(f"{category}: {self.issues[0].text}")


def places_of(trace: TracebackType | None) -> str:
    """Where an exception came from, by module and line, the last few: its text may quote what nobody may see."""
    places = [f"{frame.f_globals.get('__name__')}:{line}" for frame, line in walk_tb(trace)]
    return " > ".join(places[-_PLACES:])
