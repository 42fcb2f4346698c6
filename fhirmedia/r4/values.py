"""Search values: what a resource says, in the normal form every engine compares.

A value belongs to one search parameter of one resource. `group` numbers the repetition it came from, so that the parts
of a composite meet within one repetition (FHIR R4, search, composite). Times are milliseconds UTC in half-open ranges.

A resource has some twenty values, so they are of the kind that is made fastest: Structs take a fifteenth of the time of
frozen dataclasses. None holds what could hold it, so they are no garbage to look through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from fhirmedia.core.records import Key

BEGINNING = -(2**62)
"""The open start of a range of time."""
END = 2**62
"""The open end of a range of time."""


class TokenValue(Struct, frozen=True, gc=False):
    """A coded value: `system` is None where the element states none; `code` is in its normal form (see `tokens`).

    `spelled` is the code as it was written, where that differs; it is shown, and never compared.
    """

    system: str | None
    code: str | None
    group: int = 0
    spelled: str | None = None

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TokenValue)
            and self.code == other.code
            and self.system == other.system
            and self.group == other.group
        )

    def __hash__(self) -> int:
        return hash((self.system, self.code, self.group))


class DateValue(Struct, frozen=True, gc=False):
    """A stretch of time `[lo, hi)`."""

    lo: int
    hi: int
    group: int = 0


class ReferenceValue(Struct, frozen=True, gc=False):
    """A reference: `key` for a local record (with `version` where it names one), else `url`; a logical identifier."""

    key: Key | None = None
    version: int | None = None
    url: str | None = None
    identifier: TokenValue | None = None
    group: int = 0


class StringValue(Struct, frozen=True, gc=False):
    """Text: `plain` is folded, `exact` is NFC; both cut to the indexed length."""

    plain: str
    exact: str
    group: int = 0


class UriValue(Struct, frozen=True, gc=False):
    """A URI, compared by code points."""

    value: str
    group: int = 0


class NumberValue(Struct, frozen=True, gc=False):
    """A number or a range of numbers, both ends included."""

    lo: float
    hi: float
    group: int = 0


class QuantityValue(Struct, frozen=True, gc=False):
    """A quantity reading in one unit; `unit` is the printed one."""

    lo: float
    hi: float
    system: str | None = None
    code: str | None = None
    unit: str | None = None
    group: int = 0


SearchValue = TokenValue | DateValue | ReferenceValue | StringValue | UriValue | NumberValue | QuantityValue


def in_group(value: SearchValue, group: int) -> SearchValue:
    """The same value from the repetition of that number."""
    return replace(value, group=group)


@dataclass(frozen=True, slots=True)
class IndexEntries:
    """All that engines store about one current resource.

    `values` maps a parameter's code to its values (absent means none); `patients` are the ids of the local Patients in
    whose compartment the resource is; `texts` maps a text field (`text`, `_text`, `_content`) to its words.
    """

    key: Key
    values: Mapping[str, tuple[SearchValue, ...]]
    patients: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
