"""An invented archive of any size, the same each time: a heavy tail of patients, and one patient with 5 000 items."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

SITES = ("53120007", "61685007", "69536005", "89545001", "45048000", "51185008", "77568009", "85562004", "56459004")
PHOTO, STUDY = ("XC", "DMS", "OP", "ES", "GM"), ("CR", "CT", "MR", "US", "DX")
UNITS = tuple(f"unit-{number:02d}" for number in range(30))
HEAVY, HEAVY_ITEMS = "p-heavy", 5_000
START = datetime(2015, 1, 1, tzinfo=UTC)
OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"
DCM, SCT = "http://dicom.nema.org/resources/ontology/DCM", "http://snomed.info/sct"


def corpus(size: int) -> Iterator[dict[str, Any]]:
    """`size` resources: units, patients (1 in 31), then Media, DocumentReference and ImagingStudy in order of time."""
    rng = Random(size)
    for unit in UNITS:
        yield {"resourceType": "Organization", "id": unit, "name": unit}
    patients = [HEAVY, *(f"p-{number}" for number in range(size // 31))]
    for patient in patients:
        yield {
            "resourceType": "Patient",
            "id": patient,
            "name": [{"family": "Berg", "given": [patient]}],
            "birthDate": "1970-01-01",
        }
    items = size - len(UNITS) - len(patients)
    heavy = set(rng.sample(range(items), min(HEAVY_ITEMS, items // 10)))
    step = timedelta(days=3650) / items
    for number in range(items):
        patient = HEAVY if number in heavy else patients[1 + drawn(rng, len(patients) - 1)]
        yield item(rng, number, patient, START + step * number)


def drawn(rng: Random, number: int) -> int:
    """One of so many patients, from 0: a tail of hundreds of items at the one end, a few at the other."""
    return int(number * rng.random() ** 1.5)


def item(rng: Random, number: int, patient: str, at: datetime) -> dict[str, Any]:
    """One Media (60 %), DocumentReference (25 %) or ImagingStudy (15 %)."""
    when, share = at.isoformat(timespec="seconds"), rng.random()
    subject = {"reference": f"Patient/{patient}"}
    owner = {
        "url": OWNING_UNIT,
        "valueReference": {"reference": f"Organization/{rng.choice(UNITS)}"},
    }
    site = {"coding": [{"system": SCT, "code": rng.choice(SITES)}]}
    if share < 0.6:
        modality = {"coding": [{"system": DCM, "code": rng.choice(PHOTO)}]}
        return {
            "resourceType": "Media", "id": f"m-{number}", "extension": [owner], "status": "completed",
            "identifier": [{"system": "urn:example:photo", "value": str(number)}],
            "modality": modality, "subject": subject,
            "createdDateTime": when, "bodySite": site, "deviceName": "Canon EOS R6",
            "content": {"contentType": "image/jpeg", "title": "photograph"},
            "note": [{"text": "Follow-up picture, no change."}],
        }  # fmt: skip
    if share < 0.85:
        return {
            "resourceType": "DocumentReference", "id": f"d-{number}", "extension": [owner], "status": "current",
            "subject": subject, "date": when, "description": "Discharge summary",
            "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
            "content": [{"attachment": {"contentType": "application/pdf", "title": "summary"}}],
        }  # fmt: skip
    coding = {"system": DCM, "code": rng.choice(STUDY)}
    series = {"uid": f"1.2.826.{number}.1", "modality": coding, "bodySite": site["coding"][0], "numberOfInstances": 3}
    return {
        "resourceType": "ImagingStudy", "id": f"i-{number}", "extension": [owner], "status": "available",
        "subject": subject, "started": when, "modality": [coding], "numberOfSeries": 1, "series": [series],
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:1.2.826.{number}"}],
    }  # fmt: skip
