"""Which resources a search selects: real extraction, real parser, reference evaluator, one row for each promise."""

import pytest

from fhirmedia.core.records import Facts, Key
from fhirmedia.r4.evaluator import matches
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.values import IndexEntries
from tests.fhir.search_reading import BASE, PERSON, SERVED, STOCKHOLM, search

DERMATOLOGY: JsonObject = {"system": "https://fhirmedia.org/CodeSystem/department", "code": "derm"}

RESERVE = "http://electronichealth.se/identifier/nationelltReservnumer"

V2_IDENTIFIERS = "http://terminology.hl7.org/CodeSystem/v2-0203"

CORPUS: dict[str, JsonObject] = {
    "Patient/tolvan": {
        "resourceType": "Patient",
        "identifier": [
            {"system": PERSON, "value": "19121212-1212"},
            {"system": "urn:oid:1.2.3", "value": "AbC"},
            {"system": RESERVE.replace("numer", "nummer"), "value": "22950606-fh20"},
        ],
    },
    "Patient/other": {
        "resourceType": "Patient",
        "identifier": [
            {"system": "urn:oid:1.2.3", "value": "191212121212"},
            {
                "type": {"coding": [{"system": V2_IDENTIFIERS, "code": "MR"}], "text": "Record number"},
                "system": PERSON,
                "value": "197010632391",
            },
        ],
    },
    "Media/photo": {
        "resourceType": "Media",
        "meta": {"tag": [DERMATOLOGY]},
        "status": "completed",
        "subject": {"reference": "Patient/tolvan"},
        "createdDateTime": "2024-03-01T23:30:00Z",
        "bodySite": {
            "coding": [
                {"system": "http://snomed.info/sct", "code": "53120007", "display": "Upper limb"},
                {"code": "ARM"},
            ],
            "text": "Övre extremitet",
        },
        "content": {"contentType": "image/jpeg"},
    },
    "Media/film": {
        "resourceType": "Media",
        "status": "in-progress",
        "subject": {"reference": f"{BASE}/Patient/other/_history/2"},
        "createdPeriod": {"start": "2024-02-28"},
        "content": {"contentType": "video/mp4"},
    },
    "Media/foreign": {
        "resourceType": "Media",
        "status": "completed",
        "subject": {
            "reference": "https://elsewhere.example/Patient/tolvan",
            "identifier": {"system": PERSON, "value": "191212121212"},
        },
        "issued": "2020-01-01T00:00:00Z",
        "content": {"contentType": "image/png"},
    },
    "ImagingStudy/study": {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1"}],
        "status": "available",
        "subject": {"reference": "Patient/tolvan"},
        "started": "2024-03-02T08:00:00+01:00",
    },
}

extractor = Extractor(SERVED.registry, base_url=BASE, zone=STOCKHOLM)


@pytest.fixture(scope="module")
def corpus() -> list[IndexEntries]:
    keys = {text: Key(*text.split("/")) for text in CORPUS}
    return [
        extractor.entries({**body, "id": keys[text].id}, key=keys[text], last_updated_ms=SERVED.now)
        for text, body in CORPUS.items()
    ]


ROWS = [
    (f"Patient?identifier={PERSON}|191212121212", "tolvan"),
    (f"Patient?identifier={PERSON}|121212%2B1212", "tolvan"),
    ("Patient?identifier=urn:oid:1.2.752.129.2.1.3.1|19121212-1212", "tolvan"),
    ("Patient?identifier=19121212-1212", "tolvan"),
    (f"Patient?identifier={RESERVE}|22950606FH20", "tolvan"),
    ("Patient?identifier=urn:oid:1.2.752.74.9.1|22950606-FH20", "tolvan"),
    ("Patient?identifier=22950606FH20", "tolvan"),
    (f"Patient?identifier={RESERVE}|22950606FJ20", ""),
    (f"Patient?identifier={'urn:oid:1.2.752.97.3.1.3'}|22950606FH20", ""),
    ("Patient?identifier=191212121212", "tolvan other"),
    ("Patient?identifier=urn:oid:1.2.3|abc", "tolvan"),
    ("Patient?identifier=urn:oid:1.2.3|", "tolvan other"),
    ("Patient?identifier:not=urn:oid:1.2.3|abc", "other"),
    ("Patient?_id=tolvan", "tolvan"),
    ("Patient?_id=TOLVAN", ""),
    ("Media?status=completed", "photo foreign"),
    ("Media?status=http://hl7.org/fhir/event-status|completed", "photo foreign"),
    ("Media?status=|completed", "photo foreign"),
    ("Media?status=http://elsewhere.example|completed", ""),
    ("Media?status:not=completed", "film"),
    ("Media?site=arm", "photo"),
    ("Media?site=|ARM", "photo"),
    ("Media?site=|53120007", ""),
    ("Media?body-site=http://snomed.info/sct|53120007", "photo"),
    ("Media?body-site:not=x", "photo film foreign"),
    ("Media?body-site:missing=true", "film foreign"),
    ("Media?body-site:missing=false", "photo"),
    ("Media?site:below=http://snomed.info/sct|53120007", "photo"),
    ("Media?site:above=http://snomed.info/sct|85562004", "photo"),
    ("Media?site:above=53120007", "photo"),
    ("Media?site:below=http://snomed.info/sct|85562004", ""),
    ("Media?site:text=limb", "photo"),
    ("Media?site:text=ovre extr", "photo"),
    ("Media?site:text=extremitet upper", "photo"),
    ("Media?site:text=limbs", ""),
    ("Media?site:text=upper hand", ""),
    (f"Patient?identifier:of-type={V2_IDENTIFIERS}|MR|197010632391", "other"),
    (f"Patient?identifier:of-type={V2_IDENTIFIERS}|mr|197010632391", "other"),
    (f"Patient?identifier:of-type={V2_IDENTIFIERS}|MR|191212121212", ""),
    ("Patient?identifier:text=record", "other"),
    ("Media?department:below=derm", "photo"),
    ("Media?department:not-in=https://fhirmedia.org/ValueSet/laterality", "photo film foreign"),
    ("Media?site:in=ValueSet/laterality", ""),
    ("Media?patient=tolvan", "photo"),
    ("Media?patient=Patient/tolvan", "photo"),
    (f"Media?patient={BASE}/Patient/tolvan", "photo"),
    ("Media?subject=https://elsewhere.example/Patient/tolvan", "foreign"),
    ("Media?subject=Patient/other", "film"),
    ("Media?subject=Patient/other/_history/2", "film"),
    ("Media?subject=Patient/other/_history/3", ""),
    (f"Media?subject:identifier={PERSON}|19121212-1212", "foreign"),
    ("Media?when=2024-03-02", "photo"),
    ("Media?when=2024-03-01", ""),
    ("Media?when=ge2024-03-03", "film"),
    ("Media?when=lt2024-03-01", "film foreign"),
    ("Media?when=sa2024-01-01", "photo film"),
    ("Media?when=2020-01-01", "foreign"),
    ("Media?created=2020", ""),
    ("Media?when=ge2024-03-02T00:30:00+01:00&when=le2024-03-02T00:30:00+01:00", "photo film"),
    ("Media?_lastUpdated=eq2026-11-22", "photo film foreign"),
    ("Media?department=https://fhirmedia.org/CodeSystem/department|derm", "photo"),
    ("Media?_tag=derm", "photo"),
    ("Media?kind=video", "film"),
    ("Media?kind=image,video", "photo film foreign"),
    ("ImagingStudy?identifier=urn:dicom:uid|1.2.840.1", "study"),
    ("ImagingStudy?identifier=urn:dicom:uid|urn:oid:1.2.840.1", "study"),
    ("ImagingStudy?identifier=urn:oid:1.2.840.1", "study"),
    ("?_type=Media,ImagingStudy&patient=tolvan", "photo study"),
    ("?_type=Media,ImagingStudy&patient=tolvan&when=sa2024-03-02T01:00:00%2B01:00", "study"),
]


@pytest.mark.parametrize(("url", "expected"), ROWS)
def test_a_search_selects(corpus: list[IndexEntries], url: str, expected: str) -> None:
    type, _, text = url.partition("?")
    query = search(SERVED, text, type=type or None).query
    assert [each.key.id for each in corpus if matches(query, each, Facts())] == expected.split()


def test_a_compartment_selects(corpus: list[IndexEntries]) -> None:
    query = search(SERVED, "", type=None, compartment=("Patient", "tolvan")).query
    assert [each.key.id for each in corpus if matches(query, each, Facts())] == ["tolvan", "photo", "study"]
