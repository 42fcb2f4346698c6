"""Two patients' records over four types, small enough to say by hand what every search finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.access.records import DEPARTMENT, a, places, put
from tests.servers import Served, serving

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: when Anna's Media and everything before them are written."""
HOUR_MS = 3_600_000

SCT = "http://snomed.info/sct"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
MEDIA_TYPE = "http://terminology.hl7.org/CodeSystem/media-type"
NUMBERS = "urn:numbers"
PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
SAMORDNINGSNUMMER = "http://electronichealth.se/identifier/samordningsnummer"
RESERVNUMMER = "http://electronichealth.se/identifier/nationelltReservnummer"
HSA_ID = "urn:oid:1.2.752.129.2.1.4.1"
FODSELSNUMMER = "urn:oid:2.16.578.1.12.4.1.4.1"
R5_BODY_SITE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.bodySite"
R5_MODALITY = {
    "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.modality",
    "valueCodeableConcept": {"coding": [{"system": DCM, "code": "DOC"}]},
}
OURS = "https://fhirmedia.org/StructureDefinition"
LEFT, RIGHT = "7771000", "24028007"
FOUR = "Media,DocumentReference,ImagingStudy,DiagnosticReport"

NEWEST_FIRST = (
    "DiagnosticReport/r-late",
    "Media/m-lesion",
    "ImagingStudy/i-ct",
    "DocumentReference/d-letter",
    "Media/m-gait",
    "DiagnosticReport/r-path",
    "Media/m-sound",
    "ImagingStudy/i-mr",
    "DocumentReference/d-summary",
    "Media/m-undated",
)
"""Anna's timeline."""
OLDEST_FIRST = (*reversed(NEWEST_FIRST[:-1]), NEWEST_FIRST[-1])
BO = ("Media/m-bo", "DocumentReference/d-bo")


def concept(system: str, code: str, **more: Any) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}], **more}


def number(value: str, system: str = NUMBERS) -> list[dict[str, Any]]:
    """One identifier."""
    return [{"system": system, "value": value}]


def on_the(side: str) -> dict[str, Any]:
    """Our extension for the side of a body site."""
    return {"url": f"{OURS}/laterality", "valueCodeableConcept": concept(SCT, side)}


def on_device(name: str) -> dict[str, Any]:
    """Our extension for the name of a device."""
    return {"url": f"{OURS}/device-name", "valueString": name}


def media() -> list[dict[str, Any]]:
    """Anna's pictures, film and sound."""
    owner = a("Media", "-")["extension"]
    return [
        a(
            "Media", "m-lesion", createdDateTime="2024-03-01T10:00:00+01:00",
            identifier=[*number("M-1"), *number("urn:oid:1.2.99.7", "urn:dicom:uid")],
            type=concept(MEDIA_TYPE, "image"), bodySite=concept(SCT, "14975008", extension=[on_the(LEFT)]),
            modality=concept(SCT, "432102000"), deviceName="Dermatoskop Å-1", note=[{"text": "Rodnad kring såret."}],
            meta={"tag": [{"system": "http://example.org/tags", "code": "baseline"}]},
        ),
        a(
            "Media", "m-gait", unit="eyes", status="in-progress", bodySite=concept(SCT, "61685007"),
            createdPeriod={"start": "2023-05-10", "end": "2023-05-12"},
            content={"contentType": "video/mp4", "url": "http://example.org/gait.mp4"},
        ),
        a(
            "Media", "m-sound", issued="2022-06-01T08:00:00Z", identifier=number("M-3"), extension=owner,
            content={"contentType": "audio/wav", "url": "http://example.org/heart.wav"},
        ),
        a("Media", "m-undated", unit=None, status="entered-in-error"),
    ]  # fmt: skip


def others() -> list[dict[str, Any]]:
    """What else there is of Anna, and what there is of Bo; written an hour later."""
    right = concept(SCT, "14975008", extension=[on_the(RIGHT)])
    site = {"url": R5_BODY_SITE, "valueCodeableConcept": right}
    letter = a("DocumentReference", "d-letter")
    return [
        letter | {
            "description": "Brev om rodnaden", "masterIdentifier": number("urn:oid:1.2.99.8", "urn:dicom:uid")[0],
            "content": [{"attachment": {"contentType": "application/pdf", "title": "letter"}}],
            "date": "2024-02-01T00:00:00Z", "identifier": number("D-1"), "category": [concept(NUMBERS, "letter")],
            "extension": [*letter["extension"], site, on_device("Scanner 2"), R5_MODALITY],
        },
        a(
            "DocumentReference", "d-summary", unit="eyes", status="superseded", date="2024-01-01T12:00:00Z",
            context={"period": {"start": "2021-01", "end": "2021-02"}},
        ),
        a(
            "ImagingStudy", "i-ct", started="2024-03-01", modality=[{"system": DCM, "code": "CT"}],
            identifier=number("urn:oid:1.2.840.99.1", "urn:dicom:uid"),
            description="CT av benen",
            series=[{"uid": "1.2.3", "modality": {"system": DCM, "code": "CT"}, "extension": [on_device("Scanner 3")],
                     "bodySite": {"system": SCT, "code": "61685007"}, "laterality": {"system": SCT, "code": RIGHT},
                     "instance": [{"uid": "1.2.3.4", "sopClass": {"code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}]}],
        ),
        a(
            "ImagingStudy", "i-mr", unit="eyes", status="cancelled", started="2020-12-31T23:30:00Z",
            series=[{"uid": "1.2.4", "modality": {"system": DCM, "code": "MR"}}],
        ),
        a(
            "DiagnosticReport", "r-path", effectiveDateTime="2023", issued="2023-09-01T00:00:00Z",
            category=[concept(NUMBERS, "LAB")], identifier=number("R-1"),
        ),
        a("DiagnosticReport", "r-late", unit="eyes", status="preliminary", issued="2024-03-01T09:30:00Z"),
        a("Encounter", "e-visit", period={"start": "2024-02-10", "end": "2024-02-12"}, identifier=number("E-1")),
        a("Encounter", "e-plan", status="planned", unit="eyes"),
        a("Media", "m-bo", of="bo", createdDateTime="2024-03-01", identifier=number("M-1")),
        a("DocumentReference", "d-bo", of="bo", unit="eyes", date="2025-01-01T00:00:00Z"),
    ]  # fmt: skip


def people() -> list[dict[str, Any]]:
    """Anna and Bo with their numbers, and identifiers of the places."""
    department = {"system": DEPARTMENT, "code": "derm"}
    tagged = {"tag": [{"system": "http://example.org/tags", "code": "known"}]}
    return [
        a("Patient", "anna", identifier=[*number("19121212-1212", PERSONNUMMER),
                                         *number("22950606-fh20", RESERVNUMMER)], meta=tagged),
        a("Patient", "bo", identifier=[*number("131169 00216", FODSELSNUMMER),
                                       *number("197010632391", SAMORDNINGSNUMMER)]),
        a("Practitioner", "dr", identifier=[*number("P-1"), *number("se2321000016-39kj", HSA_ID)], meta=tagged),
        a("Organization", "derm", identifier=number("O-1"), partOf={"reference": "Organization/north"},
          type=[{"coding": [department]}], meta=tagged),
    ]  # fmt: skip


class Hand:
    """A clock somebody sets."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


@contextmanager
def furnished(path: Path) -> Iterator[tuple[Served, Hand]]:
    """A server with the whole corpus, and the hand on its clock."""
    clock = Hand()
    with serving(path, clock=clock) as served:
        put(served, *places(), *people(), *media())
        clock.ms += HOUR_MS
        put(served, *others())
        yield served, clock
