"""How IHE's Basic Audit Log Patterns tell of each interaction: profile, action, subtypes, the parts of both sides."""

from dataclasses import dataclass

Code = tuple[str, str, str]
"""System, code, display."""

INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
OPERATIONS = "https://fhirmedia.org/CodeSystem/operation"
SENT = "content-sent"
"""How much of some content left, told when that is over; not a look of its own."""

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_SOURCE: Code = (_DCM, "110153", "Source Role ID")
_DESTINATION: Code = (_DCM, "110152", "Destination Role ID")
_APPLICATION: Code = (_DCM, "110150", "Application")
_CUSTODIAN: Code = ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian")


@dataclass(frozen=True, slots=True)
class Kind:
    """How BALP tells of an interaction: its profile, action, subtypes, and the parts of client and server."""

    profile: str | None
    action: str
    subtypes: tuple[str, ...]
    client: Code = _SOURCE
    server: Code = _DESTINATION

    @property
    def writes(self) -> bool:
        return self.action in "CUD"


def _read(*subtypes: str) -> Kind:
    return Kind("Read", "R", subtypes, client=_DESTINATION, server=_SOURCE)


_KINDS = {
    "read": _read("read"),
    "vread": _read("vread"),
    "content": _read("read"),
    SENT: Kind(None, "R", (SENT,), client=_DESTINATION, server=_SOURCE),
    "rendition": _read("read"),
    "history-instance": _read("read", "history-instance"),
    "history-type": _read("read", "history-type"),
    "history-system": _read("read", "history-system"),
    "search-type": Kind("Query", "E", ("search-type",)),
    "search-system": Kind("Query", "E", ("search-system",)),
    "create": Kind("Create", "C", ("create",)),
    "update": Kind("Update", "U", ("update",)),
    "patch": Kind("Update", "U", ("patch",)),
    "meta": _read("read"),
    "meta-add": Kind("Update", "U", ("update",)),
    "meta-delete": Kind("Update", "U", ("update",)),
    "delete": Kind("Delete", "D", ("delete",), client=_APPLICATION, server=_CUSTODIAN),
}


_RESTFUL = frozenset({
    *_KINDS.keys() - {"content", SENT, "rendition", "meta", "meta-add", "meta-delete"},
    "history", "search", "capabilities", "transaction", "batch", "operation",
})  # fmt: skip
"""R4's codes for interactions."""

NAMED = _RESTFUL | _KINDS.keys()
"""The interactions that are not told as an operation under its own name."""


def kind_of(interaction: str) -> Kind:
    """The pattern of an interaction; one that BALP does not know is an execution, under its own name where R4 has none.

    What the archive does by itself is told as operations, too.
    """
    known = _KINDS.get(interaction)
    if known is not None:
        return known
    return Kind(None, "E", (interaction,) if interaction in _RESTFUL else (interaction, "operation"))


def interactions_with(subtype: str) -> list[str]:
    """Those of the named interactions whose AuditEvents have this subtype."""
    return sorted(interaction for interaction in NAMED if subtype in kind_of(interaction).subtypes)


def subtype_of(code: str) -> Code:
    """A subtype with its system: R4's, or ours for an operation under its own name."""
    return (INTERACTIONS if code in _RESTFUL else OPERATIONS, code, code)
