"""Key, Record and Facts: what is stored, and what access decisions know about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Method = Literal["create", "update-as-create", "update", "delete"]
"""How a version came to be; `update-as-create` began, or began anew, under an id that its client named."""

CONFIDENTIALITY = ("U", "L", "M", "N", "R", "V")
"""HL7 v3 Confidentiality codes, from open to very restricted."""


class Key(NamedTuple):
    """The identity of a resource: `Media/abc`."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def parse_key(text: str) -> Key:
    """`Media/abc` as a Key; raises ValueError for any other form."""
    kind, slash, identity = text.partition("/")
    if not slash or not kind or not identity or "/" in identity:
        raise ValueError("not a relative reference")
    return Key(kind, identity)


@dataclass(frozen=True, slots=True)
class Facts:
    """What access decisions need, extracted once when a version is written and stored beside it.

    `patients` are ids of local Patients reached by any compartment parameter; `unit` and `enterprise` are ids of
    local Organizations; `labels` and the values of `tokens` read `system|code`; `authors` and `encounter` read
    `Type/id`; `binaries` are the ids of Binaries the version refers to.
    """

    patients: tuple[str, ...] = ()
    unit: str | None = None
    enterprise: str | None = None
    authors: tuple[str, ...] = ()
    encounter: str | None = None
    status: str | None = None
    source: Literal["staff", "patient", "external"] = "staff"
    confidentiality: str = "N"
    labels: tuple[str, ...] = ()
    binaries: tuple[str, ...] = ()
    tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: str | None = None
    """Of a Binary nobody refers to yet: `issuer|subject|client` of its uploader."""
    facts_version: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One immutable version of a resource.

    `sequence` is the position in the log of all changes; `changed_at` is in milliseconds UTC; `body` is the JSON as
    bytes with `id` and `meta` set, and None where the version marks a deletion or its body is projected.
    """

    key: Key
    version: int
    sequence: int
    changed_at: int
    method: Method
    body: bytes | None
    facts: Facts

    @property
    def deleted(self) -> bool:
        return self.method == "delete"

    @property
    def created(self) -> bool:
        """Whether nothing was there before this version."""
        return self.method in ("create", "update-as-create")
