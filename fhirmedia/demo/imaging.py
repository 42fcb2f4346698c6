"""ImagingStudies of the demo: with their files, each a DocumentReference, or held in a foreign PACS."""

from datetime import datetime
from itertools import groupby
from random import Random
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from fhirmedia.demo.chart import Chart, Region, Visit
from fhirmedia.demo.dicom_files import Instance
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.places import Unit
from fhirmedia.demo.terms import (
    DCM,
    LOINC,
    MODALITIES,
    SIDES,
    SITES,
    SNOMED,
    Side,
    coded,
    modality,
    owning_unit,
    reference,
)
from fhirmedia.demo.works import Content
from fhirmedia.dicom.part10 import DicomHeader
from fhirmedia.r4.json_types import Json, JsonObject

ZONE = ZoneInfo("Europe/Stockholm")
UID_SYSTEM = "urn:dicom:uid"
BODY_PARTS = {"ABDOMEN": "818981001", "CSPINE": "122494005", "HEAD": "69536005", "WHOLE BODY": "38266002"}
"""Defined terms of Body Part Examined (PS3.16 Annex L) that occur in the files."""

EXTENSION = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference."

EXAMINATIONS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    # modality, region, description, descriptions of the series
    ("DX", "85562004", "Hand", ("PA", "Oblique", "Lateral")),
    ("DX", "72696002", "Knee", ("AP", "Lateral")),
    ("DX", "16982005", "Shoulder", ("AP", "Axial")),
    ("CT", "69536005", "CT head", ("Scout", "Axial 5 mm", "Axial 1 mm bone")),
    ("CT", "818981001", "CT abdomen", ("Scout", "Portal venous 3 mm", "Coronal")),
    ("MR", "72696002", "MR knee", ("PD sag", "PD cor FS", "T2 ax")),
    ("MR", "12738006", "MR brain", ("T1 sag", "T2 ax", "FLAIR", "DWI")),
    ("US", "818981001", "US abdomen", ("Liver", "Kidneys")),
)


def add_external_study(visit: Visit, rng: Random) -> str:
    """Writes an ImagingStudy whose instances a foreign PACS holds; comes back with its id."""
    code, site, description, series = rng.choice(EXAMINATIONS)
    sides: tuple[Side, Side] = ("left", "right")
    side = rng.choice(sides) if code == "DX" or description == "MR knee" else None
    visit.region = Region(site, side)
    identity = f"{visit.encounter_id}-study"
    rows: list[Json] = []
    total = 0
    for number, name in enumerate(series, 1):
        count = 1 if code == "DX" else rng.randint(12, 180)
        total += count
        row: JsonObject = {
            "uid": _uid(f"{identity}/{number}"),
            "number": number,
            "modality": _modality(code),
            "description": name,
            "numberOfInstances": count,
            "bodySite": {"system": SNOMED, "code": site, "display": SITES[site][0]},
        }
        if side is not None:
            row["laterality"] = {"system": SNOMED, "code": SIDES[side][0], "display": SIDES[side][1]}
        rows.append(row)
    body: JsonObject = {
        "resourceType": "ImagingStudy",
        "id": identity,
        "extension": [owning_unit(visit.unit.id)],
        "identifier": [_study_identifier(_uid(identity))],
        "status": "available",
        "modality": [_modality(code)],
        "subject": reference("Patient", visit.chart.patient_id),
        "encounter": reference("Encounter", visit.encounter_id),
        "started": visit.at.isoformat(timespec="seconds"),
        "numberOfSeries": len(series),
        "numberOfInstances": total,
        "note": [{"text": visit.language.external_study}],
        "description": description,
        "series": rows,
    }
    visit.chart.items.append(DemoItem(body))
    return identity


def add_stored_study(chart: Chart, unit: Unit, number: int, study: tuple[Instance, ...]) -> None:
    """Writes the ImagingStudy of real files, then each file as DocumentReference.

    Who the files say the patient is does not count: the resources name the patient of the chart, the bytes stay as
    they are. The documents carry neither date nor period, so that only the study has a place on the timeline.
    """
    identity = f"demo-dicom-{number:02d}"
    chart.items.append(DemoItem(_stored_study(chart, unit, identity, study)))
    for position, instance in enumerate(study, 1):
        file_id = f"{identity}-{position:03d}"
        body = _file_document(chart, unit, file_id, instance.header, study_id=identity)
        chart.items.append(DemoItem(body, Content(instance.file), "application/dicom", file_id))


def _stored_study(chart: Chart, unit: Unit, identity: str, study: tuple[Instance, ...]) -> JsonObject:
    headers = sorted((one.header for one in study), key=lambda header: (header.series_uid, header.instance_number or 0))
    first = headers[0]
    body: JsonObject = {
        "resourceType": "ImagingStudy",
        "id": identity,
        "extension": [owning_unit(unit.id)],
        "identifier": [_study_identifier(first.study_uid)],
        "status": "available",
        "modality": [_modality(code) for code in sorted({header.modality or "OT" for header in headers})],
        "subject": reference("Patient", chart.patient_id),
    }
    if first.study_date is not None and first.study_time is not None:
        moment = datetime.combine(first.study_date, first.study_time.replace(microsecond=0), ZONE)
        body["started"] = moment.isoformat(timespec="seconds")
    elif first.study_date is not None:
        body["started"] = first.study_date.isoformat()
    series = [(uid, list(group)) for uid, group in groupby(headers, key=lambda header: header.series_uid)]
    body["numberOfSeries"], body["numberOfInstances"] = len(series), len(headers)
    if first.study_description:
        body["description"] = first.study_description
    body["series"] = [_series(uid, group) for uid, group in series]
    return body


def _series(uid: str, headers: list[DicomHeader]) -> JsonObject:
    first = headers[0]
    row: JsonObject = {"uid": uid}
    if first.series_number is not None:
        row["number"] = first.series_number
    row["modality"] = _modality(first.modality or "OT")
    if first.series_description:
        row["description"] = first.series_description
    row["numberOfInstances"] = len(headers)
    site = BODY_PARTS.get(first.body_part or "")
    if site is not None:
        row["bodySite"] = {"system": SNOMED, "code": site, "display": SITES[site][0]}
    row["instance"] = [_instance(header) for header in headers]
    return row


def _instance(header: DicomHeader) -> JsonObject:
    row: JsonObject = {
        "uid": header.sop_uid,
        "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{header.sop_class}"},
    }
    if header.instance_number is not None:
        row["number"] = header.instance_number
    return row


def _file_document(chart: Chart, unit: Unit, identity: str, header: DicomHeader, *, study_id: str) -> JsonObject:
    extensions: list[Json] = [
        {"url": f"{EXTENSION}modality", "valueCodeableConcept": modality(header.modality or "OT")}
    ]
    site = BODY_PARTS.get(header.body_part or "")
    if site is not None:
        concept = coded(SNOMED, site, SITES[site][0])
        extensions.append({"url": f"{EXTENSION}bodySite", "valueCodeableConcept": concept})
    return {
        "resourceType": "DocumentReference",
        "id": identity,
        "extension": extensions,
        "masterIdentifier": {"system": UID_SYSTEM, "value": f"urn:oid:{header.sop_uid}"},
        "identifier": [
            _study_identifier(header.study_uid),
            _typed_uid(header.series_uid, "112002", "Series Instance UID"),
        ],
        "status": "current",
        "type": coded(LOINC, "18748-4", "Diagnostic imaging study", "DICOM"),
        "subject": reference("Patient", chart.patient_id),
        "custodian": reference("Organization", unit.id, unit.name),
        "description": header.series_description or header.study_description or "DICOM",
        "content": [
            {
                "attachment": {
                    "contentType": "application/dicom",
                    "url": f"Binary/{identity}",
                    "title": f"{identity}.dcm",
                }
            }
        ],
        "context": {"related": [reference("ImagingStudy", study_id)]},
    }


def _modality(code: str) -> JsonObject:
    coding: JsonObject = {"system": DCM, "code": code}
    if code in MODALITIES:
        coding["display"] = MODALITIES[code]
    return coding


def _study_identifier(uid: str) -> JsonObject:
    return _typed_uid(uid, "110180", "Study Instance UID")


def _typed_uid(uid: str, code: str, display: str) -> JsonObject:
    return {"type": coded(DCM, code, display), "system": UID_SYSTEM, "value": f"urn:oid:{uid}"}


def _uid(name: str) -> str:
    """A UID of our own that depends on the name alone (PS3.5 B.2)."""
    return f"2.25.{uuid5(NAMESPACE_URL, f'https://fhirmedia.org/demo/{name}').int}"
