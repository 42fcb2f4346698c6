"""An invented archive of any size, the same each time: a heavy tail of patients, and one patient with 5 000 items.

Patients come in visits, each to one unit: what is made until the next visit belongs to its Encounter, its unit and
that unit's staff. Notes are made of invented words, a few of them in every other note and most of them rare.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

NUMBER = 2
"""Raised whenever other resources come out: prepared folders carry it in their names."""

SITES = ("53120007", "61685007", "69536005", "89545001", "45048000", "51185008", "77568009", "85562004", "56459004")
PHOTO, STUDY = ("XC", "DMS", "OP", "ES", "GM"), ("CR", "CT", "MR", "US", "DX")
UNITS = tuple(f"unit-{number:02d}" for number in range(30))
STAFF_OF_A_UNIT = 10
DEPARTMENTS = ("derm", "surg", "orth", "opht", "ent", "paed", "onco", "card", "radi", "path")
HEAVY, HEAVY_ITEMS = "p-heavy", 5_000
VISITS = 0.12
"""The part of the items that begins a visit, with an Encounter before it."""

START = datetime(2015, 1, 1, tzinfo=UTC)
OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"
DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
DCM, SCT = "http://dicom.nema.org/resources/ontology/DCM", "http://snomed.info/sct"
PHOTOS, DOCUMENTS, MRN, ACCESSION = (f"urn:example:{name}" for name in ("photo", "document", "mrn", "accession"))
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}

_SYLLABLES = [onset + vowel for onset in "b d f g k l m n p r s t v".split() for vowel in "a e i o u".split()]


def _invented(number: int, *, syllables: int) -> list[str]:
    rng = Random(syllables)
    words = {"".join(rng.choices(_SYLLABLES, k=syllables)): None for _ in range(number * 2)}
    return list(words)[:number]


WORDS = _invented(2_000, syllables=4)
"""The n-th is written 1/n times as often as the first."""

FAMILIES = _invented(400, syllables=3)
_OFTEN = list(accumulate(1 / rank for rank in range(1, len(WORDS) + 1)))


@dataclass(frozen=True, slots=True)
class _Visit:
    unit: int
    encounter: str | None


def corpus(size: int) -> Iterator[dict[str, Any]]:
    """`size` resources: units, staff, patients (1 in 31), then visits and items in order of time."""
    rng = Random(size)
    for unit in UNITS:
        yield {"resourceType": "Organization", "id": unit, "name": unit}
    staff = len(UNITS) * STAFF_OF_A_UNIT
    for number in range(staff):
        name = [{"family": FAMILIES[number], "given": [f"staff {number}"]}]
        yield {"resourceType": "Practitioner", "id": f"s-{number}", "name": name}
    patients = [HEAVY, *(f"p-{number}" for number in range(size // 31))]
    for number, patient in enumerate(patients):
        yield {
            "resourceType": "Patient",
            "id": patient,
            "identifier": [{"system": MRN, "value": f"{number:07d}"}],
            "name": [{"family": rng.choice(FAMILIES), "given": [patient]}],
            "gender": rng.choice(("female", "male")),
            "birthDate": f"{rng.randrange(1930, 2020)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        }
    left = size - len(UNITS) - staff - len(patients)
    heavy = set(rng.sample(range(left), min(HEAVY_ITEMS, left // 10)))
    step = timedelta(days=3650) / left
    visits: dict[str, _Visit] = {}
    number = 0
    while number < left:
        patient = HEAVY if number in heavy else patients[1 + drawn(rng, len(patients) - 1)]
        visit = visits.get(patient)
        if (visit is None or rng.random() < VISITS) and number + 1 < left:
            visit = visits[patient] = _Visit(rng.randrange(len(UNITS)), f"e-{number}")
            yield _encounter(patient, visit, START + step * number)
            number += 1
        visit = visit or _Visit(rng.randrange(len(UNITS)), None)
        yield item(rng, number, patient, START + step * number, visit=visit)
        number += 1


def drawn(rng: Random, number: int) -> int:
    """One of so many patients, from 0: a tail of hundreds of items at the one end, a few at the other."""
    return int(number * rng.random() ** 1.5)


def written(rng: Random, number: int) -> list[str]:
    """So many words, as somebody writes them."""
    return rng.choices(WORDS, cum_weights=_OFTEN, k=number)


def department_of(unit: int) -> str:
    """The code of the department that a unit is in."""
    return DEPARTMENTS[unit % len(DEPARTMENTS)]


def _encounter(patient: str, visit: _Visit, at: datetime) -> dict[str, Any]:
    act_code = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Encounter", "id": visit.encounter, "status": "finished",
        "class": {"system": act_code, "code": "AMB"}, "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": at.isoformat(timespec="seconds")},
        "serviceProvider": {"reference": f"Organization/{UNITS[visit.unit]}"},
    }  # fmt: skip


def item(rng: Random, number: int, patient: str, at: datetime, *, visit: _Visit) -> dict[str, Any]:
    """One Media (60 %), DocumentReference (25 %) or ImagingStudy (15 %)."""
    when, share = at.isoformat(timespec="seconds"), rng.random()
    tag = {"system": DEPARTMENT, "code": department_of(visit.unit)}
    owner = {"url": OWNING_UNIT, "valueReference": {"reference": f"Organization/{UNITS[visit.unit]}"}}
    head = {"meta": {"tag": [tag]}, "extension": [owner], "subject": {"reference": f"Patient/{patient}"}}
    made_in = {} if visit.encounter is None else {"encounter": {"reference": f"Encounter/{visit.encounter}"}}
    person = {"reference": f"Practitioner/s-{visit.unit * STAFF_OF_A_UNIT + rng.randrange(STAFF_OF_A_UNIT)}"}
    site = {"coding": [{"system": SCT, "code": rng.choice(SITES)}]}
    said = " ".join(written(rng, 8))
    if share < 0.6:
        modality = {"coding": [{"system": DCM, "code": rng.choice(PHOTO)}]}
        return {
            "resourceType": "Media", "id": f"m-{number}", **head, **made_in, "status": "completed",
            "identifier": [{"system": PHOTOS, "value": str(number)}], "modality": modality, "operator": person,
            "createdDateTime": when, "bodySite": site, "deviceName": "Canon EOS R6",
            "content": {"contentType": "image/jpeg", "title": "photograph"},
            "note": [{"text": f"Follow-up picture, {said}."}],
        }  # fmt: skip
    if share < 0.85:
        return {
            "resourceType": "DocumentReference", "id": f"d-{number}", **head, "status": "current",
            "masterIdentifier": {"system": DOCUMENTS, "value": str(number)}, "author": [person],
            "date": when, "description": f"Discharge summary, {said}.",
            "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
            "content": [{"attachment": {"contentType": "application/pdf", "title": "summary"}}],
        } | ({"context": {"encounter": [made_in["encounter"]]}} if made_in else {})  # fmt: skip
    coding = {"system": DCM, "code": rng.choice(STUDY)}
    series = {"uid": f"1.2.826.{number}.1", "modality": coding, "bodySite": site["coding"][0], "numberOfInstances": 3}
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:1.2.826.{number}"}
    return {
        "resourceType": "ImagingStudy", "id": f"i-{number}", **head, **made_in, "status": "available",
        "started": when, "modality": [coding], "numberOfSeries": 1, "series": [series], "description": said,
        "identifier": [uid, {"type": ACSN, "system": ACCESSION, "value": f"A{number:08d}"}],
    }  # fmt: skip
