"""What clinicians wrote: for each complaint the reason, notes beside pictures, paragraphs of letters."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal

Complaint = Literal[
    "bowel", "burn", "ear", "eye", "fundus", "gait", "hand", "heart", "lesion", "radiology", "rash", "ulcer",
    "ultrasound",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """`notes` run from the first visit to the last; `{site}` in any of them stands for the body region."""

    reason: str
    notes: tuple[str, ...]
    history: str
    findings: str
    plan: str
    conclusion: str

    def note(self, stage: float) -> str:
        """The note that fits how far the course has come, 0…1."""
        return self.notes[min(int(stage * len(self.notes)), len(self.notes) - 1)]


@dataclass(frozen=True, slots=True)
class Language:
    """One language's words by complaint, and the phrases that all documents share."""

    tag: str
    history: str
    findings: str
    assessment: str
    plan: str
    greeting: str
    synthetic: str
    external_study: str
    patient_sent: str
    views: tuple[str, str, str]
    words: dict[Complaint, Words]


@cache
def language(*, swedish: bool) -> Language:
    """Swedish or Norwegian bokmål."""
    module = import_module("fhirmedia.demo.words_sv" if swedish else "fhirmedia.demo.words_nb")
    found: Language = module.LANGUAGE
    return found
