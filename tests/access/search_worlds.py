"""Worlds to search: of every type records that are shown and hidden ones that share values and refer to each other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.core.records import Key
from fhirmedia.core.settings import Settings
from fhirmedia.r4.checker import check
from fhirmedia.r4.codec import dump
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.registry import Registry, load_registry
from fhirmedia.r4.values import IndexEntries
from tests.access.records import ABOUT, CLINICAL, Resource, a, label, places
from tests.access.worlds import EVENING, MINUTE, MORNING, Hands, Someone, World
from tests.fhir.generated import generated
from tests.servers import serving

Entry = dict[str, Any]

KINDS = (*CLINICAL, *ABOUT)
_CONTENT = ("data", "hash", "size", "contentType")
"""Of attachments made by chance, which would not fit each other."""
_SNOMED = "http://snomed.info/sct"
_LEFT_ARM = {
    "coding": [{"system": _SNOMED, "code": "53120007"}],
    "extension": [{
        "url": "https://fhirmedia.org/StructureDefinition/laterality",
        "valueCodeableConcept": {"coding": [{"system": _SNOMED, "code": "7771000"}]},
    }],
}  # fmt: skip
POINTED_AT = "a-1"
"""The id that generated references name: hidden wherever it is about somebody."""


@dataclass(frozen=True, slots=True)
class Looker:
    """One who looks at both worlds of a pair: a name, scopes, and what the token is bound to."""

    name: str
    scope: str
    bound: Mapping[str, Any]
    types: tuple[str, ...] = (*KINDS, "Patient")
    """The types it may search and read."""
    counts_only: bool = False


PATIENTS = Someone(
    "patients", "patient/*.rs", {"patient": "anna"}, ({"of": "bo"}, {"of": "bo", "unit": "eyes"}), hides_patients=True
)
UNITS = Someone("units", "user/*.rs", {"units": ["derm"]}, ({"unit": "eyes"}, {"of": "bo", "unit": None}))
LABELS = Someone(
    "status and label",
    "user/Media.rs?status=completed user/Patient.rs",
    {},
    ({"status": "in-progress"}, {"status": "entered-in-error", "unit": "eyes", "meta": {"security": [label("R")]}}),
)
PAIRS: tuple[tuple[Someone, tuple[Looker, ...]], ...] = (
    (
        PATIENTS,
        (
            Looker("Anna", "patient/*.rs", {"patient": "anna"}),
            Looker("Anna reading her log", "patient/*.rs", {"patient": "anna", "roles": ["auditor"]}, ("Media",)),
            Looker(
                "Anna's viewer",
                "patient/Media.rs patient/Patient.rs patient/Encounter.s",
                {"patient": "anna"},
                ("Media", "Patient"),
            ),
        ),
    ),
    (
        UNITS,
        (
            Looker("dermatology", "user/*.rs", {"units": ["derm"]}),
            Looker("dermatology's analyst", "user/*.s", {"units": ["derm"]}, (), counts_only=True),
            Looker(
                "a letter reader",
                "user/DocumentReference.rs user/DiagnosticReport.rs user/Patient.rs user/Media.r",
                {"units": ["derm"]},
                ("DocumentReference", "DiagnosticReport", "Patient"),
            ),
        ),
    ),
    (LABELS, (Looker("pictures that are completed", LABELS.scope, {}, ("Media", "Patient")),)),
)


@cache
def registry() -> Registry:
    return load_registry()


def shown() -> list[Resource]:
    """Two of each type, about Anna, of dermatology; what they refer to is hidden, or nowhere."""
    people = [rich("Patient", id, seed=seed) for id, seed in (("anna", 1), ("bo", 2))]
    return [*people, *(rich(kind, f"shown-{number}", seed=number) for kind in KINDS for number in (1, 2))]


def hidden(someone: Someone) -> list[Resource]:
    """For each way to be hidden two of each type that can be: one with the values of a shown one, one with its own."""
    found = [rich("Patient", POINTED_AT, seed=12)] if someone.hides_patients else []
    for number, attributes in enumerate(someone.hidden):
        for kind in KINDS if "status" not in attributes else ("Media",):
            names = (POINTED_AT if number == 0 else f"alike-{number}", f"secret-{number}")
            found += [rich(kind, name, seed=(1, 11 + number)[at], **attributes) for at, name in enumerate(names)]
    return found


def rich(kind: str, id: str, *, seed: int, **attributes: Any) -> Resource:
    """A sound resource with many elements, with links to other records of these worlds; the same for the same seed."""
    made: Resource = json.loads(_made(kind, id, seed, json.dumps(attributes)))
    return made


@cache
def _made(kind: str, id: str, seed: int, given: str) -> str:
    attributes = json.loads(given)
    stated = a(kind, id, **attributes)
    links = _links(kind, id, seed)
    for attempt in range(200):
        drawn = generated(kind, 1000 * seed + attempt)
        drawn.pop("contained", None)
        drawn.pop("implicitRules", None)
        made = {**drawn, **stated, **links}
        if "meta" not in attributes:
            made.pop("meta", None)
        is_sound = len(made) > len(stated | links) + 1 and check(made, type=kind) == []
        text = dump(made).decode().replace('"reference":"urn:uuid:', '"reference":"https://else.example/')
        if is_sound and not any(f'"{each}"' in text for each in _CONTENT):
            return text
    raise AssertionError(f"no sound {kind} with these attributes")


def _links(kind: str, id: str, seed: int) -> Resource:
    """Shown ones refer to hidden ones, hidden ones to shown ones."""
    there = POINTED_AT if id.startswith("shown") else "shown-1"

    def to(type: str) -> Resource:
        return {"reference": f"{type}/{there}"}

    words = f"Hägg okapi {'zebra' if seed < 10 else 'quagga'} {seed}"
    return {
        "Media": {"encounter": to("Encounter"), "operator": to("Device"), "partOf": [to("Procedure")],
                  "note": [{"text": words}], "createdDateTime": f"2026-01-{seed:02}",
                  "bodySite": _LEFT_ARM if seed < 10 else {"text": "arm"},
                  "identifier": [{"type": {"coding": [{"system": "urn:types", "code": "MR"}]}, "value": "n-1"}]},
        "DocumentReference": {"description": words, "context": {"encounter": [to("Encounter")]},
                              "date": "2026-01-03T10:00:00Z", "author": [{"reference": "#author"}],
                              "contained": [{"resourceType": "Practitioner", "id": "author",
                                             "name": [{"family": "Zebra" if seed < 10 else "Quagga"}]}],
                              "relatesTo": [{"code": "appends", "target": to("DocumentReference")}]},
        "DiagnosticReport": {"media": [{"link": to("Media")}], "result": [to("Observation")], "conclusion": words},
        "ImagingStudy": {"encounter": to("Encounter"), "basedOn": [to("ServiceRequest")], "description": words},
        "Observation": {"derivedFrom": [to("Media")], "encounter": to("Encounter"),
                        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                        "valueQuantity": {"value": 50 + seed, "system": "http://unitsofmeasure.org", "code": "kg"}},
        "Encounter": {"partOf": to("Encounter"), "episodeOfCare": [to("EpisodeOfCare")]},
        "Procedure": {"encounter": to("Encounter")},
        "Task": {"focus": to("Media")},
        "List": {"entry": [{"item": to("Media")}]},
    }.get(kind, {})  # fmt: skip


@contextmanager
def search_world(path: Path, *secrets: Sequence[Entry], settings: Settings | None = None) -> Iterator[World]:
    """A server that holds what is shown, and what each of the transactions of secrets left."""
    hands = Hands()
    with serving(path, settings, clock=hands) as served:
        importer = served.importer()
        for number, entries in enumerate((puts([*places(), *shown()]), *secrets)):
            hands.now = MORNING + number * MINUTE
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
            answer = served.http.post(served.base, json=bundle, headers=importer)
            assert answer.status_code == 200, answer.text
        hands.now = EVENING
        yield World(served, hands, {})


def puts(resources: Sequence[Resource]) -> list[Entry]:
    """Entries that bring them in; the last of each id."""
    newest = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    return [{"request": {"method": "PUT", "url": key}, "resource": each} for key, each in newest.items()]


def deletes(resources: Sequence[Resource]) -> list[Entry]:
    """Entries that delete them, but for Patients that others refer to."""
    keys = [f"{each['resourceType']}/{each['id']}" for each in resources if each["resourceType"] != "Patient"]
    return [{"request": {"method": "DELETE", "url": key}} for key in keys]


def entries(resources: list[Resource]) -> Iterator[IndexEntries]:
    """What the index keeps of each."""
    extractor = Extractor(registry(), base_url="http://127.0.0.1/fhir", zone=ZoneInfo("Europe/Stockholm"))
    for each in resources:
        key = Key(each["resourceType"], each["id"])
        yield extractor.entries(parse_json(dump(each)), key=key, last_updated_ms=0)
