"""Which AuditEvents one Disclosure becomes, and how they are named."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from fhirmedia.core.disclosure import Disclosure, Touch

PATIENT = "Patient"  # type-name: an attempt to reach a Patient concerns that patient, whatever came of it

_COUNT = re.compile(r"[1-9][0-9]{0,17}\Z")


class EventId(NamedTuple):
    """The id of an AuditEvent: the log, the sequence of the row, and which of the row's events, counted from 1."""

    log_id: str
    sequence: int
    number: int

    def __str__(self) -> str:
        return f"{self.log_id}-{self.sequence}-{self.number}"


def parse_event_id(text: str) -> EventId | None:
    """An id by its parts; None if it cannot be one of ours."""
    match text.rsplit("-", 2):
        case [log_id, sequence, number] if log_id and _COUNT.match(sequence) and _COUNT.match(number):
            return EventId(log_id, int(sequence), int(number))
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Share:
    """What one AuditEvent tells of a Disclosure: one patient, and what was touched of theirs."""

    patient: str | None
    touched: tuple[Touch, ...]


def shares(disclosure: Disclosure) -> list[Share]:
    """One Share per patient, in order, or one without a patient; what concerns nobody is told with the first.

    What was refused and is not known to concern anybody may be another patient's: it has a Share of its own, the last.
    """
    own: dict[str | None, list[Touch]] = {patient: [] for patient in disclosure.patients}
    unconcerned: list[Touch] = []
    refused: list[Touch] = []
    for touch in disclosure.touched:
        itself = (touch.key.id,) if touch.key.type == PATIENT else ()
        for patient in dict.fromkeys(touch.patients + itself):
            own.setdefault(patient, []).append(touch)
        if not touch.patients and not itself:
            (refused if touch.depth == "refused" else unconcerned).append(touch)
    own = own or {None: []}
    next(iter(own.values())).extend(unconcerned)
    if refused:
        own.setdefault(None, []).extend(refused)
    return [Share(patient, tuple(touched)) for patient, touched in own.items()]
